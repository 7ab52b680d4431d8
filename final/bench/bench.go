package main

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// A bench is one peer's server with the clients of one workload, on loopback in this process. It is made anew for every round,
// so that a round inherits neither buffers nor garbage of another.
type bench struct {
	addr    string
	clients []client
	stop    func()
}

// openBench starts p's server and connects the clients that w needs. Wrap, which may be nil, sees every client connection.
func openBench(p peer, w workload, wrap func(net.Conn) net.Conn) (*bench, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	stop, err := p.serve(ln)
	if err != nil {
		ln.Close()
		return nil, fmt.Errorf("%s: serve: %w", p.name, err)
	}
	b := &bench{addr: ln.Addr().String(), stop: stop}
	dial := dialTo(b.addr, wrap)
	for range w.connectionsFor(p) {
		c, err := p.connect(dial)
		if err != nil {
			b.close()
			return nil, fmt.Errorf("%s: connect: %w", p.name, err)
		}
		b.clients = append(b.clients, c)
	}
	return b, nil
}

func dialTo(addr string, wrap func(net.Conn) net.Conn) dialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		// Go's TCP connections have Nagle's algorithm off already, on both sides.
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
		if err != nil || wrap == nil {
			return conn, err
		}
		return wrap(conn), nil
	}
}

// close closes the clients first, as programs do, then stops the server.
func (b *bench) close() {
	for _, c := range b.clients {
		c.Close()
	}
	b.stop()
	handlers.Wait()
}

// A call makes one call of the workload's kind and checks the reply as far as that costs next to nothing.
type call func(ctx context.Context) error

var errWrongReply = errors.New("wrong reply")

// callsOf returns each caller's call; callers share the clients in turn.
func (b *bench) callsOf(w workload) []call {
	body := payload(w.body)
	calls := make([]call, w.callers)
	for i := range calls {
		c := b.clients[i%len(b.clients)]
		switch {
		case w.stream != noStream:
			calls[i] = streamCall(c.(streamer), w)
		case w.body == 0:
			calls[i] = checkStockCall(c)
		default:
			calls[i] = echoCall(c, body)
		}
	}
	return calls
}

func checkStockCall(c client) call {
	want := stock["item1"]
	return func(ctx context.Context) error {
		quantity, err := c.CheckStock(ctx, "item1")
		if err == nil && quantity != want {
			return errWrongReply
		}
		return err
	}
}

// echoCall compares the length and the ends only: the peers' tests compare whole bodies.
func echoCall(c client, body []byte) call {
	last := len(body) - 1
	return func(ctx context.Context) error {
		got, err := c.Echo(ctx, body)
		if err != nil {
			return err
		}
		if len(got) != len(body) || got[0] != body[0] || got[last] != body[last] {
			return errWrongReply
		}
		return nil
	}
}
