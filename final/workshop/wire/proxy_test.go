package wire

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fatih/color"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestMain(m *testing.M) {
	color.NoColor = true // even on a terminal
	os.Exit(m.Run())
}

// A screen is what a proxy prints on. While held is not nil, printing waits for it.
type screen struct {
	held chan struct{}
	mu   sync.Mutex
	b    bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	if s.held != nil {
		<-s.held
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// serve runs a server of one function on a free port until the test ends.
func serve(t *testing.T, handle func(conn *net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer conn.Close()
				handle(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		conns.Wait()
	})
	return ln.Addr().String()
}

// echo sends back what comes, when all of it has come.
func echo(conn *net.TCPConn) {
	all, _ := io.ReadAll(conn)
	conn.Write(all)
}

// start runs a proxy. What it returns ends it and waits for what it printed.
func start(t *testing.T, p *Proxy) (addr string, end func()) {
	t.Helper()
	before := runtime.NumGoroutine()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- p.Serve(ctx, ln) }()
	var once sync.Once
	end = func() {
		once.Do(func() {
			cancel()
			assert.NoError(t, <-served)
			for range 1_000_000 {
				if runtime.NumGoroutine() <= before {
					return
				}
				runtime.Gosched()
			}
			t.Errorf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		})
	}
	t.Cleanup(end)
	return ln.Addr().String(), end
}

func dial(t *testing.T, addr string) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

func linesWire(t *testing.T) Wire {
	w, err := Find("01")
	require.NoError(t, err)
	return w
}

func TestProxy_PassesBytesAndHalfClosesOn(t *testing.T) {
	out := &screen{}
	addr, end := start(t, &Proxy{Wire: linesWire(t), Addr: serve(t, echo), Out: out, Max: 80})
	sent := make([]byte, 1<<20)
	rand.Read(sent)
	conn := dial(t, addr)
	_, err := conn.Write(append(sent, "\nhello\n"...))
	require.NoError(t, err)
	require.NoError(t, conn.CloseWrite())
	got, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.True(t, bytes.Equal(append(sent, "\nhello\n"...), got))
	conn.Close()
	end()
	assert.Regexp(t, `#1 +\d+\.\d{3} ms  connected: 127\.0\.0\.1:\d+\n`, out)
	assert.Regexp(t, `(?s)C -> S      6 B  line "hello"\n.*the client ends its side\n.*S -> C      6 B  line "hello"\n.*the server ends its side\n.*closed, messages: \d+\n$`, out)
}

func TestProxy_NumbersConnectionsAndPrintsRequestsBeforeReplies(t *testing.T) {
	out := &screen{}
	server := serve(t, func(conn *net.TCPConn) { io.Copy(conn, conn) })
	addr, end := start(t, &Proxy{Wire: linesWire(t), Addr: server, Out: out, Max: 80, Hex: true})
	var clients sync.WaitGroup
	for range 20 {
		conn := dial(t, addr)
		clients.Go(func() {
			for range 50 {
				io.WriteString(conn, "ab\n")
				io.ReadFull(conn, make([]byte, 3))
			}
			conn.Close()
		})
	}
	clients.Wait()
	end()
	ahead := map[string]int{}
	replies := 0
	for line := range strings.Lines(out.String()) {
		switch {
		case strings.Contains(line, "C -> S"):
			ahead[line[:4]]++
		case strings.Contains(line, "S -> C"):
			replies++
			ahead[line[:4]]--
			require.Zero(t, ahead[line[:4]], line)
		}
	}
	assert.Equal(t, 1000, replies)
	assert.Len(t, ahead, 20)
	assert.Contains(t, out.String(), "      00000000  61 62 0a ")
}

// What cannot be printed in time is not printed: the bytes have passed.
func TestProxy_ASlowScreenHoldsUpNoBytes(t *testing.T) {
	out := &screen{held: make(chan struct{})}
	server := serve(t, func(conn *net.TCPConn) { io.Copy(conn, conn) })
	p := &Proxy{Wire: linesWire(t), Addr: server, Out: out, Max: 80}
	addr, end := start(t, p)
	conn := dial(t, addr)
	line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
	for range 2 * maxBacklog >> 20 {
		go conn.Write(line)
		_, err := io.ReadFull(conn, make([]byte, len(line)))
		require.NoError(t, err)
	}
	close(out.held)
	conn.Close()
	end()
	assert.Contains(t, out.String(), "more passes than can be printed")
	assert.Contains(t, out.String(), "closed, messages:")
	assert.NotContains(t, out.String(), "malformed")
	assert.Zero(t, p.backlog.Load())
}

func TestProxy_SaysThatTheServerCannotBeReached(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln.Close()
	out := &screen{}
	addr, end := start(t, &Proxy{Wire: linesWire(t), Addr: ln.Addr().String(), Out: out, Max: 80})
	_, err = io.ReadAll(dial(t, addr))
	require.NoError(t, err)
	end()
	assert.Contains(t, out.String(), "the server cannot be reached: dial tcp "+ln.Addr().String())
}

func TestProxy_AResetIsAResetOnTheOtherSide(t *testing.T) {
	server := serve(t, func(conn *net.TCPConn) {
		io.ReadFull(conn, make([]byte, 1))
		conn.SetLinger(0)
	})
	out := &screen{}
	addr, end := start(t, &Proxy{Wire: linesWire(t), Addr: server, Out: out, Max: 80})
	conn := dial(t, addr)
	io.WriteString(conn, "x")
	_, err := io.ReadAll(conn)
	assert.Error(t, err)
	end()
	assert.Contains(t, out.String(), "the server is gone: ")
	assert.Contains(t, out.String(), "malformed at byte 1: the direction ended within a message")
}

func TestProxy_EndsItsConnectionsWithItsContext(t *testing.T) {
	out := &screen{}
	addr, end := start(t, &Proxy{Wire: linesWire(t), Addr: serve(t, echo), Out: out, Max: 80})
	conn := dial(t, addr)
	io.WriteString(conn, "one\n")
	require.Eventually(t, func() bool { return strings.Contains(out.String(), `line "one"`) }, time.Minute, time.Millisecond)
	end()
	_, err := conn.Read(make([]byte, 1))
	assert.Error(t, err)
	assert.False(t, errors.Is(err, context.DeadlineExceeded))
	_, err = net.Dial("tcp", addr)
	assert.Error(t, err)
}

func TestPrinter_EscapesWhatATerminalMightObey(t *testing.T) {
	out := &screen{}
	p := &printer{out: out, max: 7, dump: true}
	p.message(1, message{size: 300, text: "\x1b[31m\"é\\\xff", head: []byte("0123456789abcdef")})
	assert.Contains(t, out.String(), `S -> C    300 B  \x1b[31m" … (4 bytes more)`)
	assert.Contains(t, out.String(), "      00000000  30 31 32 33 34 35 36                              |0123456|\n      … (293 bytes more)\n")
}
