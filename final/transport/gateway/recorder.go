package gateway

import (
	"context"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// recent is how far back latencies and rates look: at least this, at most twice.
const recent = time.Minute

// Recorder counts the calls and streams that reach a handler, over any transport, and
// measures how long they take. [WithPage] shows its figures. It takes 4 KiB per
// method, and each call looks at the clock twice.
//
//	recorder := gateway.NewRecorder()
//	srv := rpc.NewServer(rpc.WithServerMiddleware(recorder.Middleware()))
//	mux.Handle("/rpc/", gateway.New(srv, gateway.WithPage(recorder)))
type Recorder struct {
	began time.Time

	mu      sync.Mutex
	methods map[string]*record
}

// NewRecorder returns a Recorder for one server.
func NewRecorder() *Recorder {
	return &Recorder{began: time.Now(), methods: map[string]*record{}}
}

// Middleware is the middleware to give to rpc.WithServerMiddleware. If it is the first,
// it measures the time of the others, too. A stream counts as one call, which takes as
// long as its handler.
func (r *Recorder) Middleware() rpc.ServerMiddleware {
	return rpc.ServerMiddleware{Unary: r.Intercept, Stream: r.interceptStream}
}

// Intercept is what Middleware has for calls, for a server without streams: see
// rpc.WithServerInterceptors.
func (r *Recorder) Intercept(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	rec := r.of(info.Name)
	return func(ctx context.Context, params any) (result any, err error) {
		defer rec.measure(&err)()
		return next(ctx, params)
	}
}

func (r *Recorder) interceptStream(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
	rec := r.of(info.Name)
	return func(ctx context.Context, params any, s rpc.Stream) (err error) {
		defer rec.measure(&err)()
		return next(ctx, params, s)
	}
}

// of returns a method's record. There are as many as methods were registered.
func (r *Recorder) of(method string) *record {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.methods[method] == nil {
		now := time.Now()
		r.methods[method] = &record{turned: now, since: now}
	}
	return r.methods[method]
}

// record is what is known of a method's calls.
type record struct {
	mu       sync.Mutex
	inFlight int64
	codes    [rpc.Unauthenticated + 1]int64 // how calls have ended
	latest   histogram                      // since turned
	previous histogram                      // since since, till turned
	turned   time.Time
	since    time.Time
}

// measure begins a call, and returns what ends it: with *err, or with Internal if the
// handler does not return, because of a panic or a Goexit.
func (r *record) measure(err *error) func() {
	began := time.Now()
	r.start()
	*err = rpc.Internal
	return func() { r.end(began, rpc.CodeOf(*err)) }
}

func (r *record) start() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inFlight++
}

func (r *record) end(began time.Time, code rpc.Code) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(now)
	r.inFlight--
	if int(code) >= len(r.codes) {
		code = rpc.Unknown // a handler's own invention
	}
	r.codes[code]++
	r.latest.add(now.Sub(began))
}

// turnLocked forgets what is too old.
func (r *record) turnLocked(now time.Time) {
	switch age := now.Sub(r.turned); {
	case age < recent:
		return
	case age < 2*recent:
		r.previous, r.since, r.turned = r.latest, r.turned, r.turned.Add(recent)
	default:
		r.previous, r.since, r.turned = histogram{}, now, now
	}
	r.latest = histogram{}
}

// figures are what the page shows of a method.
type figures struct {
	Calls, Failed, InFlight int64
	PerSecond               float64
	Recent                  bool // whether P50 and P99 are of any call
	P50, P99                time.Duration
	Codes                   []codeCount
}

// codeCount says how many calls have ended with a code.
type codeCount struct {
	Code  rpc.Code
	Count int64
}

// figures sums up until now.
func (r *record) figures(now time.Time) figures {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.turnLocked(now)
	f := figures{InFlight: r.inFlight}
	for code, n := range r.codes {
		if n > 0 {
			f.Codes = append(f.Codes, codeCount{rpc.Code(code), n})
			f.Calls += n
		}
	}
	f.Failed = f.Calls - r.codes[rpc.OK]
	both := r.latest
	both.merge(&r.previous)
	if both.total > 0 {
		f.Recent = true
		f.PerSecond = float64(both.total) / max(now.Sub(r.since), time.Second).Seconds()
		f.P50, f.P99 = both.quantile(0.5), both.quantile(0.99)
	}
	return f
}
