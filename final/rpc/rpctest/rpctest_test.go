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

func TestFake_StubsSetMetadataOfReplies(t *testing.T) {
	fake := rpctest.NewFake(t)
	stock := rpc.Method[int, int]("Inventory.Stock")
	rpctest.Stub(fake, stock, func(ctx context.Context, item *int) (*int, error) {
		if err := rpc.SetHeader(ctx, rpc.Metadata{"age": "3s"}); err != nil || *item < 9 {
			return item, err
		}
		return nil, rpc.Errorf(rpc.NotFound, "no item %d", *item)
	})
	for item, code := range map[int]rpc.Code{1: rpc.OK, 9: rpc.NotFound} {
		var header rpc.Metadata
		_, err := stock.Call(rpc.ReceiveHeader(t.Context(), &header), fake, &item)
		assert.Equal(t, code, rpc.CodeOf(err))
		assert.Equal(t, rpc.Metadata{"age": "3s"}, header)
	}
}

func TestFake_StreamsOfThreeShapes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fake := rpctest.NewFake(t)
		down := rpc.ServerStream[int, int]("Count.Down")
		sum := rpc.ClientStream[int, int]("Count.Sum")
		double := rpc.BidiStream[int, int]("Count.Double")
		rpctest.StubServerStream(fake, down, func(ctx context.Context, from *int, out *rpc.Sender[int]) error {
			for n := *from; n > 0; n-- {
				if err := out.Send(ctx, &n); err != nil {
					return err
				}
			}
			return rpc.Errorf(rpc.NotFound, "there is no number 0")
		})
		rpctest.StubClientStream(fake, sum, func(ctx context.Context, in *rpc.Receiver[int]) (*int, error) {
			all := 0
			for n, err := range in.All() {
				if err != nil {
					return nil, err
				}
				all += *n
			}
			return &all, nil
		})
		rpctest.StubBidiStream(fake, double, func(ctx context.Context, in *rpc.Receiver[int], out *rpc.Sender[int]) error {
			for n, err := range in.All() {
				if err != nil {
					return err
				}
				twice := 2 * *n
				if err := out.Send(ctx, &twice); err != nil {
					return err
				}
			}
			return nil
		})
		ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{"tenant": "t1"})
		three := 3
		in, err := down.Open(ctx, fake, &three)
		require.NoError(t, err)
		var got []int
		for n, failed := range in.All() {
			if err = failed; err == nil {
				got = append(got, *n)
			}
		}
		assert.Equal(t, []int{3, 2, 1}, got)
		assert.ErrorIs(t, err, rpc.NotFound)

		out, err := sum.Open(t.Context(), fake)
		require.NoError(t, err)
		for n := range 4 {
			require.NoError(t, out.Send(t.Context(), &n))
		}
		all, err := out.CloseAndReceive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 6, *all)

		both, err := double.Open(t.Context(), fake)
		require.NoError(t, err)
		require.NoError(t, both.Send(t.Context(), &three))
		six, err := both.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 6, *six)
		require.NoError(t, both.Close())

		none, err := rpc.ServerStream[int, int]("Count.Up").Open(t.Context(), fake, &three)
		require.NoError(t, err)
		_, err = none.Receive(t.Context())
		assert.ErrorIs(t, err, rpc.Unimplemented)

		assert.Equal(t, []rpctest.Call{
			{Method: "Count.Down", Kind: rpc.ServerStreaming, Params: &three, Metadata: rpc.Metadata{"tenant": "t1"}},
			{Method: "Count.Sum", Kind: rpc.ClientStreaming},
			{Method: "Count.Double", Kind: rpc.BidiStreaming},
		}, fake.Calls())
	})
}

func TestFake_ReportsAMisusedStubOfAStream(t *testing.T) {
	said := &recorder{t, make(chan string, 3)}
	fake := rpctest.NewFake(said)
	go rpctest.StubServerStream(fake, rpc.ServerStream[int, int]("Count.Down"), nil)
	assert.Equal(t, "fatal", <-said.errors)
	go rpctest.StubClientStream(fake, rpc.ClientStream[int, int]("Count.Sum"), nil)
	assert.Equal(t, "fatal", <-said.errors)
	go rpctest.StubBidiStream(fake, rpc.BidiStream[int, int]("Count.Double"), nil)
	assert.Equal(t, "fatal", <-said.errors)
	rpctest.StubServerStream(fake, Watch, func(context.Context, *CheckStockRequest, *rpc.Sender[Change]) error { panic("oops") })
	in, err := Watch.Open(t.Context(), fake, &CheckStockRequest{})
	require.NoError(t, err)
	_, err = in.Receive(t.Context())
	assert.ErrorIs(t, err, rpc.Internal)
	assert.Contains(t, <-said.errors, "a stub panicked")
}
