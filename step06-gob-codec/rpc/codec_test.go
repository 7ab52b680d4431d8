package rpc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// speak makes the servers and clients of this test speak a codec.
func speak(t *testing.T, codec string) {
	t.Helper()
	require.NotNil(t, newCodec[codec], "no codec is called %s", codec)
	testCodec = codec
	t.Cleanup(func() { testCodec = "" })
}

func TestCodec_CarriesRequestsAndResponses(t *testing.T) {
	for _, name := range codecs {
		speak(t, name)
		var wire bytes.Buffer
		codec := newCodec[name](bufio.NewReader(&wire), &wire)

		require.NoError(t, codec.WriteRequest(Request{ID: 7, Method: "M", TimeoutMS: 5, value: line{"item1", 2}}))
		req, err := codec.ReadRequest(func(method string) any {
			assert.Equal(t, "M", method)
			return &line{}
		})
		require.NoError(t, err)
		var params line
		require.NoError(t, req.decode(&params))
		assert.Equal(t, line{"item1", 2}, params)
		assert.Equal(t, []any{uint64(7), "M", int64(5)}, []any{req.ID, req.Method, req.TimeoutMS})

		require.NoError(t, codec.WriteResponse(Response{ID: 7, value: 100}))
		resp, err := codec.ReadResponse(func(id uint64) any {
			assert.Equal(t, uint64(7), id)
			return new(int)
		})
		require.NoError(t, err)
		var result int
		require.NoError(t, resp.decode("M", &result))
		assert.Equal(t, 100, result)
		assert.Zero(t, wire.Len(), "what is written is read")
	}
}

func TestCodec_RefusesWhatIsNoRequest(t *testing.T) {
	for _, name := range codecs {
		speak(t, name)
		var wire bytes.Buffer
		codec := newCodec[name](bufio.NewReader(&wire), &wire)
		require.NoError(t, codec.WriteRequest(Request{ID: 7}))
		req, err := codec.ReadRequest(func(string) any { return nil })
		assert.ErrorIs(t, err, errInvalidRequest)
		assert.EqualValues(t, 7, req.ID, "which the answer needs")
	}
}

func TestCodec_IsToldWhatTypeToReadByTheServer(t *testing.T) {
	var srv Server
	require.NoError(t, srv.Register("Inventory", stock{}))
	assert.IsType(t, new(string), srv.newParams("Inventory.CheckStock"))
	assert.Nil(t, srv.newParams("Inventory.Nope"))

	svc := NewService("Test")
	require.NoError(t, svc.Register("Nothing", func() int { return 0 }))
	require.NoError(t, srv.RegisterService(svc))
	assert.IsType(t, new(struct{}), srv.newParams("Test.Nothing"), "a method without a parameter")
}

func TestCodec_IsToldWhatTypeToReadByTheClient(t *testing.T) {
	c := &Client{pending: make(map[uint64]*pendingCall)}
	var quantity int
	wanted, err := c.register(&quantity)
	require.NoError(t, err)
	assert.IsType(t, new(int), c.newResult(wanted.id))
	assert.NotSame(t, &quantity, c.newResult(wanted.id), "the caller's own is the caller's")

	unwanted, err := c.register(nil)
	require.NoError(t, err)
	assert.Nil(t, c.newResult(unwanted.id))
	c.take(wanted.id)
	assert.Nil(t, c.newResult(wanted.id), "the call has ended")
}

func TestClient_WantsAPointerForTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		assert.EqualError(t, call(c, "Inventory.CheckStock", "item1", 5), "rpc: result is a int: want a pointer, or nil")
		assert.EqualError(t, call(c, "Inventory.CheckStock", "item1", (*int)(nil)), "rpc: result is a *int: want a pointer, or nil")
	})
}

// A bomb panics in whatever encodes or decodes it.
type bomb struct{ Fuse int }

func (bomb) MarshalJSON() ([]byte, error)  { panic("json bomb: " + hostile) }
func (*bomb) UnmarshalJSON(b []byte) error { panic("json bomb: " + hostile) }

func TestServer_SurvivesAPanicInAValuesOwnCode(t *testing.T) {
	for _, codec := range codecs {
		synctest.Test(t, func(t *testing.T) {
			speak(t, codec)
			var logged bytes.Buffer
			srv := newServer(t, &Server{ErrorLog: log.New(&logged, "", 0)})
			register(t, srv, "Result", func() bomb { return bomb{} })
			register(t, srv, "Quick", func() int { return 1 })
			c := newClient(t, srv)
			err := call(c, "Test.Result", nil, nil)
			assert.Error(t, err)
			assert.NotContains(t, err.Error(), "bomb")
			assert.Contains(t, logged.String(), codec+" bomb")
			assertForgesNothing(t, logged.String())

			other := newClient(t, srv)
			assert.NoError(t, call(other, "Test.Quick", nil, nil), "the server goes on")
		})
	}
}

func TestClient_GoesOnAfterAPanicInItsParams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		assert.Panics(t, func() { call(c, "Inventory.CheckStock", bomb{}, nil) }, "in the caller's own goroutine")
		assert.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
	})
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

// A failingCodec fails when it writes, and does not say that nothing was written.
type failingCodec struct{ Codec }

func (failingCodec) WriteRequest(Request) error   { return errors.New("half a message") }
func (failingCodec) WriteResponse(Response) error { return errors.New("half a message: " + hostile) }

// speakFailing makes all codecs of this test failingCodecs.
func speakFailing(t *testing.T) {
	json := newCodec["json"]
	newCodec["json"] = func(r *bufio.Reader, w io.Writer) Codec { return failingCodec{json(r, w)} }
	t.Cleanup(func() { newCodec["json"] = json })
}

func TestClient_ACodecThatFailsBreaksTheConnection(t *testing.T) {
	speakFailing(t)
	synctest.Test(t, func(t *testing.T) {
		c, _ := playServer(t)
		assert.EqualError(t, call(c, "M", nil, nil), "rpc: M: half a message")
		assert.EqualError(t, call(c, "M", nil, nil), "rpc: connection broken: half a message")
	})
}

func TestServer_ACodecThatFailsEndsTheConnectionAndIsLogged(t *testing.T) {
	speakFailing(t)
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		conn := newServer(t, &Server{ErrorLog: log.New(&logged, "", 0)}).connect(t)
		write(t, conn, `{"id":1,"method":"M"}`+"\n")
		_, err := conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		assert.Contains(t, logged.String(), "half a message")
		assertForgesNothing(t, logged.String())
	})
}

func TestClient_AWriteThatFailsLeavesNothingToWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		broken := &soloConn{Conn: client}
		broken.busy.Store(true) // for ever
		c := clientOn(t, broken)
		assert.EqualError(t, call(c, "M", nil, nil), "rpc: connection broken: two writes at a time")
		synctest.Wait()
		assert.Zero(t, c.out.Len())
	})
}
