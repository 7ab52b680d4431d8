package rpctest_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

func TestNetwork_AnAddressIsTakenUntilItsListenerIsClosed(t *testing.T) {
	var mem rpctest.Network
	_, err := mem.Dial(t.Context(), "a")
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)

	ln, err := mem.Listen("a")
	require.NoError(t, err)
	assert.Equal(t, "memory a", ln.Addr().Network()+" "+ln.Addr().String())
	_, err = mem.Listen("a")
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	_, err = mem.Listen("")
	assert.Error(t, err)

	require.NoError(t, ln.Close())
	require.NoError(t, ln.Close())
	_, err = ln.Accept()
	assert.ErrorIs(t, err, net.ErrClosed)
	_, err = mem.Dial(t.Context(), "a")
	assert.ErrorIs(t, err, syscall.ECONNREFUSED)

	again, err := mem.Listen("a")
	require.NoError(t, err)
	require.NoError(t, ln.Close(), "the old listener must not free the address of the new one")
	_, err = mem.Listen("a")
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	require.NoError(t, again.Close())
}

func TestNetwork_DialWaitsForAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mem rpctest.Network
		ln, err := mem.Listen("a")
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = mem.Dial(ctx, "a")
		assert.ErrorIs(t, err, context.DeadlineExceeded)

		refused := make(chan error)
		go func() {
			_, err := mem.Dial(t.Context(), "a")
			refused <- err
		}()
		synctest.Wait()
		require.NoError(t, ln.Close())
		assert.ErrorIs(t, <-refused, syscall.ECONNREFUSED)
	})
}

func TestNetwork_APoolMovesToTheServerThatIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mem rpctest.Network
		servers := map[string]*rpc.Server{}
		for _, addr := range []string{"a", "b"} {
			srv := rpc.NewServer()
			require.NoError(t, srv.RegisterFunc("Peer.Name", func(ctx context.Context) string {
				peer, _ := rpc.PeerFrom(ctx)
				return addr + " called by " + peer.Addr.String()
			}))
			ln, err := mem.Listen(addr)
			require.NoError(t, err)
			go srv.Serve(ln)
			servers[addr] = srv
		}
		pool := rpc.NewPool(rpc.StaticResolver{"a", "b"}, rpc.WithDialer(mem.Dial))
		defer servers["b"].Close()
		defer pool.Close()

		var name string
		require.NoError(t, pool.Call(t.Context(), "Peer.Name", nil, &name))
		assert.Contains(t, name, " called by client-")
		require.NoError(t, servers["a"].Shutdown(t.Context()))
		for range 10 {
			require.NoError(t, pool.Call(t.Context(), "Peer.Name", nil, &name))
			assert.True(t, strings.HasPrefix(name, "b "), name)
		}
	})
}

func TestFake_IsACallerAsAnyOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := rpctest.NewFake(t)
		fake.StubFunc("Text.Upper", strings.ToUpper)
		fake.StubFunc("Text.Hang", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		fake.StubFunc("Text.Exit", func() error { runtime.Goexit(); return nil })

		var text string
		ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{"tenant": "t1"})
		require.NoError(t, fake.Call(ctx, "Text.Upper", "a", &text))
		assert.Equal(t, "A", text)

		brief, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.ErrorIs(t, fake.Call(brief, "Text.Hang", nil, nil), rpc.DeadlineExceeded)
		assert.ErrorIs(t, fake.Call(t.Context(), "Text.Exit", nil, nil), rpc.Internal, "a require that fails in a stub ends its goroutine")
		assert.ErrorIs(t, fake.Call(t.Context(), "Text.Lower", "A", &text), rpc.Unimplemented)
		assert.ErrorIs(t, fake.Call(t.Context(), "Text.Upper", 7, &text), rpc.InvalidArgument)

		a := "a"
		assert.Equal(t, []rpctest.Call{
			{Method: "Text.Upper", Params: &a, Metadata: rpc.Metadata{"tenant": "t1"}},
			{Method: "Text.Hang"},
			{Method: "Text.Exit"},
		}, fake.Calls())
	})
}

// recorder is a test that notes what is said to it.
type recorder struct {
	testing.TB
	errors chan string
}

func (r *recorder) Helper()                           {}
func (r *recorder) Errorf(format string, args ...any) { r.errors <- format }
func (r *recorder) Fatal(args ...any) {
	r.errors <- "fatal"
	runtime.Goexit()
}

func TestFake_ReportsAMisusedStub(t *testing.T) {
	said := &recorder{t, make(chan string, 2)}
	fake := rpctest.NewFake(said)
	fake.StubFunc("Text.Panic", func() error { panic("oops") })
	assert.ErrorIs(t, fake.Call(t.Context(), "Text.Panic", nil, nil), rpc.Internal)
	assert.Contains(t, <-said.errors, "a stub panicked")

	go fake.StubFunc("Text.Panic", func() error { return nil })
	assert.Equal(t, "fatal", <-said.errors, "a second stub of a method")
	go rpctest.Stub(fake, CheckStock, nil)
	assert.Equal(t, "fatal", <-said.errors)
}
