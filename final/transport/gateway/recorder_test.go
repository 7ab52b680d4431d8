package gateway

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestHistogram_QuantilesAreAtMostASixteenthTooMuch(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, span := range []time.Duration{20 * time.Microsecond, 3 * time.Millisecond, 10 * time.Second, 30 * time.Minute} {
		var h histogram
		var all []time.Duration
		for range 10_000 {
			d := time.Duration(rnd.Int64N(int64(span)))
			h.add(d)
			all = append(all, d)
		}
		slices.Sort(all)
		for _, q := range []float64{0, 0.5, 0.9, 0.99, 1} {
			exact := all[int(q*float64(len(all)-1))]
			got := h.quantile(q)
			assert.GreaterOrEqual(t, got, exact, "%v of %v", q, span)
			assert.LessOrEqual(t, got, exact+exact/16+finest, "%v of %v", q, span)
		}
	}
}

func TestHistogram_Edges(t *testing.T) {
	var h histogram
	assert.Zero(t, h.quantile(0.5), "nothing was counted")
	h.add(-time.Second)
	assert.Equal(t, finest, h.quantile(1), "a clock that was set back")
	h.add(1000 * time.Hour)
	assert.Equal(t, limitOf(buckets-1), h.quantile(1))
	for i := range buckets - 1 {
		limit := limitOf(i)
		assert.Equal(t, i, bucketOf(limit-1))
		assert.Equal(t, i+1, bucketOf(limit))
	}
}

func TestRecorder_AStreamIsOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder()
		srv := rpc.NewServer(rpc.WithServerMiddleware(r.Middleware()), rpc.WithPanicHandler(func(context.Context, any, []byte) {}))
		defer srv.Close()
		registerStreams(t, srv, newWatcher())
		for params, code := range map[string]rpc.Code{`{"Count":3}`: rpc.OK, `{"Fails":"aborted"}`: rpc.Aborted, `{"Then":"panic"}`: rpc.Internal} {
			err := srv.InvokeStream(t.Context(), rpc.Invocation{Method: watch.Name(), Codec: rpc.JSON, Params: []byte(params)}, func(context.Context, []byte) error {
				assert.Equal(t, int64(1), r.of(watch.Name()).figures(time.Now()).InFlight)
				<-time.After(time.Second)
				return nil
			})
			assert.Equal(t, code, rpc.CodeOf(err))
		}
		f := r.of(watch.Name()).figures(time.Now())
		assert.Equal(t, []codeCount{{rpc.OK, 1}, {rpc.Aborted, 1}, {rpc.Internal, 1}}, f.Codes)
		assert.Zero(t, f.InFlight)
		assert.InDelta(t, 3*time.Second, r.of(watch.Name()).latest.quantile(1), float64(time.Second), "as long as its handler")
	})
}

func TestRecorder_CountsHowCallsEnd(t *testing.T) {
	r := NewRecorder()
	results := map[string]error{"good": nil, "coded": rpc.Errorf(rpc.NotFound, "x"), "bare": errors.New("x"), "odd": rpc.Code(200)}
	handler := r.Intercept(rpc.MethodInfo{Name: "A.B"}, func(_ context.Context, params any) (any, error) {
		if params == "panic" {
			panic("x")
		}
		return nil, results[params.(string)]
	})
	for params := range results {
		handler(t.Context(), params)
	}
	assert.Panics(t, func() { handler(t.Context(), "panic") })
	f := r.of("A.B").figures(time.Now())
	assert.EqualValues(t, 5, f.Calls)
	assert.EqualValues(t, 4, f.Failed)
	assert.Zero(t, f.InFlight)
	assert.Equal(t, []codeCount{{rpc.OK, 1}, {rpc.Unknown, 2}, {rpc.NotFound, 1}, {rpc.Internal, 1}}, f.Codes)
}

func TestRecorder_ForgetsWhatIsOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder()
		took := time.Second
		handler := r.Intercept(rpc.MethodInfo{Name: "A.B"}, func(context.Context, any) (any, error) {
			<-time.After(took)
			return nil, nil
		})
		figures := func() figures { return r.of("A.B").figures(time.Now()) }
		for range 10 {
			handler(t.Context(), nil)
		}
		f := figures()
		assert.InDelta(t, time.Second, f.P50, float64(time.Second/16))
		assert.InDelta(t, 1.0, f.PerSecond, 0.01)

		<-time.After(recent)
		took = time.Millisecond
		for range 90 {
			handler(t.Context(), nil)
		}
		f = figures()
		assert.InDelta(t, time.Millisecond, f.P50, float64(time.Millisecond/16))
		assert.InDelta(t, time.Second, f.P99, float64(time.Second/16), "still in sight")

		<-time.After(recent)
		f = figures()
		assert.InDelta(t, time.Millisecond, f.P99, float64(time.Millisecond/16), "out of sight")
		<-time.After(2 * recent)
		f = figures()
		assert.False(t, f.Recent)
		assert.EqualValues(t, 100, f.Calls, "which is of all times")
	})
}

func TestRecorder_ManyAtOnce(t *testing.T) {
	r := NewRecorder()
	handler := r.Intercept(rpc.MethodInfo{Name: "A.B"}, func(context.Context, any) (any, error) { return nil, nil })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				handler(t.Context(), nil)
				r.of("A.B").figures(time.Now())
			}
		})
	}
	wg.Wait()
	assert.EqualValues(t, 8000, r.of("A.B").figures(time.Now()).Calls)
}
