package rpc

import (
	"bufio"
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What holds for JSON holds for gob: these tests make their calls through
// newClient, which asks for testCodec.
func TestGob_BehavesLikeJSON(t *testing.T) {
	speak(t, "gob")
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

func TestGob_CarriesBytesAsTheyAre(t *testing.T) {
	photo := bytes.Repeat([]byte{0, 1, 0xff}, 1000)
	var wire bytes.Buffer
	codec := newGobCodec(bufio.NewReader(&wire), &wire)
	require.NoError(t, codec.WriteRequest(Request{Method: "M", value: photo}))
	assert.Contains(t, wire.String(), string(photo))
}

func TestGob_DescribesATypeOnce(t *testing.T) {
	speak(t, "gob")
	sizes := make(map[string][]int) // of three messages, by codec
	for _, name := range codecs {
		var wire bytes.Buffer
		codec := newCodec[name](bufio.NewReader(&wire), &wire)
		for range 3 {
			wire.Reset()
			require.NoError(t, codec.WriteRequest(Request{ID: 1, Method: "Inventory.CheckStock", value: "item1"}))
			sizes[name] = append(sizes[name], wire.Len())
		}
		t.Logf("%s: %d bytes", name, sizes[name])
	}
	assert.Greater(t, sizes["gob"][0], sizes["json"][0])
	assert.Less(t, sizes["gob"][1], sizes["json"][1])
	assert.Equal(t, sizes["gob"][1], sizes["gob"][2])
}

func TestGob_CarriesStructsSlicesAndMaps(t *testing.T) {
	speak(t, "gob")
	type order struct {
		Lines []line
		Notes map[string]string
	}
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Same", func(o order) order { return o })
		c := newClient(t, srv)
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

func TestGob_AResultVariableUsedTwiceIsNotMixed(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Same", func(l line) line { return l })
		c := newClient(t, srv)
		got := line{"item1", 2}
		require.NoError(t, call(c, "Test.Same", line{Item: "item2"}, &got))
		assert.Equal(t, line{Item: "item2"}, got, "gob sends no zero values")
	})
}

func TestGob_StaysInStepWithValuesThatNobodyWants(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		c := newClient(t, srv)
		assert.ErrorContains(t, call(c, "Inventory.Nope", line{"item1", 2}, nil), "method not found")
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", line{"item1", 2}, nil), "invalid params: ")
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", nil, nil), "invalid params: ")
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil), "a result that is not wanted")
		var text string
		assert.ErrorContains(t, call(c, "Inventory.CheckStock", "item1", &text), "Inventory.CheckStock")
		var quantity int
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", &quantity))
		assert.Equal(t, 100, quantity)
	})
}

func TestGob_ALateReplyKeepsTheStreamInStep(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() line { <-release; return line{"item1", 2} })
		register(t, srv, "Quick", func() line { return line{"item2", 1} })
		c := newClient(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Test.Slow", nil, &line{}) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		close(release)
		synctest.Wait() // the late reply is there
		var got line
		require.NoError(t, call(c, "Test.Quick", nil, &got))
		assert.Equal(t, line{"item2", 1}, got)
	})
}

func TestGob_NilPointersAreRefusedAndSpareTheConnection(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		register(t, srv, "Nil", func() *line { return nil })
		c := newClient(t, srv)
		for _, params := range []any{(*string)(nil), new(*string)} {
			err := call(c, "Inventory.CheckStock", params, nil)
			require.Error(t, err)
			assert.NotErrorAs(t, err, new(*Error), "the server has seen nothing")
		}
		assert.ErrorAs(t, call(c, "Test.Nil", nil, nil), new(*Error))
		assert.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
	})
}

func TestGob_GarbageEndsTheConnectionAlone(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		bad, good := greet(t, srv.connect(t)), newClient(t, srv)
		write(t, bad, strings.Repeat("\x05garbage", 3))
		_, err := bad.Read(make([]byte, 1))
		assert.Error(t, err)
		assert.NoError(t, call(good, "Inventory.CheckStock", "item1", nil))
	})
}

// What a bomb does in JSON, it does in gob.
func (bomb) GobEncode() ([]byte, error) { panic("gob bomb: " + hostile) }
func (*bomb) GobDecode(b []byte) error  { panic("gob bomb: " + hostile) }

// A dud can be sent, and panics in whoever decodes it.
type dud struct{}

func (dud) GobEncode() ([]byte, error) { return []byte{1}, nil }
func (*dud) GobDecode([]byte) error    { panic("gob dud") }

func TestGob_SurvivesAPanicWhileAValueIsDecoded(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "In", func(dud) {})
		register(t, srv, "Out", func() dud { return dud{} })
		register(t, srv, "Quick", func() int { return 1 })
		c := newClient(t, srv)
		assert.ErrorContains(t, call(c, "Test.In", dud{}, nil), "invalid params: ")
		assert.ErrorContains(t, call(c, "Test.Out", nil, &dud{}), "Test.Out")
		assert.NoError(t, call(c, "Test.Quick", nil, nil))
		assert.ErrorContains(t, call(c, "Test.Quick", 5, nil), "invalid params: ", "it takes none")
	})
}

func TestGob_AStreamThatEndsWithinAMessageBreaksTheConnection(t *testing.T) {
	speak(t, "gob")
	for _, result := range []any{nil, new(int)} {
		synctest.Test(t, func(t *testing.T) {
			c, server := playServer(t)
			done := goCall(c, "M", nil, result)
			server.Read(make([]byte, 1000))
			gob.NewEncoder(server).Encode(Response{ID: 1}) // and no value
			server.Close()
			assert.Error(t, <-done)
			assert.Error(t, call(c, "M", nil, nil), "the connection is broken")
		})
	}
}

func TestGob_TellsAnEndWithinAMessageFromAnOrderlyOne(t *testing.T) {
	var wire bytes.Buffer
	codec := newGobCodec(bufio.NewReader(&wire), &wire)
	require.NoError(t, codec.WriteRequest(Request{ID: 1, Method: "M", value: "item1"}))
	request := wire.String()
	wire.Reset()
	require.NoError(t, codec.WriteResponse(Response{ID: 1, value: "item1"}))
	response := wire.String()
	for cut := 1; cut <= len("item1")+4; cut++ { // as far as to before the value
		reader := newGobCodec(bufio.NewReader(strings.NewReader(request[:len(request)-cut])), io.Discard)
		_, err := reader.ReadRequest(func(string) any { return new(string) })
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, cut)
		reader = newGobCodec(bufio.NewReader(strings.NewReader(response[:len(response)-cut])), io.Discard)
		_, err = reader.ReadResponse(func(uint64) any { return new(string) })
		assert.ErrorIs(t, err, io.ErrUnexpectedEOF, cut)
	}
	_, err := newGobCodec(bufio.NewReader(strings.NewReader("")), io.Discard).ReadRequest(nil)
	assert.ErrorIs(t, err, io.EOF)
}

var errTorn = errors.New("torn")

// A tornWriter loses what is written first, and says so.
type tornWriter struct{ torn bool }

func (w *tornWriter) Write(p []byte) (int, error) {
	if !w.torn {
		w.torn = true
		return 0, errTorn
	}
	return len(p), nil
}

func TestGob_AFailedEncodeBreaksTheStream(t *testing.T) {
	codec := newGobCodec(bufio.NewReader(strings.NewReader("")), &tornWriter{})
	assert.ErrorIs(t, codec.WriteRequest(Request{Method: "M"}), errTorn)
	assert.Error(t, codec.WriteRequest(Request{Method: "M"}), "types were lost with it")

	var wire bytes.Buffer
	codec = newGobCodec(bufio.NewReader(&wire), &wire)
	func() {
		defer func() { recover() }()
		codec.WriteRequest(Request{ID: 1, Method: "M", value: bomb{}})
	}()
	if err := codec.WriteRequest(Request{ID: 2, Method: "M"}); err == nil {
		req, err := codec.ReadRequest(func(string) any { return nil })
		require.NoError(t, err)
		assert.EqualValues(t, 2, req.ID, "the first went out without its value")
	}
}

// A slowValue is encoded when it is released.
type slowValue struct{ begun, release chan struct{} }

func (v slowValue) GobEncode() ([]byte, error) {
	select {
	case v.begun <- struct{}{}:
	default:
	}
	<-v.release
	return []byte{1}, nil
}

func TestGob_ParamsMayBeReusedWhenCallHasReturned(t *testing.T) {
	speak(t, "gob")
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		params := slowValue{make(chan struct{}, 1), make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Inventory.Nope", params, nil) }()
		<-params.begun
		cancel()
		synctest.Wait()
		assert.Empty(t, done, "Call has returned, and its params are still being encoded")
		close(params.release)
		assert.Error(t, <-done)
	})
}

// Gob gives types numbers in the order in which a process first uses them, so
// the capture is not compared byte for byte: it is decoded.
func TestWire_GobIsDecodedAsCaptured(t *testing.T) {
	speak(t, "gob")
	packets := capture(t, "gob.txt")[2:] // without the hello
	require.Len(t, packets, 2)
	synctest.Test(t, func(t *testing.T) {
		conn := greet(t, newStockServer(t).connect(t))
		write(t, conn, packets[0].data)
		assertResult(t, gob.NewDecoder(conn))
		assertResult(t, gob.NewDecoder(strings.NewReader(packets[1].data)))
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
