package studio

import (
	"maps"
	"slices"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/engine"
	"example.com/rpc-from-scratch/final/workshop/hint"
)

// A state is what is known of the folder. What a check has not come to yet is as the
// check before saw it.
type state struct {
	mu       sync.Mutex // guards what follows
	changed  chan struct{}
	target   check.Target
	phase    phase
	saved    time.Time
	first    time.Duration // from the save to the first result; 0: none yet
	tests    []testState   // in the lesson's order
	known    map[course.Test]bool
	tally    string // of the last check
	mistakes []check.Mistake
	doubts   []string
	help     []string
	red      string // why code that does not compile is right
	late     []string
	err      error
	pieces   []piece
	unparsed bool            // pieces are from before: a file does not parse
	begin    string          // the test to begin with
	wanted   []course.Test   // those whose hint is not known yet
	want     chan struct{}   // has a token if there are some
	shown    map[string]bool // pieces whose difference the reader asked for
}

// A phase is what the engine does.
type phase string

const (
	checking phase = "checking"
	waiting  phase = "waiting"
)

// A testState is what is known of one test.
type testState struct {
	test    course.Test
	status  check.Status // "": nothing is known
	seconds float64
	explain check.Explanation
	place   string
	hint    string
	stale   bool // known from before the last save, and not yet seen again
}

func newState(t check.Target) *state {
	s := &state{target: t, changed: make(chan struct{}), known: map[course.Test]bool{}, shown: map[string]bool{}, phase: checking, want: make(chan struct{}, 1)}
	s.arrive(t)
	return s
}

// arrive forgets what was known of another station.
func (s *state) arrive(t check.Target) {
	s.target, s.tests, s.known, s.shown = t, nil, map[course.Test]bool{}, map[string]bool{}
	s.tally, s.mistakes, s.doubts, s.help, s.red, s.late, s.begin = "", nil, nil, nil, "", nil, ""
	tests, err := course.Tests(t.Root, t.Station)
	if err != nil {
		s.err = err
		return
	}
	for _, test := range tests {
		if !test.IsNaive() {
			s.add(testState{test: test})
		}
	}
	if s.pieces, s.unparsed, s.err = piecesOf(t); s.unparsed {
		for i := range s.pieces { // what does not parse looks as if it were not there
			s.pieces[i].code, s.pieces[i].next, s.pieces[i].diff = unknown, "", ""
		}
	}
}

func (s *state) add(t testState) {
	s.known[key(t.test)] = true
	s.tests = append(s.tests, t)
}

// key is the same for a test in any file.
func key(t course.Test) course.Test { t.File = ""; return t }

// find returns what is known of a test; it becomes known if it was not.
func (s *state) find(test course.Test) *testState {
	if !s.known[key(test)] {
		s.add(testState{test: test})
	}
	return &s.tests[slices.IndexFunc(s.tests, func(t testState) bool { return t.test.Same(test) })]
}

// notify wakes those who wait for a change.
func (s *state) notify() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notifyLocked()
}

func (s *state) notifyLocked() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// wait returns a channel that is closed at the next change.
func (s *state) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

func (s *state) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
	s.notifyLocked()
}

// show has a piece's difference shown, or hidden.
func (s *state) show(id string, yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shown[id] = yes
	s.notifyLocked()
}

// take takes an event, and returns the test whose first hint is shown because of it.
func (s *state) take(e engine.Event) (hinted string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.notifyLocked()
	switch e.Kind {
	case engine.Saved:
		s.begins(e)
	case engine.NotCompiled:
		s.firstResult(e.At)
		s.mistakes, s.help, s.red = e.Report.Mistakes(), e.Report.Help, e.Report.RedIsRight
	case engine.Tested:
		s.firstResult(e.At)
		s.mistakes = nil
		s.late = slices.DeleteFunc(s.late, func(name string) bool { return name == e.Result.Test.Name })
		s.set(&check.Report{Target: e.Target}, e.Result)
	case engine.Late:
		s.late = append(s.late, e.Test)
	case engine.Checked:
		s.firstResult(e.At)
		return s.checked(e)
	case engine.Failed:
		s.phase, s.err = waiting, e.Err
	}
	return ""
}

func (s *state) firstResult(at time.Time) {
	if s.first == 0 {
		s.first = at.Sub(s.saved)
	}
}

func (s *state) begins(e engine.Event) {
	if e.Target.Station.Name != s.target.Station.Name {
		s.arrive(e.Target)
	}
	s.target = e.Target
	s.phase, s.saved, s.first, s.late, s.err, s.wanted = checking, e.At, 0, nil, nil, nil
	for i := range s.tests {
		s.tests[i].stale = s.tests[i].hasRun()
	}
	if pieces, broken, err := piecesOf(e.Target); err == nil {
		if s.unparsed = broken; !broken {
			s.pieces = pieces
		}
	}
}

// since says from when a stale result is; "" if it is not stale. The lock is held.
func (s *state) since(stale bool) string {
	switch {
	case !stale:
		return ""
	case len(s.mistakes) > 0:
		return "before the mistake"
	}
	return "at the last check"
}

// hasRun reports whether it is known how the test ended.
func (t *testState) hasRun() bool { return t.status != "" && t.status != check.NotCompiled }

func (s *state) set(r *check.Report, result check.Result) {
	t := s.find(result.Test)
	if result.Status == check.NotCompiled && t.hasRun() {
		t.stale = true // how it ended before the mistake is all that is known
		return
	}
	t.status, t.seconds, t.stale = result.Status, result.Time.Seconds(), false
	t.explain, t.place, t.hint = check.Explanation{}, "", ""
	if result.Status.Done() || result.Status == check.Undecided {
		return
	}
	t.explain = r.Explain(result)
	t.place = r.PlaceOf(result)
	if t.hint = t.explain.Hint; t.hint == "" {
		s.wanted = append(s.wanted, result.Test)
		select {
		case s.want <- struct{}{}:
		default: // it was told
		}
	}
}

// findHints finds the hints that are wanted, one after the other, until ended is closed: to
// find one of a test that is carried over may take a while, and results do not wait for it.
func (s *state) findHints(ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case <-s.want:
		}
		for s.findHint() {
		}
	}
}

// findHint finds one hint, and reports whether one was wanted.
func (s *state) findHint() bool {
	s.mu.Lock()
	if len(s.wanted) == 0 {
		s.mu.Unlock()
		return false
	}
	target, t := s.target, *s.find(s.wanted[0])
	s.wanted = s.wanted[1:]
	s.mu.Unlock()
	if t.hint != "" {
		return true
	}
	found := hint.First(target, t.test.Name, t.explain.Case)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.target.Station.Name != target.Station.Name {
		return true // the learner has gone on meanwhile
	}
	if now := s.find(t.test); now.status == t.status && now.explain.Hint == "" {
		now.hint = found
		s.notifyLocked()
	}
	return true
}

// checked takes a whole report.
func (s *state) checked(e engine.Event) (hinted string) {
	r := e.Report
	s.phase, s.tally, s.late = waiting, r.Tally(), nil
	s.mistakes, s.help, s.red, s.doubts = r.Mistakes(), r.Help, r.RedIsRight, nil
	for _, d := range r.Doubts {
		s.doubts = append(s.doubts, d.Text)
	}
	there := map[course.Test]bool{}
	for _, result := range r.Results {
		there[key(result.Test)] = true
		s.set(r, result)
	}
	s.tests = slices.DeleteFunc(s.tests, func(t testState) bool { return !there[key(t.test)] })
	s.known = maps.Clone(there)
	s.begin = ""
	first := r.First(func(test string) string { return hint.First(s.target, test, "") })
	if first == nil || len(s.mistakes) > 0 {
		return ""
	}
	s.begin = first.Test.Name
	t := s.find(first.Test)
	if t.hint == "" {
		t.hint = hint.First(s.target, s.begin, t.explain.Case)
	}
	if t.hint == "" {
		return ""
	}
	return s.begin
}
