package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_SlowCallHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() string { <-release; return "slow" })
		register(t, srv, "Quick", func() string { return "quick" })
		c := newClient(t, srv)
		var slow, quick string
		done := goCall(c, "Test.Slow", nil, &slow)
		synctest.Wait() // it has reached its method
		require.NoError(t, call(c, "Test.Quick", nil, &quick))
		assert.Equal(t, "quick", quick)
		close(release)
		require.NoError(t, <-done)
		assert.Equal(t, "slow", slow)
	})
}

func TestServer_AnswersAThousandCallsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const calls = 1000
		arrived, release := make(chan struct{}, calls), make(chan struct{})
		srv := newServer(t, &Server{Handle: handle(func(req Request) Response {
			arrived <- struct{}{}
			<-release
			return echo(req)
		})})
		c := newClient(t, srv)
		var done []chan struct{}
		for i := range calls {
			done = append(done, goEcho(t, c, fmt.Sprint("M", i)))
		}
		for range calls { // all of them are in their methods at the same time
			<-arrived
		}
		close(release)
		for _, d := range done {
			<-d
		}
	})
}

func TestServer_AnswersRequestsWithoutIDInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		conn := newServer(t, &Server{Handle: handle(func(req Request) Response {
			if req.Method == "Slow" {
				<-release
			}
			return echo(req)
		})}).connect(t)
		write(t, conn, request("Slow")+request("Quick"))
		synctest.Wait()
		close(release)
		assert.Equal(t, answer("Slow"), read(t, conn))
		assert.Equal(t, answer("Quick"), read(t, conn))
	})
}

func TestServer_DeafClientHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		deaf := srv.connect(t)
		for i := range 100 { // a client that sends and sends, and never reads
			write(t, deaf, fmt.Sprintf(`{"id":%d,"method":"M"}`+"\n", i+1))
		}
		<-goEcho(t, newClient(t, srv), "M")
		require.NoError(t, srv.Close(), "which ends the hundred")
	})
}

// A soloConn fails a write while another is under way. A Conn may be written to
// concurrently, but an encoder in front of one may not.
type soloConn struct {
	net.Conn
	busy atomic.Bool
}

func (c *soloConn) Write(p []byte) (int, error) {
	if c.busy.Swap(true) {
		return 0, errors.New("two writes at a time")
	}
	defer c.busy.Store(false)
	return c.Conn.Write(p)
}

func TestServer_WritesOneResponseAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		newEchoServer(t).ln.conns <- &soloConn{Conn: server}
		write(t, client, `{"id":1,"method":"M"}`+"\n"+`{"id":2,"method":"M"}`+"\n")
		synctest.Wait() // both have their results
		for range 2 {
			assert.Contains(t, read(t, client), `"result":"Echo: M"`)
		}
	})
}

func TestServer_EndsAConnectionThatItCannotWriteTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		broken := &soloConn{Conn: server}
		broken.busy.Store(true) // for ever
		newEchoServer(t).ln.conns <- broken
		write(t, client, `{"id":1,"method":"M"}`+"\n")
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// A half is the server's end of a connection whose client has finished sending.
type half struct {
	net.Conn
	sent io.Reader
}

func (c half) Read(p []byte) (int, error) { return c.sent.Read(p) }

func TestServer_WaitsASecondForAClientThatHasFinishedSendingAndIsDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		start := time.Now()
		newEchoServer(t).ln.conns <- half{server, strings.NewReader(`{"id":1,"method":"M"}` + "\n")}
		_, err := client.Write([]byte("until the server hangs up"))
		assert.ErrorIs(t, err, io.ErrClosedPipe)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestClient_CallersMayComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClient(t, newEchoServer(t))
		for i := range 100 {
			ctx, cancel := context.WithCancel(t.Context())
			gone := make(chan error, 1)
			go func() { gone <- c.Call(ctx, "Gone", nil, nil) }()
			stays := goEcho(t, c, fmt.Sprint("Stays", i))
			cancel() // before, while or after it is answered
			if err := <-gone; err != nil {
				assert.ErrorIs(t, err, context.Canceled)
			}
			<-stays
		}
	})
}

func TestServer_AnswersAlsoForAMethodThatCallsGoexit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Exit", func() { runtime.Goexit() }) // as a require that fails in it would
		c := newClient(t, srv)
		assert.EqualError(t, call(c, "Test.Exit", nil, nil), "internal error")
		assert.EqualError(t, call(c, "Test.Exit", nil, nil), "internal error", "the connection goes on")
	})
}

// A client that has sent all it has to say may close its own direction, and
// reads on. A pipe cannot be closed by half.
func TestServer_AnswersAllRequestsOfAClientThatHasFinishedSending(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &Server{Handle: handle(echo)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	for range 20 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		for i := range 5 {
			write(t, conn, fmt.Sprintf(`{"id":%d,"method":"M"}`+"\n", i+1))
		}
		conn.(*net.TCPConn).CloseWrite()
		got, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Equal(t, 5, strings.Count(string(got), "\n"), "one response each")
		conn.Close()
	}
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
}
