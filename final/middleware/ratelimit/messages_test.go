package ratelimit

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/rpc/rpctest"
)

var importing = rpc.ClientStream[int, []time.Duration]("Orders.Import")

// importer answers with when each message was received, since the stream began.
func importer(t *testing.T, opts ...rpc.ServerOption) *rpc.Server {
	t.Helper()
	srv := rpc.NewServer(opts...)
	require.NoError(t, importing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[int]) (*[]time.Duration, error) {
		begun, at := time.Now(), []time.Duration{}
		for _, err := range in.All() {
			if err != nil {
				return nil, err
			}
			at = append(at, time.Since(begun))
		}
		return &at, nil
	}))
	return srv
}

func importAll(t *testing.T, c rpc.Caller, n int) ([]time.Duration, error) {
	t.Helper()
	out, err := importing.Open(t.Context(), c)
	require.NoError(t, err)
	defer out.Close()
	for i := range n {
		if out.Send(t.Context(), &i) != nil {
			break
		}
	}
	at, err := out.CloseAndReceive(t.Context())
	if err != nil {
		return nil, err
	}
	return *at, nil
}

func TestMessages_OverTheLimitWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Messages("Orders.Import", 2, 3))
		srv := importer(t, rpc.WithAuthorize(limits.Authorize), rpc.WithServerMiddleware(limits.Middleware()))
		defer srv.Close()
		c := rpctest.NewClient(t, srv)
		at, err := importAll(t, c, 6)
		require.NoError(t, err)
		const half = time.Second / 2
		assert.Equal(t, []time.Duration{0, 0, 0, 0, half, 2 * half}, at, "each pays before the next")
		begun := time.Now()
		both := make(chan int, 2)
		for range 2 {
			go func() {
				at, _ := importAll(t, c, 10)
				both <- len(at)
			}()
		}
		assert.Equal(t, 20, <-both+<-both)
		assert.InDelta(t, (10 * time.Second).Seconds(), time.Since(begun).Seconds(), 2, "all streams together")
	})
}

// A client that sends more than its server takes waits: nothing is refused, and what it has
// under way is bounded.
func TestMessages_SlowTheSenderDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Messages("Orders.Import", 1, 1))
		srv := importer(t, rpc.WithAuthorize(limits.Authorize), rpc.WithServerMiddleware(limits.Middleware()))
		defer srv.Close()
		out, err := importing.Open(t.Context(), rpctest.NewClient(t, srv))
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		sent := 0
		for n := range 10_000 {
			if err = out.Send(ctx, &n); err != nil {
				break
			}
			sent++
		}
		assert.Equal(t, rpc.DeadlineExceeded, rpc.CodeOf(err))
		assert.Less(t, sent, 1000)
		out.Close()
	})
}

func TestMessages_AWaitEndsWithItsContextAndWithTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Messages("Orders.Import", 1.0/3600, 1))
		srv := rpc.NewServer(rpc.WithServerMiddleware(limits.Middleware()))
		defer srv.Close()
		ended := make(chan error, 1)
		require.NoError(t, importing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[int]) (*[]time.Duration, error) {
			for range 2 {
				_, err := in.Receive(ctx)
				require.NoError(t, err)
			}
			brief, cancel := context.WithTimeout(ctx, time.Minute)
			defer cancel()
			_, err := in.Receive(brief)
			assert.Equal(t, rpc.DeadlineExceeded, rpc.CodeOf(err))
			n, err := in.Receive(context.Background())
			assert.Equal(t, 2, *n, "nothing was lost")
			assert.NoError(t, err)
			_, err = in.Receive(context.Background())
			ended <- err
			return nil, err
		}))
		out, err := importing.Open(t.Context(), rpctest.NewClient(t, srv))
		require.NoError(t, err)
		for n := range 3 {
			require.NoError(t, out.Send(t.Context(), &n))
		}
		<-time.After(90 * time.Minute)
		begun := time.Now()
		out.Close()
		assert.Equal(t, rpc.Canceled, rpc.CodeOf(<-ended))
		assert.Zero(t, time.Since(begun))
	})
}

// Whoever forgets the middleware is told at the first stream, not by a server that is slow.
func TestMessages_WithoutMiddlewareAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Messages("Orders.Import", 2, 1))
		srv := importer(t, rpc.WithAuthorize(limits.Authorize))
		defer srv.Close()
		_, err := importAll(t, rpctest.NewClient(t, srv), 1)
		assert.ErrorIs(t, err, rpc.Internal)
		assert.ErrorContains(t, err, "the server lacks Limiter.Middleware")
	})
	for _, opt := range []Option{Messages("Orders.*", 1, 1), Messages("Orders.Import", 0, 1), Messages("Orders.Import", 1, 0)} {
		_, err := New(opt)
		assert.Error(t, err)
	}
}

// A stream is a call when it opens.
func TestStreams_CountWhenTheyOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := newLimiter(t, Method("Orders.Import", 1, 2))
		srv := importer(t, rpc.WithAuthorize(limits.Authorize))
		defer srv.Close()
		c := rpctest.NewClient(t, srv)
		for range 2 {
			_, err := importAll(t, c, 100)
			require.NoError(t, err)
		}
		_, err := importAll(t, c, 1)
		assert.ErrorIs(t, err, rpc.ResourceExhausted)
		assert.True(t, rpc.NeverRan(err))
		pause, ok := rpc.RetryAfter(err)
		assert.True(t, ok)
		assert.Equal(t, time.Second, pause)
	})
}

func TestStreams_OfHealthAreExempt(t *testing.T) {
	limits := newLimiter(t, Server(1, 1))
	for range 3 {
		_, err := limits.Authorize(t.Context(), health.Watch.Name())
		assert.NoError(t, err)
	}
	_, err := New(LimitHealth(), Exempt("Health.Watch"))
	assert.ErrorContains(t, err, "Exempt names Health.Watch, and LimitHealth is given, too")
	limits = newLimiter(t, Server(1, 1), LimitHealth())
	_, first := limits.Authorize(t.Context(), health.Watch.Name())
	_, second := limits.Authorize(t.Context(), health.Watch.Name())
	assert.NoError(t, first)
	assert.ErrorIs(t, second, rpc.ResourceExhausted)
}
