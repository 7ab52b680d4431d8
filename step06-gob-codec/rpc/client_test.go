package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestClient_GetsTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		for _, method := range []string{"Inventory.CheckStock", "Inventory.List"} {
			var result string
			require.NoError(t, call(c, method, "item1", &result))
			assert.Equal(t, "Echo: "+method, result)
		}
	})
}

func TestClient_SendsParamsAsJSON(t *testing.T) {
	type order struct {
		Item     string `json:"item"`
		Quantity int    `json:"quantity"`
	}
	for _, test := range []struct {
		name   string
		params any
		want   string
	}{
		{"none", nil, ""},
		{"a string", "item1", `"item1"`},
		{"a struct", order{"item1", 2}, `{"item":"item1","quantity":2}`},
		{"a nil pointer", (*order)(nil), `null`},
		{"raw JSON", json.RawMessage(`[1,2]`), `[1,2]`},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var got Request
				c := newClient(t, newServer(t, &Server{Handle: handle(func(req Request) Response {
					got = req
					return Response{}
				})}))
				require.NoError(t, call(c, "M", test.params, nil))
				assert.Equal(t, "M", got.Method)
				assert.Equal(t, test.want, string(got.Params))
			})
		})
	}
}

func TestClient_RemoteErrorIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newServer(t, &Server{Handle: handle(func(req Request) Response {
			return Response{Error: "unknown item: " + string(req.Params)}
		})}))
		for _, item := range []int{9, 10} { // the client goes on working
			var remote *Error
			require.ErrorAs(t, call(c, "M", item, nil), &remote)
			assert.Equal(t, fmt.Sprint("unknown item: ", item), remote.Message)
			assert.EqualError(t, remote, remote.Message, "the server's own words")
		}
	})
}

func TestClient_BrokenConnectionFailsEveryCallWithTheReason(t *testing.T) {
	for _, test := range []struct {
		name, answer string
		want         error // what the reason wraps, if the test can know
	}{
		{"the server dies", "", io.EOF},
		{"half an answer", `{"result":`, nil},
		{"garbage", "hello\n", nil},
		{"neither result nor error", respond(``), nil},
		{"invalid UTF-8", respond("\"result\":\"\xff\""), nil},
		{"wrong type of error", respond(`"error":5`), nil},
		{"too much", respond(`"result":"` + strings.Repeat("x", maxLine) + `"`), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, server := playServer(t)
				done := goCall(c, "M", nil, nil)
				read(t, server)
				io.WriteString(server, test.answer)
				server.Close()

				err := <-done
				require.Error(t, err)
				if test.want != nil {
					assert.ErrorIs(t, err, test.want)
				}
				assert.NotErrorAs(t, err, new(*Error))
				assert.Equal(t, err, call(c, "M", nil, nil), "later calls fail likewise")
			})
		})
	}
}

func TestClient_ClosesABrokenConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goCall(c, "M", nil, nil)
		read(t, server)
		write(t, server, "hello\n")
		assert.Error(t, <-done)
		server.SetReadDeadline(time.Now().Add(patience))
		_, err := server.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "the server learns of it")
	})
}

func TestClient_GoesOnAfterAResultThatDoesNotFit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		var number int
		err := call(c, "M", nil, &number)
		require.Error(t, err)
		assert.NotErrorAs(t, err, new(*Error))
		var text string
		require.NoError(t, call(c, "M", nil, &text))
		assert.Equal(t, "Echo: M", text)
	})
}

func TestClient_AResultVariableUsedTwiceIsNotMixed(t *testing.T) {
	type shelf struct {
		Item  string         `json:"item"`
		Count int            `json:"count,omitempty"`
		Where map[string]int `json:"where"`
		Tags  []string       `json:"tags"`
	}
	synctest.Test(t, func(t *testing.T) {
		var result, first shelf
		for i, answer := range []string{
			`"result":{"item":"item1","count":3,"where":{"hall":1},"tags":["a","b"]}`,
			`"result":{"item":"item2","where":{"yard":2},"tags":["c"]}`,
			`"error":"unknown item: item9"`,
			`"result":{"item":"item3","count":"three"}`,
		} {
			c, server := playServer(t)
			done := goCall(c, "M", nil, &result)
			read(t, server)
			write(t, server, respond(answer))
			err := <-done
			assert.Equal(t, i >= 2, err != nil, "%s: %v", answer, err)
			if i == 0 {
				first = result
				continue
			}
			assert.Equal(t, shelf{Item: "item2", Where: map[string]int{"yard": 2}, Tags: []string{"c"}}, result, answer)
		}
		assert.Equal(t, shelf{"item1", 3, map[string]int{"hall": 1}, []string{"a", "b"}}, first)

		c, server := playServer(t)
		done := goCall(c, "M", nil, &result)
		read(t, server)
		write(t, server, respond(`"result":null`))
		require.NoError(t, <-done)
		assert.Equal(t, shelf{}, result, "null is a result, too")
	})
}

func TestClient_GoesOnAfterARequestItCannotSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		for _, params := range []any{make(chan int), strings.Repeat("x", maxLine)} {
			err := call(c, "M", params, nil)
			require.Error(t, err)
			assert.NotErrorAs(t, err, new(*Error), "the server has seen nothing")
		}
		var result string
		require.NoError(t, call(c, "M", nil, &result))
		assert.Equal(t, "Echo: M", result)
	})
}

// An eagerConn takes what is written at once, as TCP does, so that a caller comes
// back for its next call without a pause.
type eagerConn struct {
	net.Conn
	out chan []byte
}

func (c eagerConn) Write(p []byte) (int, error) {
	c.out <- bytes.Clone(p)
	return len(p), nil
}

func newEagerConn(t *testing.T, conn net.Conn) net.Conn {
	c := eagerConn{conn, make(chan []byte, 100)}
	go func() {
		for {
			select {
			case p := <-c.out:
				conn.Write(p)
			case <-t.Context().Done():
				return
			}
		}
	}()
	return c
}

func TestClient_ConcurrentCallersGetTheirOwnResults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clientOn(t, newEagerConn(t, newEchoServer(t).connect(t)))
		var callers sync.WaitGroup
		for i := range 20 {
			callers.Go(func() {
				for j := range 10 {
					method := fmt.Sprint("M", i, "-", j)
					var result string
					if !assert.NoError(t, call(c, method, nil, &result)) || !assert.Equal(t, "Echo: "+method, result) {
						return
					}
				}
			})
		}
		callers.Wait()
	})
}

func TestClient_CloseEndsTheCallThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		done := goCall(c, "M", nil, nil)
		read(t, server)
		require.NoError(t, c.Close())
		require.NoError(t, c.Close())
		assert.ErrorIs(t, <-done, ErrClientClosed)
		assert.ErrorIs(t, call(c, "M", nil, nil), ErrClientClosed)
	})
}

func TestClient_CloseAfterAFailureIsNoError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		server.Close()
		c := clientOn(t, &closeOnceConn{Conn: client})
		require.Error(t, call(c, "M", nil, nil))
		assert.NoError(t, c.Close(), "the connection is closed already")
	})
}

// A closeOnceConn refuses to be closed twice, as TCP connections do.
type closeOnceConn struct {
	net.Conn
	closed atomic.Bool
}

func (c *closeOnceConn) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	return c.Conn.Close()
}

// assertBroken checks that err gives the reason why the connection is broken. The
// words in front of the reason are free, but they are there once.
func assertBroken(t *testing.T, err, reason error) {
	t.Helper()
	if assert.ErrorIs(t, err, reason) {
		words, _, _ := strings.Cut(err.Error(), reason.Error())
		half := words[:len(words)/2]
		assert.False(t, half != "" && words == half+half, "says twice that the connection is broken: %s", err)
	}
}

// yield lets the other goroutines go on. A synctest.Wait would not return, nor would
// a bubble's clock go on, while one of them waits for a mutex.
func yield() {
	for range 1000 {
		runtime.Gosched()
	}
}

// A halfConn takes half of the first Write, which then fails with the halfConn as
// its error. While it is being closed, others may write.
type halfConn struct {
	net.Conn
	release chan struct{} // closed: the first Write fails
	closed  atomic.Bool
	writes  atomic.Int32
	tooLate atomic.Int32 // Writes after the first, on the open connection
}

func (c *halfConn) Write(p []byte) (int, error) {
	if c.writes.Add(1) == 1 {
		<-c.release
		return len(p) / 2, c
	}
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	c.tooLate.Add(1)
	return len(p), nil
}

func (c *halfConn) Close() error {
	yield() // to those who may write
	c.closed.Store(true)
	return c.Conn.Close()
}

func (c *halfConn) Error() string { return "half a line was written" }

// endOf returns the error with which a call ends, which it has to.
func endOf(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		require.FailNow(t, "the call waits for ever")
		return nil
	}
}

func TestClient_AWriteThatFailsBreaksTheConnection(t *testing.T) {
	for range 20 { // the other call comes at another moment each time
		synctest.Test(t, func(t *testing.T) {
			client, server := net.Pipe()
			defer server.Close()
			conn := &halfConn{Conn: client, release: make(chan struct{})}
			c := clientOn(t, conn)
			one, other := goCall(c, "M", nil, nil), goCall(c, "M", nil, nil)
			yield() // until one writes, and the other waits for its turn
			close(conn.release)
			for _, err := range []error{endOf(t, one), endOf(t, other), endOf(t, goCall(c, "Later", nil, nil))} {
				assertBroken(t, err, conn)
			}
			assert.Zero(t, conn.tooLate.Load(), "lines behind half a line")
		})
	}
}

func TestDial_ConnectsToAServer(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := newEchoServer(t)
	go srv.Serve(ln)
	c, err := dial(ln.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	assert.NoError(t, call(c, "M", nil, nil))
}

func TestDial_SaysWhyItCannotConnect(t *testing.T) {
	_, err := dial("127.0.0.1:no-such-port")
	assert.ErrorContains(t, err, "no-such-port")
}
