package cache

import (
	"context"
	"encoding/json"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// pipes connects to srv over pipes, whatever the address.
func pipes(srv *rpc.Server) rpc.ClientOption {
	return rpc.WithDialer(func(context.Context, string) (net.Conn, error) {
		near, far := net.Pipe()
		go srv.ServeConn(far)
		return near, nil
	})
}

func TestClient_EveryCodec(t *testing.T) {
	checkStock := rpc.Method[wrapperspb.StringValue, wrapperspb.Int64Value](method)
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		t.Run(codec.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := rpc.NewServer(rpc.WithCodecs(rpc.Gob, protobuf.Codec))
				defer srv.Close()
				runs := 0
				require.NoError(t, checkStock.Handle(srv, func(_ context.Context, item *wrapperspb.StringValue) (*wrapperspb.Int64Value, error) {
					if runs++; item.Value != "item1" {
						return nil, rpc.Errorf(rpc.NotFound, "unknown item: %s", item.Value)
					}
					return wrapperspb.Int64(int64(100 + runs)), nil
				}))
				c := newCache(t, Method(method, time.Minute), NotFound(method, time.Second), Codec(codec))
				pool := rpc.NewPool(rpc.StaticResolver{"a", "b"}, pipes(srv), rpc.WithCodec(codec), rpc.WithClientInterceptors(c.Intercept))
				defer pool.Close()
				for range 5 {
					count, err := checkStock.Call(t.Context(), pool, wrapperspb.String("item1"))
					require.NoError(t, err)
					assert.Equal(t, int64(101), count.Value)
					_, err = checkStock.Call(t.Context(), pool, wrapperspb.String("item9"))
					assert.EqualError(t, err, "not_found: unknown item: item9", "as the server said it")
					assert.True(t, err.(*rpc.Error).Remote())
				}
				assert.Equal(t, 2, runs)
				<-time.After(time.Second)
				_, err := checkStock.Call(t.Context(), pool, wrapperspb.String("item9"))
				assert.ErrorIs(t, err, rpc.NotFound)
				assert.Equal(t, 3, runs, "not found is used for a second only")
				pending := pool.Go(t.Context(), method, wrapperspb.String("item1"), new(wrapperspb.Int64Value))
				require.NoError(t, pending.Wait())
				assert.Equal(t, 3, runs)
			})
		})
	}
}

// The handler's context ends when the last caller has left, and not before.
func TestClient_CancelReachesTheServerWithTheLastCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		defer srv.Close()
		var runs, cancelled atomic.Int64
		require.NoError(t, srv.RegisterFunc(method, func(ctx context.Context) (int, error) {
			runs.Add(1)
			<-ctx.Done()
			cancelled.Add(1)
			return 0, ctx.Err()
		}))
		client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithClientInterceptors(newCache(t, Method(method, time.Minute)).Intercept))
		require.NoError(t, err)
		defer client.Close()
		call := func() (leave func(), done chan error) {
			ctx, cancel := context.WithCancel(t.Context())
			done = make(chan error, 1)
			go func() { done <- client.Call(ctx, method, nil, new(int)) }()
			synctest.Wait()
			return cancel, done
		}
		leaveA, a := call()
		leaveB, b := call()
		leaveA()
		assert.ErrorIs(t, <-a, context.Canceled)
		synctest.Wait()
		assert.Zero(t, cancelled.Load())
		leaveB()
		assert.ErrorIs(t, <-b, context.Canceled)
		synctest.Wait()
		assert.Equal(t, int64(1), cancelled.Load())
		assert.Equal(t, int64(1), runs.Load())
	})
}

func TestClient_ClosedWhileCallersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		defer srv.Close()
		require.NoError(t, srv.RegisterFunc(method, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, ctx.Err() }))
		client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithClientInterceptors(newCache(t, Method(method, time.Minute)).Intercept))
		require.NoError(t, err)
		var calls []*rpc.Pending
		for range 3 {
			calls = append(calls, client.Go(t.Context(), method, nil, new(int)))
		}
		synctest.Wait()
		client.Close()
		for _, call := range calls {
			assert.ErrorIs(t, call.Wait(), rpc.ErrClientClosed)
		}
	})
}

func BenchmarkHit(b *testing.B) {
	caller := newCache(b, Method(method, time.Hour)).Intercept(new(server))
	req, r := &request{Item: "item1"}, new(reply)
	b.ReportAllocs()
	for b.Loop() {
		if err := caller.Call(b.Context(), method, req, r); err != nil {
			b.Fatal(err)
		}
	}
}

// onlyMarshals hides a map: it can be copied neither as memory nor by a codec.
type onlyMarshals struct{ held map[string]string }

func (o *onlyMarshals) MarshalJSON() ([]byte, error) { return json.Marshal(o.held["item"]) }

// Params that cannot be copied are the caller's again when Go returns. The cache must not
// take what they are by then for what was asked.
func TestClient_ParamsChangedAfterGoSpoilNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer()
		defer srv.Close()
		require.NoError(t, srv.RegisterFunc(method, func(item string) string { return "the count of " + item }))
		changed := make(chan struct{}, 10)
		wait := func(next rpc.Caller) rpc.Caller {
			return rpc.CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				<-changed
				return next.Call(ctx, method, params, reply)
			})
		}
		c := newCache(t, Method(method, time.Minute))
		client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithClientInterceptors(wait, c.Intercept))
		require.NoError(t, err)
		defer client.Close()
		params, got := &onlyMarshals{held: map[string]string{"item": "item1"}}, ""
		call := client.Go(t.Context(), method, params, &got)
		params.held["item"] = "item2"
		changed <- struct{}{}
		require.NoError(t, call.Wait())
		assert.Equal(t, "the count of item1", got)
		for item, hits := range map[string]int64{"item2": 0, "item1": 1} {
			changed <- struct{}{}
			before := c.Stats().Hits
			require.NoError(t, client.Call(t.Context(), method, item, &got))
			assert.Equal(t, "the count of "+item, got)
			assert.Equal(t, hits, c.Stats().Hits-before, item)
		}
	})
}
