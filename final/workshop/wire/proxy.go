package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Proxy passes connections on to a server and prints what travels.
type Proxy struct {
	Wire Wire
	Addr string    // of the server
	Out  io.Writer // what is printed goes here; a slow one slows nothing but itself
	Max  int       // bytes of a message that are shown
	Hex  bool      // the bytes of messages, too

	Before int // connections that were counted already: the first one here has the next number

	// Show is given each message in place of Out, one call at a time. A slow one slows
	// nothing but itself.
	Show func(Message)

	backlog atomic.Int64
}

// Serve accepts connections from ln until ctx ends. Then it closes ln and all
// connections, prints what is left and returns nil.
func (p *Proxy) Serve(ctx context.Context, ln net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	context.AfterFunc(ctx, func() { ln.Close() })
	var out sink = &printer{out: p.Out, max: p.Max, dump: p.Hex}
	if p.Show != nil {
		out = &shower{show: p.Show, max: p.Max, calls: map[side]string{}}
	}
	var conns sync.WaitGroup
	defer conns.Wait()
	defer cancel()
	for n := p.Before + 1; ; n++ {
		conn, err := ln.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case err != nil:
			return fmt.Errorf("wire: %w", err)
		}
		t := &tap{conn: n, began: time.Now(), out: out, backlog: &p.backlog, more: make(chan struct{}, 1)}
		conns.Go(func() { t.run(p.Wire) })
		conns.Go(func() { p.pass(ctx, t, conn.(*net.TCPConn)) })
	}
}

// pass connects a client with the server until both have ended.
func (p *Proxy) pass(ctx context.Context, t *tap, client *net.TCPConn) {
	defer t.put(passed{closes: true})
	defer client.Close()
	t.put(passed{event: fmt.Sprintf("connected: %s", client.RemoteAddr())})
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.Addr)
	if err != nil {
		t.put(passed{event: fmt.Sprintf("the server cannot be reached: %v", err)})
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	stop := context.AfterFunc(ctx, func() {
		client.Close()
		server.Close()
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { t.copy(server, client, true) })
	both.Go(func() { t.copy(client, server, false) })
	both.Wait()
}

// copy passes one direction on, its end included. Each read is written at once.
func (t *tap) copy(dst, src *net.TCPConn, fromClient bool) {
	from, to := "server", "client"
	if fromClient {
		from, to = to, from
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := src.Read(buf)
		if n > 0 {
			t.data(fromClient, buf[:n])
			if _, err := dst.Write(buf[:n]); err != nil {
				t.put(passed{fromClient: fromClient, ends: true, event: fmt.Sprintf("the %s takes no more: %v", to, err)})
				return
			}
		}
		switch {
		case err == io.EOF:
			t.put(passed{fromClient: fromClient, ends: true, event: "the " + from + " ends its side"})
			dst.CloseWrite()
			return
		case errors.Is(err, net.ErrClosed):
			t.put(passed{fromClient: fromClient, ends: true})
			return
		case err != nil:
			t.put(passed{fromClient: fromClient, ends: true, event: fmt.Sprintf("the %s is gone: %v", from, err)})
			reset(dst)
			return
		}
	}
}

// reset ends a connection as the other one ended: not in good order.
func reset(conn *net.TCPConn) {
	conn.SetLinger(0)
	conn.Close()
}
