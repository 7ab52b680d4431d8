package check

import (
	"cmp"
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"
)

const (
	// maxHung is how many tests may hang before the rest is left out: a lock that is
	// never given back can stop them all, and each takes its whole time.
	maxHung = 3

	// patience is how long a test keeps others from being run. One that takes longer is
	// late: it goes on, with all the time that it has, beside the next.
	patience = 2 * time.Second
)

// A runner runs tests, as many at a time as there are processors, and beside them
// those that are late.
type runner struct {
	report    *Report
	options   Options
	converter *converter

	all int // tests

	mu     sync.Mutex // guards what follows
	change sync.Cond  // of inTime, late or hung
	inTime int        // tests that run, and are not late
	late   int        // tests that run, and are
	ended  int
	hung   int
	err    error // of the machine
}

// A turn is that of one test to run. The runner's lock guards it.
type turn struct{ late, ended bool }

// runAll runs the tests whose packages compile. Those that the station adds come last:
// until their pieces are written they may hang, and keep others from being run.
func (r *Report) runAll(ctx context.Context, o Options) error {
	var runnable []*Result
	order := r.byPiece()
	slices.SortStableFunc(order, func(a, b *Result) int { return first(!a.New) - first(!b.New) })
	for _, result := range order {
		if p := r.packageOf(result.Test); result.Status != Missing && p != nil && len(p.Errors) == 0 {
			runnable = append(runnable, result)
		}
	}
	run := &runner{report: r, options: o, converter: newConverter(ctx, r.Target.Dir), all: len(runnable)}
	run.change.L = &run.mu
	var wg sync.WaitGroup
	for _, result := range runnable {
		if !run.begin() {
			result.Status = LeftOut
			continue
		}
		wg.Go(func() { run.one(ctx, result) })
	}
	wg.Wait()
	return run.err
}

// begin waits until there is room for one test more, and reports false if too many
// have hung. Those that are late may hang as well: no more of them go on at a time.
func (run *runner) begin() bool {
	run.mu.Lock()
	defer run.mu.Unlock()
	atOnce := cmp.Or(run.options.atOnce, runtime.NumCPU())
	for run.hung < maxHung && (run.inTime >= atOnce || run.hung+run.late >= maxHung) {
		run.change.Wait()
	}
	if run.hung >= maxHung {
		return false
	}
	run.inTime++
	return true
}

// one runs one test, unless the check has been given up.
func (run *runner) one(ctx context.Context, result *Result) {
	var t turn
	timer := time.AfterFunc(patience, func() { run.goOn(result.Test.Name, &t) })
	defer timer.Stop()
	if ctx.Err() != nil {
		run.end(&t, *result, nil)
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
	run.end(&t, r, err)
}

// goOn lets a test that is late go on beside the next, and tells of it.
func (run *runner) goOn(test string, t *turn) {
	run.mu.Lock()
	defer run.mu.Unlock()
	if t.ended {
		return
	}
	t.late = true
	run.inTime--
	run.late++
	run.change.Broadcast()
	if run.options.Late != nil {
		run.options.Late(test)
	}
}

// end counts a test that has ended, and tells of it.
func (run *runner) end(t *turn, r Result, err error) {
	run.mu.Lock()
	defer run.mu.Unlock()
	t.ended = true
	if t.late {
		run.late--
	} else {
		run.inTime--
	}
	run.ended++
	run.err = errors.Join(run.err, err)
	if r.Status == Hung {
		run.hung++
	}
	run.change.Broadcast()
	if run.options.Each != nil && err == nil && r.Status.ran() {
		run.options.Each(r)
	}
	if run.options.Progress != nil {
		run.options.Progress(run.ended, run.all)
	}
}
