package rpc

import (
	"math/rand/v2"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// seeded is an option for a server whose random numbers are the same each time.
func seeded(seed uint64) ServerOption {
	return serverOption(func(o *serverOptions) { o.chance = &chance{rand: rand.New(rand.NewPCG(seed, 0))} })
}

// ageOf returns when a server ends a connection that does nothing.
func ageOf(t *testing.T, opts ...ServerOption) (age time.Duration) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, opts...)
		raw := rawClient(t, srv, "json")
		begun := time.Now()
		last, e := raw.readGoAway()
		age = time.Since(begun)
		assert.Zero(t, last)
		assert.Equal(t, Unavailable, e.Code)
		assert.Equal(t, "the connection has reached its maximum age", e.Message)
		_, err := raw.in.next()
		assert.Error(t, err)
		assert.Equal(t, lingerTime, time.Since(begun)-age, "a client that does not close is left")
	})
	return age
}

func TestMaxConnAge_IsATenthMoreOrLess(t *testing.T) {
	ages := map[time.Duration]bool{}
	for seed := range uint64(20) {
		age := ageOf(t, WithMaxConnAge(10*time.Minute), seeded(seed), WithIdleTimeout(0))
		assert.GreaterOrEqual(t, age, 9*time.Minute)
		assert.Less(t, age, 11*time.Minute)
		assert.Equal(t, age, ageOf(t, WithMaxConnAge(10*time.Minute), seeded(seed), WithIdleTimeout(0)), "the same seed")
		ages[age] = true
	}
	assert.Greater(t, len(ages), 15, "not all clients come back together")
	assert.Equal(t, 3*time.Nanosecond, ageOf(t, WithMaxConnAge(3)))
}

// A call that runs ends well, the next ones go over another connection, and no call fails.
func TestMaxConnAge_NoCallNotices(t *testing.T) {
	for _, codec := range codecs() {
		bubble(t, func(t *testing.T) {
			n := newNetwork()
			srv := newInventory().server(t, WithCodecs(Gob), WithMaxConnAge(time.Minute))
			n.set("a", srv)
			client := dial(t, "a", WithDialer(n.dial), WithCodec(codec))
			long := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "item1", Wait: 3 * time.Minute}, nil)
			for range 300 {
				_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1", Wait: time.Second})
				require.NoError(t, err, codec.Name())
			}
			assert.NoError(t, long.Wait(), codec.Name())
			n.mu.Lock()
			defer n.mu.Unlock()
			assert.GreaterOrEqual(t, len(n.dials), 5, "five minutes, at most 66 s each")
			assert.LessOrEqual(t, len(n.dials), 6)
		})
	}
}

func TestMaxConnAge_ShutdownAndCloseDoNotWaitForIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.server(t, WithMaxConnAge(time.Minute), WithIdleTimeout(0))
		raw := rawClient(t, srv, "json")
		raw.request(1, checkStock.Name(), `{"Item":"held"}`)
		_, e := raw.readGoAway()
		assert.Equal(t, "the connection has reached its maximum age", e.Message)
		stopped := make(chan error)
		go func() { stopped <- srv.Shutdown(t.Context()) }()
		synctest.Wait()
		close(inv.hold)
		assert.Equal(t, wire.KindResponse, raw.read().Kind)
		raw.conn.Close()
		assert.NoError(t, <-stopped)
	})
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithMaxConnAge(time.Hour))
		client := pipe(t, srv)
		require.NoError(t, client.Ping(t.Context()))
		begun := time.Now()
		srv.Close()
		assert.Zero(t, time.Since(begun))
	})
}

// The pauses of WithBackoff are for servers that fail, not for those that end their
// connections one by one, however young.
func TestMaxConnAge_BelowTheLongestBackoffDelaysNoCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv := newInventory().server(t, WithMaxConnAge(100*time.Millisecond))
		n.set("a", srv)
		client := dial(t, "a", WithDialer(n.dial))
		for range 500 {
			_, err := checkStock.Call(timeout(t, 15*time.Millisecond), client, &stockRequest{Item: "item1", Wait: 10 * time.Millisecond})
			require.NoError(t, err)
		}
		n.mu.Lock()
		defer n.mu.Unlock()
		assert.Greater(t, len(n.dials), 40)
	})
}

// leaving is a server that answers some calls of each connection, says that it goes away,
// and closes.
func leaving(calls int, code Code) func(net.Conn) {
	return func(conn net.Conn) {
		defer conn.Close()
		if _, err := wire.ReadHello(conn, wire.MaxHello); err != nil {
			return
		}
		conn.Write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}).Append(nil))
		in := frameReader{Reader: wire.Reader{Limit: 1 << 20}, conn: conn}
		for id := range calls {
			if _, err := in.next(); err != nil {
				return
			}
			conn.Write(frameOf(wire.KindResponse, 0, uint64(id+1), "{}"))
		}
		conn.Write(frameOf(wire.KindGoAway, 0, uint64(calls), string([]byte{byte(code), 0, 0})))
		in.next() // until the client leaves
	}
}

// A server that sends its client away delays the next connection, unless it was of use.
func TestClient_AGoAwayIsAFailureUnlessTheServerHasAnsweredAndIsLeaving(t *testing.T) {
	for about, c := range map[string]struct {
		serve  func(net.Conn)
		pauses bool
	}{
		"leaves after a reply":      {leaving(1, Unavailable), false},
		"is broken after a reply":   {leaving(1, InvalidArgument), true},
		"leaves without any answer": {leaving(0, Unavailable), true},
	} {
		bubble(t, func(t *testing.T) {
			n := newPeers()
			conns := 0
			n.odd["a"] = func(conn net.Conn) { conns++; c.serve(conn) }
			client := dial(t, "a", WithDialer(n.dial))
			begun := time.Now()
			for range 20 {
				checkStock.Call(timeout(t, time.Second), client, &stockRequest{Item: "item1"})
			}
			synctest.Wait()
			if took := time.Since(begun); c.pauses {
				assert.Greater(t, took, 5*time.Second, about)
				assert.Less(t, conns, 20, about)
			} else {
				assert.Less(t, took, 20*defaultBackoffMin/2, about)
				assert.GreaterOrEqual(t, conns, 20, about)
			}
		})
	}
}
