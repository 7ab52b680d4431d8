package rpc

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// momentConn does something at its nth operation, beside it.
type momentConn struct {
	net.Conn
	left atomic.Int32
	do   func()
}

func (c *momentConn) count() {
	if c.left.Add(-1) == 0 {
		go c.do()
	}
}

func (c *momentConn) Read(b []byte) (int, error)  { c.count(); return c.Conn.Read(b) }
func (c *momentConn) Write(b []byte) (int, error) { c.count(); return c.Conn.Write(b) }

// Whoever ends a connection, and at whatever moment of the hello, a call or its
// reply: the calls end, with their reply or with an error that fits, and so do Close
// and Shutdown.
func TestConn_EndsAtEveryMoment(t *testing.T) {
	for _, end := range []string{"client closes", "server closes", "server shuts down", "cut"} {
		for _, side := range []string{"client", "server"} {
			for n := range int32(10) {
				t.Run(fmt.Sprint(end, " at ", n+1, " of the ", side), func(t *testing.T) {
					bubble(t, func(t *testing.T) { endAt(t, end, side, n+1) })
				})
			}
		}
	}
}

func endAt(t *testing.T, end, side string, n int32) {
	srv := newInventory().server(t)
	near, far := net.Pipe()
	ends := map[string]net.Conn{"client": near, "server": far}
	conn := &momentConn{Conn: ends[side]}
	ends[side] = conn
	var client atomic.Pointer[Client]
	conn.left.Store(n)
	conn.do = func() {
		switch end {
		case "client closes":
			if c := client.Load(); c != nil {
				c.Close()
			}
		case "server closes":
			srv.Close()
		case "server shuts down":
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			assert.NoError(t, srv.Shutdown(ctx))
		case "cut":
			conn.Conn.Close()
		}
	}
	go srv.ServeConn(ends["server"])
	client.Store(NewClient(ends["client"]))
	for range 3 {
		got, err := checkStock.Call(timeout(t, time.Minute), client.Load(), &stockRequest{Item: "item1"})
		if err == nil {
			assert.NotNil(t, got)
			continue
		}
		assert.Contains(t, []Code{Unavailable, Canceled}, CodeOf(err), err)
		pending := client.Load().Go(timeout(t, time.Minute), checkStock.Name(), &stockRequest{Item: "item1"}, nil)
		assert.Error(t, pending.Wait(), "a Client over a given connection makes no other")
	}
	assert.NoError(t, client.Load().Close())
	assert.NoError(t, srv.Close())
}
