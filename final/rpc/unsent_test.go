package rpc

import (
	"context"
	"errors"
	"math"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

var errCable = errors.New("the cable is cut")

// cutCable is a connection on which a write after the hello fails, having passed on
// so many bytes, or all but so many if less than 0.
type cutCable struct {
	net.Conn
	pass    int
	network string        // "pipe": writes run on the caller's goroutine
	begin   chan struct{} // the write after the hello waits for it, and the next one fails; nil: that one fails
	writes  atomic.Int32
}

func (c *cutCable) LocalAddr() net.Addr { return &net.UnixAddr{Net: c.network} }

func (c *cutCable) Write(p []byte) (int, error) {
	n := c.writes.Add(1)
	if n == 2 && c.begin != nil {
		<-c.begin
	}
	if n == 1 || n == 2 && c.begin != nil {
		return c.Conn.Write(p)
	}
	pass := min(c.pass, len(p))
	if pass < 0 {
		pass += len(p)
	}
	passed, _ := c.Conn.Write(p[:pass])
	return passed, errCable
}

// client returns a client of srv whose connection is c.
func (c *cutCable) client(srv *Server, opts ...ClientOption) *Client {
	near, far := net.Pipe()
	c.Conn = near
	go srv.ServeConn(far)
	return NewClient(c, opts...)
}

// A request of which a part has never left cannot have run.
func TestNeverRan_IsTrueOfWhatWasNotWritten(t *testing.T) {
	large := strings.Repeat("x", 2*largeBody)
	for _, c := range []struct {
		name     string
		pass     int
		item     string
		neverRan bool
	}{
		{"nothing was written", 0, "item1", true},
		{"a part was written", 5, "item1", true},
		{"all but a byte was written", -1, "item1", true},
		{"all was written, and Write failed", math.MaxInt, "held", false},
		{"the head of a large request was written", math.MaxInt, large, true},
	} {
		for _, network := range []string{"pipe", "tls"} {
			for _, codec := range []Codec{JSON, Gob} {
				t.Run(c.name+" on "+network+" in "+codec.Name(), func(t *testing.T) {
					bubble(t, func(t *testing.T) {
						inv := newInventory()
						srv := inv.server(t, WithCodecs(JSON, Gob))
						client := (&cutCable{pass: c.pass, network: network}).client(srv, WithCodec(codec))
						defer client.Close()
						_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: c.item})
						assert.ErrorIs(t, err, Unavailable)
						assert.ErrorIs(t, err, errCable)
						assert.Equal(t, c.neverRan, NeverRan(err), "%v", err)
						srv.Close()
						if c.neverRan {
							assert.Zero(t, inv.runs(c.item))
						}
					})
				})
			}
		}
	}
}

// Of several requests in one write, those that left whole may have run.
func TestNeverRan_IsExactWithinABatch(t *testing.T) {
	for _, network := range []string{"pipe", "tls"} {
		t.Run(network, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.server(t)
				cable := &cutCable{pass: -1, network: network, begin: make(chan struct{})}
				client := cable.client(srv)
				defer client.Close()
				var calls []*Pending
				for _, item := range []string{"held", "held", "held", "item1"} {
					calls = append(calls, startOne(t, client, item))
				}
				close(cable.begin)
				for i, call := range calls {
					err := call.Wait()
					assert.ErrorIs(t, err, Unavailable, i)
					assert.Equal(t, i == 3, NeverRan(err), "call %d: %v", i, err)
				}
				assert.Zero(t, inv.runs("item1"))
			})
		})
	}
}

// startOne starts a call, and returns when it waits for its reply.
func startOne(t *testing.T, client *Client, item string) *Pending {
	p := make(chan *Pending, 1)
	go func() { p <- client.Go(t.Context(), checkStock.Name(), &stockRequest{Item: item}, nil) }()
	synctest.Wait()
	return <-p
}

// A call that a go-away refuses before it was handed to Write was no attempt.
func TestPool_AGoAwayCountsNoAttemptForWhatWasNotWritten(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newPeers()
		leave := make(chan struct{})
		n.odd["a"] = func(conn net.Conn) {
			raw := rawOn(t, conn)
			wire.ReadHello(conn, wire.MaxHello)
			raw.write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}).Append(nil))
			<-leave // it reads nothing: the first request is on its way, and the second waits
			raw.write(appendGoAway(nil, 0, Errorf(Unavailable, "not now")))
		}
		pool := newPool(t, StaticResolver{"a"}, WithDialer(n.dial), WithMaxAttempts(1))
		first := pool.Go(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item1"}, nil)
		synctest.Wait()
		second := pool.Go(timeout(t, time.Minute), checkStock.Name(), stockRequest{Item: "item2"}, nil)
		synctest.Wait()
		invs := shelves(t, n.network, "a")
		n.mu.Lock()
		delete(n.odd, "a")
		n.mu.Unlock()
		close(leave)
		assert.ErrorContains(t, first.Wait(), "not now")
		assert.NoError(t, second.Wait())
		assert.Equal(t, 1, invs[0].runs("item2"))
	})
}

// What never ran is made again elsewhere, and counts as an attempt: it was handed to Write.
func TestPool_TakesElsewhereWhatWasNotWritten(t *testing.T) {
	for _, attempts := range []int{1, 3} {
		bubble(t, func(t *testing.T) {
			n := newNetwork()
			inv := newInventory()
			srv := inv.server(t)
			n.set("a", srv)
			dials := 0
			pool := NewPool(StaticResolver{"a"}, WithMaxAttempts(attempts), WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
				conn, err := n.dial(ctx, addr)
				if dials++; dials <= 2 {
					conn = &cutCable{Conn: conn, network: "pipe"}
				}
				return conn, err
			}))
			defer pool.Close()
			_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
			if attempts == 3 {
				require.NoError(t, err)
				assert.Equal(t, 1, inv.runs("item1"))
				return
			}
			assert.ErrorIs(t, err, errCable)
			assert.True(t, NeverRan(err))
			assert.Zero(t, inv.runs("item1"))
			assert.Equal(t, 1, dials)
		})
	}
}
