package rpc

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// deadEnd returns a client whose calls certainly never run.
func deadEnd(t *testing.T, n *network) *Client {
	t.Helper()
	o := defaultClientOptions()
	o.maxAttempts, o.dial = 1, n.dial
	c := newClient(o)
	c.addr = "nowhere"
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCall_HandlerThatPassesOnAnErrorHasRunAllTheSame(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv := newServer(t)
		runs := 0
		down := deadEnd(t, n)
		require.NoError(t, srv.RegisterFunc("Orders.Place", func(ctx context.Context) error {
			runs++ // charges the customer, say
			return down.Call(ctx, "Inventory.Reserve", nil, nil)
		}))
		n.set("a", srv)
		client := dial(t, "a", WithDialer(n.dial))
		err := client.Call(t.Context(), "Orders.Place", nil, nil)
		assert.ErrorIs(t, err, Unavailable)
		assert.False(t, NeverRan(err))
		assert.Equal(t, 1, runs, "it is not called again")
		assert.True(t, NeverRan(down.Call(t.Context(), "Inventory.Reserve", nil, nil)), "as the handler saw it")
	})
}

func TestCall_RepeatedCallThatMayHaveRunIsNotCalledUnrun(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		srv := NewServer()
		runs := 0
		started := make(chan struct{})
		require.NoError(t, srv.RegisterFunc("Orders.Place", func(ctx context.Context) error {
			runs++
			close(started)
			<-ctx.Done()
			return ctx.Err()
		}))
		n.set("a", srv)
		client := dial(t, "a", WithDialer(n.dial), WithMaxAttempts(3))
		done := make(chan error, 1)
		go func() { done <- client.Call(MarkIdempotent(t.Context(), "Orders.Place"), "Orders.Place", nil, nil) }()
		<-started
		n.set("a", nil) // nobody can be dialled any more
		client.conn.Load().conn.Close()
		err := <-done
		assert.ErrorIs(t, err, Unavailable)
		assert.False(t, NeverRan(err), "the first attempt ran")
		assert.Equal(t, 1, runs)
		srv.Close()
	})
}

func TestServer_HalfClosedTruncatedFrameIsToldWhy(t *testing.T) {
	srv := newInventory().server(t)
	conn, err := net.Dial("tcp", listen(t, srv))
	require.NoError(t, err)
	defer conn.Close()
	conn.Write((&wire.ClientHello{Codec: "json", MaxMessage: 1024}).Append(nil))
	_, err = wire.ReadHello(conn, wire.MaxHello)
	require.NoError(t, err)
	conn.Write([]byte{0, 0, 0, 50, 1})
	conn.(*net.TCPConn).CloseWrite()
	rest, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(rest), "protocol: the connection ended within a frame")
}

func TestGob_BrokenStreamGivesItsHandlersSlotBack(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, WithCodecs(Gob), WithMaxHandlers(1))
		require.NoError(t, srv.RegisterFunc("Heart.Beat", func() error { return nil }))
		raw := rawClient(t, srv, "gob")
		raw.request(1, "Heart.Beat", "\x05\xff\x81gob")
		raw.readGoAway()
		raw.conn.Close()
		synctest.Wait()
		client := pipe(t, srv, WithCodec(Gob))
		assert.NoError(t, client.Call(t.Context(), "Heart.Beat", nil, nil))
	})
}

func TestClient_AnotherVersionIsUnimplemented(t *testing.T) {
	bubble(t, func(t *testing.T) {
		dials := 0
		_, err := Dial(t.Context(), "a", WithDialer(func(context.Context, string) (net.Conn, error) {
			dials++
			near, far := net.Pipe()
			go func() {
				wire.ReadHello(far, wire.MaxHello)
				far.Write([]byte(wire.Magic + "\x02\x00\x00"))
				far.Close()
			}()
			return near, nil
		}))
		assert.ErrorIs(t, err, Unimplemented)
		assert.Equal(t, 1, dials, "to try again would not help")
	})
}

func TestClient_HelloMetadataIsChecked(t *testing.T) {
	for _, test := range []struct {
		name string
		md   Metadata
		code Code
	}{
		{"too much", Metadata{"k": longText(70_000)}, ResourceExhausted},
		{"a bad key", Metadata{"K": "x"}, InvalidArgument},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t)
				client := pipe(t, srv, WithHelloMetadata(test.md))
				_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				assert.ErrorIs(t, err, test.code)
				assert.True(t, NeverRan(err))
			})
		})
	}
}

func TestPing_IsNotHeldUpByAnIdleConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		client := pipe(t, srv)
		for range 10 {
			_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
			require.NoError(t, err)
			start := time.Now()
			require.NoError(t, client.Ping(t.Context()))
			assert.Equal(t, start, time.Now(), "of the bubble's clock")
		}
	})
}

func TestCall_ReplyThatIsNoPointerIsRefusedBeforeTheCallRuns(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		runs := 0
		require.NoError(t, srv.RegisterFunc("Account.Pay", func(amount int) int { runs++; return amount }))
		client := pipe(t, srv)
		for _, reply := range []any{5, (*int)(nil)} {
			err := client.Call(t.Context(), "Account.Pay", 7, reply)
			assert.ErrorIs(t, err, InvalidArgument)
			assert.ErrorContains(t, err, "want a pointer that is not nil")
			assert.True(t, NeverRan(err))
		}
		assert.Zero(t, runs)
	})
}

func TestCall_DeadlineWhileConnectingSaysWhereAndWhy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := newNetwork()
		down := deadEnd(t, n)
		down.options.maxAttempts = 10
		for range 5 { // until the pause is longer than the deadline
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			err := down.Call(ctx, "M.M", nil, nil)
			cancel()
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "connecting to nowhere: ")
			assert.ErrorContains(t, err, "the last attempt: dial nowhere: ")
		}
	})
}
