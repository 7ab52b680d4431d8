package check

import (
	"context"
	"runtime"
	"sync"
)

// maxHung is how many tests may hang before the rest is left out: a lock that is
// never given back can stop them all, and each takes its whole time.
const maxHung = 3

// A runner runs tests, as many at a time as there are processors.
type runner struct {
	report  *Report
	options Options

	mu    sync.Mutex
	ended int // tests
	all   int
	hung  int
}

// runAll runs the tests whose packages compile.
func (r *Report) runAll(ctx context.Context, o Options) {
	var runnable []*Result
	for i := range r.Results {
		result := &r.Results[i]
		if p := r.packageOf(result.Test); result.Status != Missing && p != nil && len(p.Errors) == 0 {
			runnable = append(runnable, result)
		}
	}
	run := &runner{report: r, options: o, all: len(runnable)}
	free := make(chan struct{}, runtime.NumCPU())
	var wg sync.WaitGroup
	for _, result := range runnable {
		free <- struct{}{}
		wg.Go(func() {
			defer func() { <-free }()
			run.one(ctx, result)
		})
	}
	wg.Wait()
}

// one runs one test, unless it is too late for that.
func (run *runner) one(ctx context.Context, result *Result) {
	if ctx.Err() != nil {
		return
	}
	if run.tooManyHang() {
		result.Status = LeftOut
		return
	}
	added := result.New
	*result = runTest(ctx, run.report.Target.Dir, run.report.packageOf(result.Test), result.Test, run.options.Timeout)
	result.New = added
	run.end(result.Status)
}

func (run *runner) tooManyHang() bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.hung >= maxHung
}

// end counts a test that has ended, and tells of it.
func (run *runner) end(s Status) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.ended++
	if s == Hung {
		run.hung++
	}
	if run.options.Progress != nil {
		run.options.Progress(run.ended, run.all)
	}
}
