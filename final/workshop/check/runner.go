package check

import (
	"context"
	"errors"
	"runtime"
	"sync"
)

// maxHung is how many tests may hang before the rest is left out: a lock that is
// never given back can stop them all, and each takes its whole time.
const maxHung = 3

// A runner runs tests, as many at a time as there are processors.
type runner struct {
	report    *Report
	options   Options
	converter *converter

	mu    sync.Mutex
	ended int // tests
	all   int
	hung  int
	err   error // of the machine
}

// runAll runs the tests whose packages compile.
func (r *Report) runAll(ctx context.Context, o Options) error {
	var runnable []*Result
	for i := range r.Results {
		result := &r.Results[i]
		if p := r.packageOf(result.Test); result.Status != Missing && p != nil && len(p.Errors) == 0 {
			runnable = append(runnable, result)
		}
	}
	run := &runner{report: r, options: o, converter: newConverter(ctx, r.Target.Dir), all: len(runnable)}
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
	return run.err
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
	r, err := runTest(ctx, run.report.Target.Dir, run.report.packageOf(result.Test), result.Test, run.options, run.converter)
	r.New = result.New
	if !r.Status.failed() && r.Status != Lifted || !r.New && r.Test.IsScript() {
		r.Stub = nil // it does no harm, or the programs of the steps before have run
	}
	if r.Stub != nil {
		r.Next = run.report.packageOf(r.Test).next
	}
	*result = r
	run.end(r.Status, err)
}

func (run *runner) tooManyHang() bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	return run.hung >= maxHung
}

// end counts a test that has ended, and tells of it.
func (run *runner) end(s Status, err error) {
	run.mu.Lock()
	defer run.mu.Unlock()
	run.ended++
	run.err = errors.Join(run.err, err)
	if s == Hung {
		run.hung++
	}
	if run.options.Progress != nil {
		run.options.Progress(run.ended, run.all)
	}
}
