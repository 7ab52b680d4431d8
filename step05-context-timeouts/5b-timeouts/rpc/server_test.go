package rpc

import (
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_AnswersEachLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		assert.Equal(t, answer("hello"), exchange(t, conn, request("hello")))
		assert.Equal(t, answer("again"), exchange(t, conn, request("again")))
	})
}

func TestServer_ReadsALineThatComesInPieces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		for _, b := range []byte(request("hello")) {
			write(t, conn, string(b))
		}
		assert.Equal(t, answer("hello"), read(t, conn))
	})
}

func TestServer_AnswersTwoLinesOfOneWriteInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		write(t, conn, request("one")+request("two"))
		assert.Equal(t, answer("one"), read(t, conn))
		assert.Equal(t, answer("two"), read(t, conn))
	})
}

func TestServer_AnswersALineOfTheLongestLength(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newEchoServer(t).connect(t)
		line, want := lineOf(maxLine)
		require.Len(t, line, maxLine+1)
		got := exchange(t, conn, line)
		assert.True(t, want == got, "expected %.100q, got %d bytes: %.100q", want, len(got), got)
	})
}

func TestServer_EndsOnlyTheConnectionWhoseLineIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		bad, good := srv.connect(t), srv.connect(t)
		line, want := lineOf(maxLine + 1)
		go io.WriteString(bad, line)
		bad.SetReadDeadline(time.Now().Add(patience))
		got, err := io.ReadAll(bad)
		require.NoError(t, err, "the server has to close the connection")
		assert.NotContains(t, string(got), want)
		assert.Equal(t, answer("hello"), exchange(t, good, request("hello")))
	})
}

func TestServer_SlowClientHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		silent, deaf, other := srv.connect(t), srv.connect(t), srv.connect(t)
		write(t, silent, request("half a line")[:5])
		write(t, deaf, request("never read"))
		synctest.Wait() // the server waits for both of them
		assert.Equal(t, answer("hello"), exchange(t, other, request("hello")))
	})
}

// A watchedConn is a connection whose memory a test watches.
type watchedConn struct{ net.Conn }

// connectWatched is connect, and also returns a weak pointer to the server's end.
// Its Value is nil once the garbage collector has found that nothing holds it.
func connectWatched(t *testing.T, srv *testServer) (net.Conn, weak.Pointer[watchedConn]) {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close() })
	conn := &watchedConn{server}
	srv.accept(t, conn)
	return client, weak.Make(conn)
}

func TestServer_ForgetsAConnectionThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		conn, held := connectWatched(t, srv)
		assert.Equal(t, answer("hello"), exchange(t, conn, request("hello")))
		write(t, conn, request("half a line")[:5])
		conn.Close()
		synctest.Wait()
		for range 3 { // an object in a sync.Pool survives the first
			runtime.GC()
		}
		assert.Nil(t, held.Value(), "the server still holds a connection that has ended")
	})
}

func TestServer_CloseEndsConnectionsAndServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		idle, deaf := srv.connect(t), srv.connect(t)
		write(t, deaf, request("never read"))
		synctest.Wait()
		require.NoError(t, srv.Close())
		require.ErrorIs(t, <-srv.served, ErrServerClosed)
		_, err := idle.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// A lateConn takes an hour to notice that it has been closed.
type lateConn struct{ net.Conn }

func (c lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		<-time.After(time.Hour) // of the bubble's clock
	}
	return n, err
}

func TestServer_CloseWaitsForItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		srv := newEchoServer(t)
		srv.accept(t, lateConn{server})
		synctest.Wait() // a goroutine waits for a line
		start := time.Now()
		go srv.Close()
		synctest.Wait() // the first Close waits, and the second one has to wait, too
		require.NoError(t, srv.Close())
		assert.GreaterOrEqual(t, time.Since(start), time.Hour, "Close returned while a goroutine was still busy")
		<-time.After(patience) // what is left over ends now, and only this test is red
	})
}

// A busyListener accepts one connection. When Serve asks for the next, that one's
// goroutine has been started, and most likely has not run yet: this is when closing
// is called.
type busyListener struct {
	*pipeListener
	closing func()
}

func (l *busyListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	default:
	}
	go l.closing()
	return l.pipeListener.Accept()
}

// A usedConn counts the calls of Read that begin once its server has been closed.
type usedConn struct {
	net.Conn
	closed, used *atomic.Int32
}

func (c usedConn) Read(p []byte) (int, error) {
	c.used.Add(c.closed.Load())
	return c.Conn.Read(p)
}

func TestServer_CloseWaitsForAGoroutineThatHasNotBegun(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // a second processor would run the goroutine at once
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		var closed, used atomic.Int32
		srv := &Server{}
		ln := &busyListener{newPipeListener(), func() {
			srv.Close()
			closed.Store(1)
		}}
		ln.conns = make(chan net.Conn, 1)
		ln.conns <- usedConn{server, &closed, &used}
		require.ErrorIs(t, srv.Serve(ln), ErrServerClosed)
		synctest.Wait()
		require.Equal(t, int32(1), closed.Load(), "Close does not return")
		assert.Zero(t, used.Load(), "Close returned before a goroutine of the server had begun: count it before you start it")
	})
}

// A failingListener fails after an hour. Close does not reach it, so Serve learns
// nothing of Close from the listener.
type failingListener struct{ *pipeListener }

func (failingListener) Accept() (net.Conn, error) {
	<-time.After(time.Hour) // of the bubble's clock
	return nil, net.ErrClosed
}

func TestServer_AcceptFailsAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(failingListener{newPipeListener()}) }()
		<-time.After(time.Minute)
		require.NoError(t, srv.Close())
		assert.ErrorIs(t, <-served, ErrServerClosed)
	})
}

// assertClosed checks that a listener on which Serve has returned is closed.
func assertClosed(t *testing.T, ln *pipeListener) {
	t.Helper()
	select {
	case <-ln.closed:
	default:
		assert.Fail(t, "Serve left its listener open")
	}
}

func TestServer_CloseMayComeFirstAndTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{}
		require.NoError(t, srv.Close())
		require.NoError(t, srv.Close())
		late := newServer(t, srv)
		synctest.Wait()
		require.Len(t, late.served, 1, "Serve returns at once")
		require.ErrorIs(t, <-late.served, ErrServerClosed)
		assertClosed(t, late.ln)
	})
}

// A lateListener accepts one more connection after it has been closed, as a
// listener does whose Accept has just returned when Close is called.
type lateListener struct {
	*pipeListener
	late chan net.Conn
}

func (l lateListener) Accept() (net.Conn, error) {
	if conn, err := l.pipeListener.Accept(); err == nil {
		return conn, nil
	}
	<-time.After(time.Second) // of the bubble's clock
	select {
	case conn := <-l.late:
		return conn, nil
	default:
		return nil, net.ErrClosed
	}
}

func TestServer_ClosesAConnectionThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		ln := lateListener{newPipeListener(), make(chan net.Conn, 1)}
		ln.late <- server
		srv := &Server{}
		served := make(chan error, 1)
		go func() { served <- srv.Serve(ln) }()
		synctest.Wait() // it accepts
		require.NoError(t, srv.Close())
		client.SetReadDeadline(time.Now().Add(patience))
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
		assert.ErrorIs(t, <-served, ErrServerClosed)
	})
}

func TestServer_ServesSeveralListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		second := newServer(t, srv.Server)
		assert.Equal(t, answer("hello"), exchange(t, srv.connect(t), request("hello")))
		assert.Equal(t, answer("hello"), exchange(t, second.connect(t), request("hello")))
	})
}

func TestServer_SaysWhyItCannotListen(t *testing.T) {
	err := new(Server).ListenAndServe("127.0.0.1:no-such-port")
	assert.ErrorContains(t, err, "no-such-port")
}

func TestServer_ListenAndServeReturnsAfterClose(t *testing.T) {
	srv := &Server{}
	served := make(chan error, 1)
	go func() { served <- srv.ListenAndServe("127.0.0.1:0") }()
	require.NoError(t, srv.Close()) // before or after it listens
	assert.ErrorIs(t, <-served, ErrServerClosed)
}

func TestServer_ServeReturnsWhatAcceptFailedWith(t *testing.T) {
	ln := newPipeListener()
	ln.Close() // not by the server
	assert.ErrorIs(t, new(Server).Serve(ln), net.ErrClosed)
}

func TestServer_ServeClosesItsListenerWhenAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := newPipeListener()
		assert.ErrorIs(t, new(Server).Serve(failingListener{ln}), net.ErrClosed)
		assertClosed(t, ln)
	})
}

// A muteConn fails all writes, and can still be read from.
type muteConn struct{ net.Conn }

func (muteConn) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestServer_AWriteThatFailsEndsTheConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		newEchoServer(t).accept(t, muteConn{server})
		write(t, client, request("hello"))
		client.SetReadDeadline(time.Now().Add(patience))
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "the server goes on with a connection that takes no answers")
	})
}
