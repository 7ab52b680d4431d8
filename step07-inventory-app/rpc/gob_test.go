package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What holds for JSON holds for gob: these tests make their calls through
// newClient, which asks for testCodec.
func TestGob_BehavesLikeJSON(t *testing.T) {
	testCodec = "gob"
	defer func() { testCodec = "" }()
	for name, test := range map[string]func(*testing.T){
		"GetsTheResult":                 TestClient_GetsTheResult,
		"GoesOnAfterAResult":            TestClient_GoesOnAfterAResultThatDoesNotFit,
		"ConcurrentCallers":             TestClient_ConcurrentCallersGetTheirOwnResults,
		"CallersMayComeAndGo":           TestClient_CallersMayComeAndGo,
		"CallsARegisteredMethod":        TestServer_CallsARegisteredMethod,
		"RefusesUnknownMethods":         TestServer_RefusesUnknownMethods,
		"Panic":                         TestServer_PanicIsAnInternalErrorAndALogLine,
		"RefusesATakenName":             TestServer_RefusesATakenNameAndKeepsTheFirst,
		"RegistersWhileItServes":        TestServer_RegistersWhileItServes,
		"OnlyAContext":                  TestServer_PublishesMethodsWithOnlyAContext,
		"SlowCall":                      TestServer_SlowCallHoldsUpNoOther,
		"AThousandCalls":                TestServer_AnswersAThousandCallsInFlight,
		"CallerIsGone":                  TestServer_TellsTheMethodThatItsCallerIsGone,
		"CallIsCancelled":               TestServer_TellsTheMethodThatItsCallIsCancelled,
		"DeadlineTravels":               TestServer_DeadlineTravelsAndIsNeverLongerThanTheCallers,
		"ShutdownLetsRunningCallsEnd":   TestServer_ShutdownLetsRunningCallsFinishAndRefusesNewOnes,
		"ShutdownCutsWhatIsLeft":        TestServer_ShutdownCutsWhatIsLeftWhenItsContextEnds,
		"HandlerThatIgnoresTheContexts": TestLimit_HandlerThatIgnoresContextRunsOn,
	} {
		t.Run(name, test)
	}
}

// newGobClient returns a client of srv that speaks gob.
func newGobClient(t *testing.T, srv *testServer) *Client {
	t.Helper()
	c, err := NewClientCodec(t.Context(), srv.connect(t), "gob")
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

func TestGob_CarriesBytesAsTheyAre(t *testing.T) {
	photo := bytes.Repeat([]byte{0, 1, 0xff}, 1000)
	var wire bytes.Buffer
	codec := newGobCodec(nil, &wire)
	require.NoError(t, codec.WriteRequest(Request{Method: "M", value: photo}))
	assert.Contains(t, wire.String(), string(photo))
}

func TestGob_CarriesStructsSlicesAndMaps(t *testing.T) {
	type order struct {
		Lines []line
		Notes map[string]string
	}
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Same", func(o order) order { return o })
		c := newGobClient(t, srv)
		for _, o := range []order{
			{[]line{{"item1", 2}, {"item2", 1}}, map[string]string{"to": "the back door"}},
			{},
		} {
			var got order
			require.NoError(t, call(c, "Test.Same", o, &got))
			assert.Equal(t, o, got)
			got = order{}
			require.NoError(t, call(c, "Test.Same", &o, &got), "by pointer")
			assert.Equal(t, o, got)
		}
	})
}

func TestGob_StaysInStepWithValuesThatNobodyWants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		c := newGobClient(t, srv)
		assert.ErrorContains(t, call(c, "Inventory.Nope", line{"item1", 2}, nil), "method not found")
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", line{"item1", 2}, nil), "invalid params: gob: ")
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", nil, nil), "invalid params: gob: ")
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil), "a result that is not wanted")
		var text string
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", "item1", &text), "rpc: result of Inventory.CheckStock: gob: ")
		var quantity int
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", &quantity))
		assert.Equal(t, 100, quantity)
	})
}

func TestGob_ALateReplyKeepsTheStreamInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() line { <-release; return line{"item1", 2} })
		register(t, srv, "Quick", func() line { return line{"item2", 1} })
		c := newGobClient(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Test.Slow", nil, &line{}) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		close(release)
		var got line
		require.NoError(t, call(c, "Test.Quick", nil, &got))
		assert.Equal(t, line{"item2", 1}, got)
	})
}

func TestGob_NilPointersAreRefusedAndSpareTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		register(t, srv, "Nil", func() *line { return nil })
		c := newGobClient(t, srv)
		assert.EqualError(t, call(c, "Inventory.CheckStock", (*string)(nil), nil),
			"rpc: Inventory.CheckStock: cannot send: gob has no nil pointers")
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", new(*string), nil), "gob has no nil pointers")
		assert.EqualError(t, call(c, "Test.Nil", nil, nil), "cannot send: gob has no nil pointers")
		assert.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
	})
}

func TestGob_GarbageEndsTheConnectionAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		bad, good := srv.connect(t), newGobClient(t, srv)
		assert.Equal(t, "RPC/1 ok\n", exchange(t, bad, "RPC/1 gob\n"))
		write(t, bad, strings.Repeat("\x05garbage", 3))
		_, err := bad.Read(make([]byte, 1))
		assert.Error(t, err)
		assert.NoError(t, call(good, "Inventory.CheckStock", "item1", nil))
	})
}

// A bomb panics in whatever encodes or decodes it.
type bomb struct{ Fuse int }

func (bomb) MarshalJSON() ([]byte, error)  { panic("json bomb") }
func (bomb) GobEncode() ([]byte, error)    { panic("gob bomb") }
func (*bomb) UnmarshalJSON(b []byte) error { panic("json bomb") }
func (*bomb) GobDecode(b []byte) error     { panic("gob bomb") }

func TestServer_SurvivesAPanicInAValuesOwnCode(t *testing.T) {
	for _, codec := range []string{"json", "gob"} {
		synctest.Test(t, func(t *testing.T) {
			var logged bytes.Buffer
			srv := newServer(t, &Server{ErrorLog: log.New(&logged, "", 0)})
			register(t, srv, "Result", func() bomb { return bomb{} })
			register(t, srv, "Quick", func() int { return 1 })
			c, err := NewClientCodec(t.Context(), srv.connect(t), codec)
			require.NoError(t, err)
			err = call(c, "Test.Result", nil, nil)
			assert.Error(t, err)
			assert.NotContains(t, err.Error(), "bomb")
			assert.Contains(t, logged.String(), codec+" bomb")

			other := newClient(t, srv)
			assert.NoError(t, call(other, "Test.Quick", nil, nil), "the server goes on")
			c.Close()
		})
	}
}

// A dud can be sent, and panics in whoever decodes it.
type dud struct{}

func (dud) GobEncode() ([]byte, error) { return []byte{1}, nil }
func (*dud) GobDecode([]byte) error    { panic("gob dud") }

func TestGob_SurvivesAPanicWhileAValueIsDecoded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "In", func(dud) {})
		register(t, srv, "Out", func() dud { return dud{} })
		register(t, srv, "Quick", func() int { return 1 })
		c := newGobClient(t, srv)
		assert.EqualError(t, call(c, "Test.In", dud{}, nil), "invalid params: panic: gob dud")
		assert.EqualError(t, call(c, "Test.Out", nil, &dud{}), "rpc: result of Test.Out: panic: gob dud")
		assert.NoError(t, call(c, "Test.Quick", nil, nil))
		assert.ErrorContains(t, call(c, "Test.Quick", 5, nil), "invalid params: gob: ", "it takes none")
	})
}

func TestGob_AStreamThatEndsWithinAMessageBreaksTheConnection(t *testing.T) {
	for _, result := range []any{nil, new(int)} {
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			go func() {
				r := bufio.NewReader(server)
				r.ReadString('\n')
				io.WriteString(server, "RPC/1 ok\n")
				r.ReadByte()
				gob.NewEncoder(server).Encode(Response{ID: 1}) // and no value
				server.Close()
			}()
			c, err := NewClientCodec(t.Context(), client, "gob")
			require.NoError(t, err)
			assert.ErrorContains(t, call(c, "M", nil, result), "rpc: connection broken: ")
		})
	}
}

func TestServer_AClientThatIsGoneCostsNoMoreEncoding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		encoded := 0
		srv := newServer(t, &Server{})
		register(t, srv, "Count", func() counted { return counted{&encoded} })
		conn := srv.connect(t)
		for i := range 100 {
			write(t, conn, fmt.Sprintf(`{"id":%d,"method":"Test.Count"}`+"\n", i+1))
		}
		synctest.Wait() // one is being written, the others wait
		conn.Close()
		require.NoError(t, srv.Close())
		assert.Equal(t, 1, encoded)
	})
}

// A counted counts how often it is encoded.
type counted struct{ n *int }

func (c counted) MarshalJSON() ([]byte, error) { *c.n++; return []byte("1"), nil }

func TestClient_GoesOnAfterAPanicInItsParams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		assert.Panics(t, func() { call(c, "Inventory.CheckStock", bomb{}, nil) }, "in the caller's own goroutine")
		assert.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
	})
}

func TestClient_WantsAPointerForTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		assert.EqualError(t, call(c, "Inventory.CheckStock", "item1", 5), "rpc: result is a int: want a pointer, or nil")
		assert.EqualError(t, call(c, "Inventory.CheckStock", "item1", (*int)(nil)), "rpc: result is a *int: want a pointer, or nil")
	})
}

func TestGob_ParamsMayBeReusedWhenCallHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Sum", func(ns []int) (sum int) {
			for _, n := range ns {
				sum += n
			}
			return sum
		})
		c := newGobClient(t, srv)
		ns := []int{1, 2, 3}
		for range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := c.Call(ctx, "Test.Sum", ns, nil); err != nil {
				require.True(t, errors.Is(err, context.Canceled), err)
			}
			ns[0]++ // the race detector would see who still reads it
		}
	})
}

// Gob gives types numbers in the order in which a process first uses them, so
// the capture is not compared byte for byte: it is decoded.
func TestWire_GobIsDecodedAsCaptured(t *testing.T) {
	packets := capture(t, "gob.txt")
	require.Len(t, packets, 4)
	synctest.Test(t, func(t *testing.T) {
		conn := newStockServer(t).connect(t)
		write(t, conn, packets[0].data)
		require.Equal(t, packets[1].data, read(t, conn))
		write(t, conn, packets[2].data)
		assertResult(t, gob.NewDecoder(conn))
		assertResult(t, gob.NewDecoder(strings.NewReader(packets[3].data)))
	})
}

func assertResult(t *testing.T, dec *gob.Decoder) {
	t.Helper()
	var resp Response
	var quantity int
	require.NoError(t, dec.Decode(&resp))
	require.NoError(t, dec.Decode(&quantity))
	assert.Equal(t, Response{ID: 1}, resp)
	assert.Equal(t, 100, quantity)
}
