package rpc

import (
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Calls may have run on a connection that is lost, although those that begin
// afterwards have not.
func TestErrorHandler_ALostConnectionSaysNothingOfItsCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		inv := newInventory()
		inv.started = make(chan string, 1)
		srv := inv.server(t)
		n.set("a", srv)
		told := make(chan error, 1)
		client := dial(t, "a", WithDialer(n.dial), WithFailFast(), WithErrorHandler(func(err error) { told <- err }))
		call := client.Go(t.Context(), checkStock.Name(), stockRequest{Item: "held"}, nil)
		<-inv.started
		n.set("a", nil)
		srv.Close()
		assert.False(t, NeverRan(<-told))
		assert.False(t, NeverRan(call.Wait()))
		assert.True(t, NeverRan(client.Call(t.Context(), checkStock.Name(), stockRequest{Item: "item1"}, nil)))
	})
}

// The text of an error has "rpc: " once, and its code once, whatever it is made of.
func TestErrors_SayTheirPrefixOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var texts []string
		var mu sync.Mutex
		note := func(err error) {
			mu.Lock()
			defer mu.Unlock()
			texts = append(texts, err.Error())
		}
		srv := newInventory().server(t, WithErrorHandler(note), WithCodecs(Gob))
		n := newNetwork()
		n.set("a", srv)
		client, err := Dial(t.Context(), "a", WithDialer(n.dial), WithErrorHandler(note))
		require.NoError(t, err)
		pool := NewPool(brokenResolver{"a"}, WithDialer(n.dial), WithErrorHandler(note))
		raw := rawClient(t, srv, "json")
		raw.write(wire.AppendHeader(nil, wire.KindResponse, 0, 1, 0)) // that is for a server
		synctest.Wait()
		gob := rawClient(t, srv, "gob")
		gob.write(append((&wire.RequestHead{Method: checkStock.Name()}).Append(nil, 0, 1, 7), "garbage"...))
		synctest.Wait()
		odd := newPeers()
		odd.odd["b"] = func(conn net.Conn) {
			wire.ReadHello(conn, wire.MaxHello)
			conn.Write(wire.AppendHeader((&wire.ServerHello{InFlight: 1, MaxMessage: 1024}).Append(nil), wire.KindCancel, 0, 1, 0))
			io.Copy(io.Discard, conn)
		}
		breaks, err := Dial(t.Context(), "b", WithDialer(odd.dial), WithErrorHandler(note), WithFailFast())
		require.NoError(t, err)
		note(breaks.Call(t.Context(), checkStock.Name(), nil, nil))
		breaks.Close()
		n.set("a", nil)
		srv.Close()
		note(client.Call(timeout(t, time.Second), checkStock.Name(), nil, nil))
		note(pool.Call(timeout(t, time.Second), checkStock.Name(), nil, nil))
		client.Close()
		pool.Close()
		note(client.Call(t.Context(), checkStock.Name(), nil, nil))
		_, err = new(Server).Invoke(t.Context(), Invocation{Codec: JSON})
		note(err)
		note(Errorf(Unavailable, "orders: %w", Errorf(NotFound, "no item")))
		note(Errorf(Unavailable, "orders: %w, %w", Errorf(NotFound, "no item"), ErrClientClosed))
		<-time.After(time.Minute)
		mu.Lock()
		defer mu.Unlock()
		assert.Greater(t, len(texts), 10)
		for _, text := range texts {
			assert.LessOrEqual(t, strings.Count(text, "rpc: "), 1, text)
			assert.LessOrEqual(t, strings.Count(text, "unavailable"), 1, text)
		}
	})
}
