package http2

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestConn_HalfClose(t *testing.T) {
	noLeaks(t)
	client, server := rawPair(t)
	_, err := client.Write([]byte("question"))
	require.NoError(t, err)
	require.NoError(t, client.(*conn).CloseWrite())
	got, err := io.ReadAll(server)
	require.NoError(t, err)
	assert.Equal(t, "question", string(got))

	_, err = server.Write([]byte("answer"))
	require.NoError(t, err, "the other direction goes on")
	require.NoError(t, server.(*conn).CloseWrite())
	got, err = io.ReadAll(client)
	require.NoError(t, err)
	assert.Equal(t, "answer", string(got))
}

// The server's CloseWrite ends the stream; nothing that it wrote is lost.
func TestConn_ServersCloseWriteLosesNothing(t *testing.T) {
	noLeaks(t)
	client, server := rawPair(t)
	text := strings.Repeat("reply ", 50_000)
	go func() {
		io.WriteString(server, text)
		server.(*conn).CloseWrite()
	}()
	go client.Write(make([]byte, 1<<20)) // which nobody reads
	got, err := io.ReadAll(client)
	require.NoError(t, err)
	assert.True(t, text == string(got), "%d bytes of %d came", len(got), len(text))
}

// Close sends what was written, as TCP's does.
func TestConn_CloseLosesNothing(t *testing.T) {
	noLeaks(t)
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			writer, reader := rawPair(t)
			if side == "server" {
				writer, reader = reader, writer
			}
			_, err := writer.Write([]byte("last words"))
			require.NoError(t, err)
			require.NoError(t, writer.Close())
			require.NoError(t, writer.Close(), "again")
			got, err := io.ReadAll(reader)
			require.NoError(t, err)
			assert.Equal(t, "last words", string(got))
			_, err = writer.Write([]byte("more"))
			assert.ErrorIs(t, err, net.ErrClosed)
			_, err = writer.Read(make([]byte, 1))
			assert.ErrorIs(t, err, net.ErrClosed)
		})
	}
}

// Who writes to one that does not read waits, at most until the deadline, and
// Close does not wait at all.
func TestConn_Backpressure(t *testing.T) {
	noLeaks(t)
	for _, side := range []string{"client", "server"} {
		t.Run(side, func(t *testing.T) {
			writer, reader := rawPair(t)
			if side == "server" {
				writer, reader = reader, writer
			}
			writer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
			n, err := writer.Write(make([]byte, 64<<20))
			var timeout net.Error
			require.ErrorAs(t, err, &timeout)
			assert.True(t, timeout.Timeout())
			assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
			assert.Less(t, n, 16<<20, "what the windows take")
			began := time.Now()
			require.NoError(t, writer.Close())
			require.NoError(t, reader.Close())
			assert.Less(t, time.Since(began), lingerTime)
		})
	}
}

// A deadline that has passed does not spoil the stream, whatever net/http's do.
func TestConn_ReadsGoOnAfterADeadline(t *testing.T) {
	noLeaks(t)
	client, server := rawPair(t)
	for _, c := range []net.Conn{client, server} {
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		_, err := c.Read(make([]byte, 1))
		assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
		c.SetDeadline(time.Time{})
	}
	go server.Write([]byte("a"))
	got := make([]byte, 1)
	_, err := io.ReadFull(client, got)
	require.NoError(t, err)
	go client.Write([]byte("b"))
	_, err = io.ReadFull(server, got)
	require.NoError(t, err)
}

func TestConn_Addresses(t *testing.T) {
	client, server := rawPair(t)
	assert.Equal(t, client.LocalAddr().String(), server.RemoteAddr().String())
	assert.Equal(t, client.RemoteAddr().String(), server.LocalAddr().String())
	for _, c := range []net.Conn{client, server} {
		assert.Equal(t, "tcp", c.LocalAddr().Network())
		_, secure := c.(interface {
			HandshakeContext(context.Context) error
		})
		assert.False(t, secure, "no TLS, no handshake: rpc.Server asks for it")
	}
}

// A closed Dialer asks no name server and no host.
func TestDialer_ClosedFailsAtOnce(t *testing.T) {
	noLeaks(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	for _, d := range []*Dialer{{}, {TLS: &tls.Config{}}} {
		require.NoError(t, d.Close())
		for _, addr := range []string{ln.Addr().String(), "no-such-host.invalid:7000"} {
			_, err = d.Dial(bounded(t), addr)
			assert.EqualError(t, err, "rpc: failed_precondition: the http2.Dialer is closed: use of closed network connection")
			assert.ErrorIs(t, err, net.ErrClosed)
			_, err = rpc.Dial(bounded(t), addr, rpc.WithDialer(d.Dial))
			assert.Equal(t, rpc.FailedPrecondition, rpc.CodeOf(err))
		}
	}
	first, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer first.Close()
	accepted, err := ln.Accept()
	require.NoError(t, err)
	defer accepted.Close()
	assert.Equal(t, first.LocalAddr().String(), accepted.RemoteAddr().String(), "nobody has dialled before")
}
