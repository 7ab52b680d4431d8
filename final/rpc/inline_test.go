package rpc

import (
	"context"
	"net"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// What could break because a sender writes itself, a lone caller reads its own reply,
// and a method that does not block runs where it was read.

var quickStock = Method[stockRequest, stockReply]("Inventory.Quick")

func (inv *inventory) quickServer(t testing.TB, opts ...ServerOption) *Server {
	t.Helper()
	srv := inv.server(t, opts...)
	require.NoError(t, quickStock.Handle(srv, inv.check, NonBlocking()))
	return srv
}

func TestNonBlocking_BrokenPromiseHoldsUpNobodyForLong(t *testing.T) {
	for _, codec := range codecs() {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				srv := inv.quickServer(t, WithCodecs(Gob))
				client := pipe(t, srv, WithCodec(codec))
				var held []*Pending
				for range 3 { // each one takes over from the one before
					held = append(held, client.Go(t.Context(), quickStock.Name(), stockRequest{Item: "held"}, nil))
					synctest.Wait()
				}
				begun := time.Now()
				quick, err := quickStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				require.NoError(t, err)
				assert.Equal(t, "item1", quick.Item)
				assert.LessOrEqual(t, time.Since(begun), 10*time.Millisecond)
				close(inv.hold)
				for _, call := range held {
					assert.NoError(t, call.Wait())
				}
				assert.Equal(t, 3, inv.runs("held"))
			})
		})
	}
}

func TestNonBlocking_BrokenPromiseCanBeCancelled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		inv.ended = make(chan error, 1)
		srv := inv.quickServer(t)
		client := pipe(t, srv)
		ctx, cancel := context.WithCancel(t.Context())
		call := client.Go(ctx, quickStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, call.Wait(), context.Canceled)
		assert.Equal(t, context.Canceled, <-inv.ended)
	})
}

func TestNonBlocking_PanicAndGoexitAreAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().quickServer(t)
		client := pipe(t, srv)
		_, err := quickStock.Call(t.Context(), client, &stockRequest{Item: "panic"})
		assert.ErrorIs(t, err, Internal)
		_, err = quickStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		_, err = quickStock.Call(t.Context(), client, &stockRequest{Item: "goexit"})
		assert.ErrorIs(t, err, Internal)
	})
}

func TestNonBlocking_CloseEndsABrokenPromise(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.quickServer(t)
		client := pipe(t, srv)
		call := client.Go(t.Context(), quickStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		srv.Close()
		assert.ErrorIs(t, call.Wait(), Unavailable)
		assert.Equal(t, 1, inv.runs("held"))
	})
}

func TestLoneCaller_SeesGoAwayAndEndWhileIdle(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for range 3 { // from the second call on the caller reads itself
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			require.NoError(t, err)
		}
		conn := client.conn.Load()
		begun := time.Now()
		require.NoError(t, srv.Shutdown(t.Context()))
		<-conn.ended
		assert.LessOrEqual(t, time.Since(begun), 10*time.Millisecond)
	})
}

func TestLoneCaller_SlowReplyIsReadByOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for _, wait := range []time.Duration{0, 0, time.Millisecond, 2 * time.Millisecond, 0, time.Second, 0} {
			begun := time.Now()
			reply, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1", Wait: wait})
			require.NoError(t, err)
			assert.Equal(t, "item1", reply.Item)
			assert.Equal(t, wait, time.Since(begun))
		}
	})
}

func TestLoneCaller_CancelIsSeenWithinMilliseconds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for range 2 {
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			require.NoError(t, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		call := client.Go(ctx, checkStock.Name(), stockRequest{Item: "held"}, nil)
		synctest.Wait()
		cancel()
		assert.ErrorIs(t, call.Wait(), context.Canceled)
		assert.LessOrEqual(t, time.Since(begun), 5*time.Millisecond)
	})
}

// Callers that come and go by twos and threes: nobody may be left without a
// reader. In a bubble a lost one would cost 5 ms of its time.
func TestFewCallers_NoReplyIsLeftUnread(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().quickServer(t)
		client := pipe(t, srv)
		_, err := quickStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		begun := time.Now()
		var wg sync.WaitGroup
		for g := range 4 {
			wg.Go(func() {
				for i := range 200 {
					if i%3 == g%3 {
						runtime.Gosched()
					}
					_, err := quickStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
					assert.NoError(t, err)
				}
			})
		}
		wg.Wait()
		assert.Zero(t, time.Since(begun))
	})
}

func TestSender_IsNotHeldByOtherPeoplesBytes(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t, WithKeepalive(0)) // nobody reads
		defer raw.conn.Close()
		begun := time.Now()
		for range 3 {
			_, err := checkStock.Call(timeout(t, 100*time.Millisecond), client, &stockRequest{Item: longText(100_000)})
			assert.ErrorIs(t, err, DeadlineExceeded)
		}
		assert.Equal(t, 300*time.Millisecond, time.Since(begun))
	})
}

// ttrpc PR #229: one slow reader, or one unread reply, blocked every other call.
func TestServer_ClientThatDoesNotReadBlocksOnlyItself(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		srv := inv.quickServer(t)
		stuck := rawClient(t, srv, "json")
		for id := range uint64(20) {
			method := []string{checkStock.Name(), quickStock.Name()}[id%2]
			stuck.request(id+1, method, `{"Item":"huge"}`) // and no reply is read
		}
		client := pipe(t, srv)
		_, err := quickStock.Call(timeout(t, time.Second), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
		stuck.write(wire.AppendHeader(nil, wire.KindCancel, 0, 1, 0)) // the server still reads
		stuck.conn.Close()
		srv.Close()
	})
}

func TestServer_SeesCancelAndPingWhileItsOutputIsBlocked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		inv.ended = make(chan error, 1)
		srv := inv.quickServer(t, WithMaxInFlight(40))
		raw := rawClient(t, srv, "json")
		raw.request(1, checkStock.Name(), `{"Item":"held"}`)
		for id := range uint64(39) { // 3.9 MB of replies, none of them read
			method := []string{checkStock.Name(), quickStock.Name()}[id%2]
			raw.request(id+2, method, `{"Item":"huge"}`)
		}
		synctest.Wait()
		raw.write(wire.AppendHeader(nil, wire.KindPing, 0, 1, 0))
		raw.write(wire.AppendHeader(nil, wire.KindCancel, 0, 1, 0))
		assert.Equal(t, context.Canceled, <-inv.ended)
		raw.conn.Close()
		srv.Close()
	})
}

// Nagle's algorithm left on cost a peer 40 ms at the 99th percentile.
func TestTCP_NagleIsOff(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		c, _ := ln.Accept()
		accepted <- c
	}()
	conn, err := dialNet(t.Context(), ln.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	far := <-accepted
	defer far.Close()
	assert.True(t, noDelay(t, conn), "dialled")
	assert.True(t, noDelay(t, far), "accepted")
}
