package rpc_test

import (
	"context"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// modelTCP is the loopback, in place of modelNet. Servers keep their names; a
// server that takes the place of another one has another port.
type modelTCP struct {
	mu    sync.Mutex
	addrs map[string]string
	conns map[string][]*net.TCPConn // that were dialled
}

func (w *modelWorld) listen(t *testing.T, addr string) net.Listener {
	if w.tcp == nil {
		return w.net.listen(addr)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.tcp.mu.Lock()
	defer w.tcp.mu.Unlock()
	w.tcp.addrs[addr] = ln.Addr().String()
	return ln
}

func (w *modelWorld) dial(ctx context.Context, addr string) (net.Conn, error) {
	if w.tcp == nil {
		return w.net.dial(ctx, addr)
	}
	w.tcp.mu.Lock()
	port := w.tcp.addrs[addr]
	w.tcp.mu.Unlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", port)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	w.tcp.mu.Lock()
	defer w.tcp.mu.Unlock()
	w.tcp.conns[addr] = append(w.tcp.conns[addr], conn.(*net.TCPConn))
	return conn, nil
}

// cut resets the connections to addr.
func (n *modelTCP) cut(addr string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns[addr] {
		conn.SetLinger(0)
		conn.Close()
	}
	n.conns[addr] = nil
}

// wait lets everything happen that needs no time; over TCP, a little.
func (w *modelWorld) wait() {
	if w.tcp == nil {
		synctest.Wait()
		return
	}
	w.advance(time.Millisecond)
}

// advance lets time pass. Over TCP that is real time, and a program would take
// minutes: there it is 2 ms at most.
func (w *modelWorld) advance(d time.Duration) {
	if w.tcp != nil {
		d = min(d, 2*time.Millisecond)
	}
	timer := time.NewTimer(d)
	<-timer.C
	if w.tcp == nil {
		synctest.Wait()
	}
}

// advanceUntil is advance; over TCP it lasts until there is no problem, which it
// asks for with mu held, or for so long that there will be one.
func (w *modelWorld) advanceUntil(d time.Duration, problem func() string) {
	w.advance(d)
	if w.tcp == nil {
		return
	}
	for begun := time.Now(); time.Since(begun) < 20*time.Second; w.advance(d) {
		w.mu.Lock()
		text := problem()
		w.mu.Unlock()
		if text == "" {
			return
		}
	}
}
