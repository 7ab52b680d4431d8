package transport_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/rawtls"
	"example.com/rpc-from-scratch/final/transport"
)

const most = 10 * time.Second

// pipes is a listener whose connections are in memory.
type pipes struct {
	accepted chan net.Conn
	once     sync.Once
	closed   chan struct{}
}

func newPipes() *pipes { return &pipes{accepted: make(chan net.Conn), closed: make(chan struct{})} }

func (l *pipes) dial() net.Conn {
	near, far := net.Pipe()
	l.accepted <- far
	return near
}

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipes) Addr() net.Addr { return new(net.TCPAddr) }

// certificates returns configurations for a server and its client.
func certificates(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	srv := httptest.NewTLSServer(nil)
	srv.Close()
	roots := x509.NewCertPool()
	roots.AddCert(srv.Certificate())
	return &tls.Config{Certificates: srv.TLS.Certificates, SessionTicketsDisabled: true},
		&tls.Config{RootCAs: roots, ServerName: "example.com"}
}

// serve serves over TLS with all the timeouts that net/http has, and tells when its
// connections end.
func serve(t *testing.T, cfg *tls.Config, handler http.HandlerFunc) (ln *pipes, ended <-chan struct{}) {
	ln = newPipes()
	ends := make(chan struct{}, 1)
	srv := &http.Server{
		Handler: handler, TLSConfig: cfg,
		ReadHeaderTimeout: time.Second, ReadTimeout: time.Second, WriteTimeout: time.Hour, IdleTimeout: time.Second,
		ConnState: func(_ net.Conn, state http.ConnState) {
			if state == http.StateClosed {
				ends <- struct{}{}
			}
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go srv.ServeTLS(transport.BoundWrites(ln, most), "", "")
	t.Cleanup(func() { srv.Close() })
	return ln, ends
}

// A client that asks for new keys, and does not read them, is gone after that time: before
// its first request, when net/http has set no deadline.
func TestBoundWrites_NewKeysUnread(t *testing.T) {
	server, client := certificates(t)
	synctest.Test(t, func(t *testing.T) {
		ln, ended := serve(t, server, nil)
		conn := ln.dial()
		keys, err := rawtls.Client(conn, client)
		require.NoError(t, err)
		update, err := keys.KeyUpdate(keys.Data(nil, []byte("GET / HTTP/1.1\r\nHost: x\r\nX: ")))
		require.NoError(t, err)
		begun := time.Now()
		_, err = conn.Write(update)
		require.NoError(t, err)
		<-ended
		assert.LessOrEqual(t, time.Since(begun), most+5*time.Second) // TLS then tries to say goodbye
	})
}

// Each write has the whole time: a client that reads slowly gets all.
func TestBoundWrites_ASlowReaderGetsAll(t *testing.T) {
	server, client := certificates(t)
	text := strings.Repeat("x", 200_000)
	synctest.Test(t, func(t *testing.T) {
		ln, _ := serve(t, server, func(w http.ResponseWriter, _ *http.Request) {
			http.NewResponseController(w).SetWriteDeadline(time.Time{})
			io.WriteString(w, text)
		})
		far := &slow{Conn: ln.dial()}
		conn := tls.Client(far, client)
		defer conn.Close()
		require.NoError(t, conn.Handshake())
		far.pause = most * 4 / 10
		_, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		require.NoError(t, err)
		begun := time.Now()
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Contains(t, string(answer), text)
		assert.Greater(t, time.Since(begun), 3*most)
	})
}

// slow reads at most 16 KiB, and then nothing for a while.
type slow struct {
	net.Conn
	pause time.Duration
}

func (s *slow) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:min(len(p), 16<<10)])
	<-time.After(s.pause)
	return n, err
}

// WriteTimeout holds as without the listener: what a handler writes after it reaches nobody.
// The next request has the whole time again.
func TestBoundWrites_WriteTimeoutHolds(t *testing.T) {
	server, client := certificates(t)
	synctest.Test(t, func(t *testing.T) {
		pause := time.Duration(0)
		ln, ended := serve(t, server, func(w http.ResponseWriter, _ *http.Request) {
			<-time.After(pause)
			io.WriteString(w, "x")
		})
		conn := tls.Client(ln.dial(), client)
		defer conn.Close()
		in := bufio.NewReader(conn)
		for range 2 {
			_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			require.NoError(t, err)
			answer, err := http.ReadResponse(in, nil)
			require.NoError(t, err)
			_, err = io.ReadAll(answer.Body)
			require.NoError(t, err)
			pause = time.Hour - time.Second
		}
		pause = time.Hour + time.Second
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		_, err = http.ReadResponse(in, nil)
		assert.Error(t, err)
		<-ended
	})
}

// The deadlines of whoever has the connection hold.
func TestBoundWrites_OtherDeadlinesHold(t *testing.T) {
	for name, test := range map[string]struct {
		set  func(conn net.Conn) error
		want time.Duration
	}{
		"none":       {func(net.Conn) error { return nil }, most},
		"taken back": {func(conn net.Conn) error { return conn.SetWriteDeadline(time.Time{}) }, most},
		"of reading": {func(conn net.Conn) error { return conn.SetReadDeadline(time.Now().Add(time.Second)) }, most},
		"sooner":     {func(conn net.Conn) error { return conn.SetWriteDeadline(time.Now().Add(time.Second)) }, time.Second},
		"of both":    {func(conn net.Conn) error { return conn.SetDeadline(time.Now().Add(time.Second)) }, time.Second},
		"later":      {func(conn net.Conn) error { return conn.SetWriteDeadline(time.Now().Add(time.Hour)) }, time.Hour},
		"passed":     {func(conn net.Conn) error { return conn.SetWriteDeadline(time.Now()) }, 0},
		"passed since": {func(conn net.Conn) error {
			err := conn.SetWriteDeadline(time.Now().Add(time.Second))
			<-time.After(time.Minute)
			return err
		}, 0},
		"passed, and taken back": {func(conn net.Conn) error {
			err := conn.SetWriteDeadline(time.Now().Add(time.Second))
			<-time.After(time.Minute)
			return errors.Join(err, conn.SetWriteDeadline(time.Time{}))
		}, most},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ln := newPipes()
				go ln.dial()
				conn, err := transport.BoundWrites(ln, most).Accept()
				require.NoError(t, err)
				defer conn.Close()
				require.NoError(t, test.set(conn))
				begun := time.Now()
				_, err = conn.Write([]byte("x"))
				assert.ErrorIs(t, err, os.ErrDeadlineExceeded)
				assert.Equal(t, test.want, time.Since(begun))
			})
		})
	}
}

func TestBoundWrites_TellsThatItsListenerIsClosed(t *testing.T) {
	ln := newPipes()
	bounded := transport.BoundWrites(ln, most)
	require.NoError(t, bounded.Close())
	_, err := bounded.Accept()
	assert.ErrorIs(t, err, net.ErrClosed)
}

func TestBoundWrites_RefusesWhatMakesNoSense(t *testing.T) {
	assert.PanicsWithError(t, "transport: BoundWrites: the listener is nil", func() { transport.BoundWrites(nil, most) })
	for _, d := range []time.Duration{0, -time.Second} {
		assert.PanicsWithError(t, "transport: BoundWrites("+d.String()+"): want a time above 0", func() { transport.BoundWrites(newPipes(), d) })
	}
}
