package rpc

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"testing"
	"testing/synctest"
	"time"

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
		for _, req := range []Request{
			{ID: 7},
			{ID: 7, Method: "M", TimeoutMS: -1},
			{Cancel: true},
		} {
			require.NoError(t, codec.WriteRequest(req))
			got, err := codec.ReadRequest(func(string) any { return nil })
			assert.ErrorIs(t, err, errInvalidRequest, "%s: %+v", name, req)
			assert.Equal(t, req.ID, got.ID, "which the answer needs")
		}
	}
}

// A spyCodec asks what to decode each message into, as codecs do that have to
// know, and notes what it was told last.
type spyCodec struct {
	Codec
	params, result *any
}

func (s spyCodec) ReadRequest(params func(string) any) (Request, error) {
	req, err := s.Codec.ReadRequest(params)
	if err == nil {
		*s.params = params(req.Method)
	}
	return req, err
}

func (s spyCodec) ReadResponse(result func(uint64) any) (Response, error) {
	resp, err := s.Codec.ReadResponse(result)
	if err == nil {
		*s.result = result(resp.ID)
	}
	return resp, err
}

// speakToSpies makes all codecs of this test spyCodecs, and returns their notes.
func speakToSpies(t *testing.T) (params, result *any) {
	params, result = new(any), new(any)
	json := newCodec["json"]
	newCodec["json"] = func(r *bufio.Reader, w io.Writer) Codec { return spyCodec{json(r, w), params, result} }
	t.Cleanup(func() { newCodec["json"] = json })
	return params, result
}

func TestCodec_IsToldWhatTypeToReadByTheServer(t *testing.T) {
	params, _ := speakToSpies(t)
	synctest.Test(t, func(t *testing.T) {
		srv := newStockServer(t)
		register(t, srv, "Zero", func() int { return 0 })
		c := newClient(t, srv)
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
		assert.IsType(t, new(string), *params)
		require.NoError(t, call(c, "Test.Zero", nil, nil))
		assert.NotNil(t, *params, "a method without a parameter: what follows is read, and refused if there is more than nothing")
		require.Error(t, call(c, "Inventory.Nope", "item1", nil))
		assert.Nil(t, *params, "no such method")
	})
}

func TestCodec_IsToldWhatTypeToReadByTheClient(t *testing.T) {
	_, result := speakToSpies(t)
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newStockServer(t))
		var quantity int
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", &quantity))
		assert.IsType(t, new(int), *result)
		assert.NotSame(t, &quantity, *result, "the caller's own is the caller's")
		require.NoError(t, call(c, "Inventory.CheckStock", "item1", nil))
		assert.Nil(t, *result, "nobody wants it")
		var others []<-chan error
		for range 10 { // the race detector would see who looks without the lock
			others = append(others, goCall(c, "Inventory.CheckStock", "item1", new(int)))
		}
		for _, done := range others {
			assert.NoError(t, <-done)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "M", nil, new(int)) }()
		read(t, server)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		read(t, server) // that the call is cancelled
		*result = "not asked"
		write(t, server, respond(`"result":1`))
		synctest.Wait()
		assert.Nil(t, *result, "the call has ended")
	})
}

func TestClient_WantsAPointerForTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		c := newClient(t, newServer(t, &Server{Handle: handle(func(Request) Response { calls++; return Response{} })}))
		assert.Error(t, call(c, "M", nil, 5))
		assert.Error(t, call(c, "M", nil, (*int)(nil)))
		assert.Zero(t, calls, "such a call is not made")
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
		settle() // one is being written, the others wait
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
		c, server := playServer(t)
		assert.ErrorContains(t, call(c, "M", nil, nil), "half a message")
		assert.ErrorContains(t, call(c, "M", nil, nil), "half a message")
		server.SetReadDeadline(time.Now().Add(patience))
		_, err := server.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "the connection is closed")
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

// A tornConn takes half of its first write, and then fails once it is told to. It
// notes what it is given later.
type tornConn struct {
	net.Conn
	fail  chan struct{}
	later []byte
}

func (c *tornConn) Write(p []byte) (int, error) {
	select {
	case <-c.fail:
		c.later = append(c.later, p...)
		return c.Conn.Write(p)
	default:
		<-c.fail
		return len(p) / 2, errors.New("torn")
	}
}

func TestClient_AWriteThatFailsLeavesNothingToWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		conn := &tornConn{Conn: client, fail: make(chan struct{})}
		c := clientOn(t, conn)
		first := goCall(c, "First", nil, nil)
		synctest.Wait() // it is being written
		second := goCall(c, "Second", nil, nil)
		synctest.Wait() // it waits for its turn
		close(conn.fail)
		assert.Error(t, <-first)
		assert.Error(t, <-second)
		synctest.Wait()
		assert.NotContains(t, string(conn.later), "First", "the rest of a request that failed")
	})
}
