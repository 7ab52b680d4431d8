package rpc

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

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
		assert.Equal(t, want, exchange(t, conn, line))
	})
}

func TestServer_EndsOnlyTheConnectionWhoseLineIsTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		bad, good := srv.connect(t), srv.connect(t)
		line, want := lineOf(maxLine + 1)
		go io.WriteString(bad, line)
		got, err := io.ReadAll(bad)
		require.NoError(t, err, "the server ends the connection")
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

func TestServer_ForgetsAConnectionThatEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		conn := srv.connect(t)
		exchange(t, conn, request("hello"))
		require.Len(t, srv.open, 2, "the listener and the connection")
		write(t, conn, request("half a line")[:5])
		conn.Close()
		synctest.Wait()
		assert.Len(t, srv.open, 1)
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
		assert.Empty(t, srv.open, "Close has waited for all goroutines")
		_, err := idle.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
	})
}

// A lateConn is slow to notice that it has been closed.
type lateConn struct{ net.Conn }

func (c lateConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		<-time.After(time.Second) // of the bubble's clock
	}
	return n, err
}

func TestServer_CloseWaitsForItsGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		srv := &Server{}
		srv.start(lateConn{server})
		synctest.Wait() // it waits for a line
		require.NoError(t, srv.Close())
		assert.Empty(t, srv.open)
		<-time.After(time.Minute) // what is left over ends now, and only this test is red
	})
}

func TestServer_CloseMayComeFirstAndTwice(t *testing.T) {
	srv := &Server{}
	require.NoError(t, srv.Close())
	require.NoError(t, srv.Close())
	ln := newPipeListener()
	require.ErrorIs(t, srv.Serve(ln), ErrServerClosed)
	_, err := ln.Accept()
	assert.ErrorIs(t, err, net.ErrClosed, "Serve closes the listener all the same")
}

func TestServer_ClosesAConnectionThatComesTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{}
		require.NoError(t, srv.Close())
		client, server := net.Pipe()
		srv.start(server) // accepted before Close, and started after it
		client.SetReadDeadline(time.Now().Add(patience))
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF)
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
	require.Error(t, err)
	assert.Contains(t, err.Error(), "rpc: listen tcp")
}

func TestServer_ServeReturnsWhatAcceptFailedWith(t *testing.T) {
	ln := newPipeListener()
	ln.Close() // not by the server
	assert.ErrorIs(t, new(Server).Serve(ln), net.ErrClosed)
}
