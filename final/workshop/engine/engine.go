// Package engine checks a learner's folder, and again whenever a file is saved. It
// yields what happens: watch prints it, and the studio shows it on its pages.
package engine

import (
	"context"
	"time"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/check/watch"
)

// An Engine checks one folder. Its fields may not change while Run runs.
type Engine struct {
	Dir   string        // a learner's folder, or one of the course's own
	Watch watch.Options // how saves are noticed

	// Options returns the options of the next check; nil: those of check.Options{}.
	Options func(ctx context.Context, t check.Target) (check.Options, error)

	// Quick has the first test that is to do, or one that passed, run before all others, without the race
	// detector, whose compiling takes most of the time. The check itself follows.
	Quick bool

	// Again asks for another check, although no file was saved; nil: nobody does.
	Again <-chan struct{}

	// Reporters are told how each check of all tests went. A check of some tests, by
	// check.Options.Run, is no news for them.
	Reporters []Reporter
}

// An Event is something that happens. Fields that its kind does not name are not set.
type Event struct {
	Kind   Kind
	At     time.Time
	Target check.Target
	Result check.Result  // of Tested
	Test   string        // of Late
	Report *check.Report // of NotCompiled and Checked
	All    bool          // of Checked: all tests were checked, not some
	Err    error         // of Failed
}

// A Kind is what happens.
type Kind string

// The kinds of events. A check begins with Saved, and ends with Checked, Failed or GaveUp.
const (
	Saved       Kind = "saved"        // a check begins, at the start or because a file was saved
	NotCompiled Kind = "not compiled" // a quick look found that the code does not compile; the check goes on
	Tested      Kind = "tested"       // a test has ended: its status says whether it hung or panicked
	Late        Kind = "late"         // a test takes long, and may hang
	Checked     Kind = "checked"      // the check has ended
	Failed      Kind = "failed"       // there is no result, for a reason of the machine
	GaveUp      Kind = "gave up"      // a file was saved: the result would be of yesterday
)

// Run checks the folder until ctx ends. It returns an error if there is no such folder.
// It calls each for every event, one at a time.
func (e *Engine) Run(ctx context.Context, each func(Event)) error {
	target, err := check.Find(e.Dir)
	if err != nil {
		return err
	}
	changes := watch.Changes(ctx, target.Dir, e.Watch)
	for ctx.Err() == nil {
		if changed := e.once(ctx, target.Dir, changes, each); changed {
			continue
		}
		select {
		case <-changes: // closed when ctx ends
		case <-e.Again:
		}
	}
	return nil
}

// once checks, and reports whether it was given up because of a change.
func (e *Engine) once(ctx context.Context, dir string, changes <-chan struct{}, each func(Event)) (changed bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan Event, 1)
	go func() { done <- e.check(ctx, dir, each) }()
	select {
	case last := <-done:
		if ctx.Err() == nil {
			last.At = time.Now()
			each(last)
			e.tell(last)
		}
		return false
	case _, open := <-changes:
		cancel()
		last := <-done
		each(Event{Kind: GaveUp, At: time.Now(), Target: last.Target})
		return open
	}
}

// check returns the event that ends it.
func (e *Engine) check(ctx context.Context, dir string, each func(Event)) Event {
	target, err := check.Find(dir) // again: next may have moved on
	if err != nil {
		return Event{Kind: Failed, Err: err}
	}
	emit := func(event Event) {
		event.At, event.Target = time.Now(), target
		if ctx.Err() == nil {
			each(event)
		}
	}
	emit(Event{Kind: Saved})
	var o check.Options
	if e.Options != nil {
		if o, err = e.Options(ctx, target); err != nil {
			return Event{Kind: Failed, Target: target, Err: err}
		}
	}
	if e.Quick {
		e.look(ctx, target, o, emit)
	}
	late := o.Late
	o.Each = func(r check.Result) { emit(Event{Kind: Tested, Result: r}) }
	o.Late = func(test string) {
		emit(Event{Kind: Late, Test: test})
		if late != nil {
			late(test)
		}
	}
	report, err := check.Run(ctx, target, o)
	if err != nil {
		return Event{Kind: Failed, Target: target, Err: err}
	}
	return Event{Kind: Checked, Target: target, Report: report, All: o.Run == nil}
}

// look runs the test that is first to do. What it finds wrong with the machine the check
// finds again.
func (e *Engine) look(ctx context.Context, t check.Target, o check.Options, emit func(Event)) {
	test := firstToDo(t)
	if test == "" || o.Run != nil && !o.Run.MatchString(test) {
		return
	}
	report, err := check.Run(ctx, t, check.Options{
		Run:     check.Only(test),
		Timeout: min(o.Timeout, lookTimeout),
		NoVet:   true,
	})
	switch {
	case err != nil:
	case len(report.Mistakes()) > 0:
		emit(Event{Kind: NotCompiled, Report: report})
	default:
		for _, r := range report.Results {
			if r.Status.Done() || r.Status.Failed() && r.Status != check.Hung {
				emit(Event{Kind: Tested, Result: r})
			}
		}
	}
}

// lookTimeout is how long a quick look may take. A test that takes longer may hang, which
// the check finds with its own limit, and keeps no other waiting meanwhile.
const lookTimeout = 2 * time.Second

// firstToDo returns the test that the last check saw fail first; if all passed, the first
// of these, since a quick look also says whether the code compiles. "" if none is known.
func firstToDo(t check.Target) string {
	if t.Progress == nil {
		return ""
	}
	for _, known := range [][]string{t.Progress.ToDo, t.Progress.Passed[t.Station.Name]} {
		if len(known) > 0 {
			return known[0]
		}
	}
	return ""
}
