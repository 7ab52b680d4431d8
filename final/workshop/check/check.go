// Package check runs a station's tests on a learner's code, so that nothing that
// the code does wrong hides anything else: packages are compiled one by one, and
// each test has a process of its own.
package check

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// Options say what to check. The zero value checks everything, without the race
// detector.
type Options struct {
	Run     *regexp.Regexp // only tests whose name it matches; nil: all
	Race    bool           // see CanRace
	Timeout time.Duration  // of one test; 0: 20 seconds

	// Progress is told how many tests have ended, of how many that are run, one call
	// at a time. It may be nil.
	Progress func(ended, all int)

	// Late is told of each test that takes long, and may hang. It is never called at the
	// same time as Progress. It may be nil.
	Late func(test string)

	// Each is given each result when its test has ended, before Progress is told. It is
	// called as Progress is, and may be nil.
	Each func(Result)

	NoVet bool // go vet is left out: a quick look

	atOnce int // how many tests run at a time, late ones not counted; 0: as many as there are processors
}

// A Report is what a check saw.
type Report struct {
	Target     Target
	Results    []Result   // new tests first, each kind in the lesson's order
	Packages   []*Package // that have tests
	Broken     []string   // mistakes of packages without tests that do not compile
	Doubts     []Doubt    // of go vet
	RedIsRight string     // why code that does not compile is as it should be; ""
	Help       []string   // what else helps with mistakes

	all      []course.Test // also those that are not run
	ofCourse []course.Test // of all, without those that the learner has added
}

// OfCourse returns the names of the station's tests, run or not, in the order of the
// lesson's pieces. Those that the learner has added are left out.
func (r *Report) OfCourse() []string {
	var names []string
	for _, t := range r.ofCourse {
		names = append(names, t.Name)
	}
	return names
}

// ToDo returns the names of the tests that are not done, in the order of the lesson's
// pieces: a test that is carried over may be the first that the learner's code can pass.
// Those that have not been run come last. A pin that is undecided waits for all of
// these, and needs nothing itself.
func (r *Report) ToDo() []string {
	var names, leftOut []string
	for _, result := range r.byPiece() {
		switch {
		case result.Status == LeftOut:
			leftOut = append(leftOut, result.Test.Name)
		case !result.Status.done() && result.Status != Undecided:
			names = append(names, result.Test.Name)
		}
	}
	return append(names, leftOut...)
}

// byPiece returns the results in the order in which the lesson's pieces turn the tests
// green, new or not.
func (r *Report) byPiece() []*Result {
	var all []*Result
	for i := range r.Results {
		all = append(all, &r.Results[i])
	}
	at := func(result *Result) int { return slices.IndexFunc(r.all, result.Test.Same) }
	slices.SortStableFunc(all, func(a, b *Result) int { return at(a) - at(b) })
	return all
}

// NotCompiled returns the names of the tests whose package does not compile.
func (r *Report) NotCompiled() []string {
	return r.names(func(s Status) bool { return s == NotCompiled })
}

// Passed returns the names of the tests that are done: those that passed, and the
// pins whose limit is lifted.
func (r *Report) Passed() []string { return r.names(Status.done) }

// Ran returns the names of the tests that were run.
func (r *Report) Ran() []string { return r.names(Status.ran) }

func (r *Report) names(want func(Status) bool) []string {
	var names []string
	for _, result := range r.Results {
		if want(result.Status) {
			names = append(names, result.Test.Name)
		}
	}
	return names
}

// Done reports whether all is well.
func (r *Report) Done() bool {
	return len(r.ToDo()) == 0 && len(r.Broken) == 0 && !slices.ContainsFunc(r.Doubts, Doubt.Blocks)
}

// Run checks t. Its error is of the machine or ctx's; what is wrong with the code
// is in the report.
func Run(ctx context.Context, t Target, o Options) (*Report, error) {
	if o.Timeout == 0 {
		o.Timeout = 20 * time.Second
	}
	report := &Report{Target: t}
	there, err := report.plan(o.Run)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "workshop-check-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if err := report.compile(ctx, there, tmp, o.Race, o.NoVet); err != nil {
		return nil, err
	}
	err = report.runAll(ctx, o)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	report.judgePins()
	return report, err
}

// plan fills r.Results with the tests to run, and returns the folders of their
// packages, in the order in which the lesson comes to them.
func (r *Report) plan(run *regexp.Regexp) (packages []string, err error) {
	t := r.Target
	wanted, err := course.Tests(t.Root, t.Station)
	if err != nil {
		return nil, err
	}
	added, err := course.NewTests(t.Root, t.Station)
	if err != nil {
		return nil, err
	}
	there, err := course.TestsIn(t.Dir)
	if err != nil {
		return nil, err
	}
	if t.Progress == nil { // nothing is lost from the course's own folders; a checkpoint's has rpc alone
		wanted = slices.DeleteFunc(wanted, func(w course.Test) bool { return !slices.ContainsFunc(there, w.Same) })
	}
	r.all, r.ofCourse = arrange(wanted, there), wanted
	for _, test := range r.all {
		if run != nil && !run.MatchString(test.Name) {
			continue
		}
		result := Result{Test: test, Status: Missing, New: slices.ContainsFunc(added, test.Same)}
		if slices.ContainsFunc(there, test.Same) {
			result.Status = NotCompiled
			if !slices.Contains(packages, test.Package) {
				packages = append(packages, test.Package)
			}
		}
		r.Results = append(r.Results, result)
	}
	slices.SortStableFunc(r.Results, func(a, b Result) int { return first(a.New) - first(b.New) })
	return packages, nil
}

func first(yes bool) int {
	if yes {
		return 0
	}
	return 1
}

// arrange returns the tests that are wanted, in their order, but not those of the
// article's way that are not there; then those that the learner has added.
func arrange(wanted, there []course.Test) []course.Test {
	var all []course.Test
	for _, t := range wanted {
		if !t.IsNaive() || slices.ContainsFunc(there, t.Same) {
			all = append(all, t)
		}
	}
	for _, t := range there {
		if !slices.ContainsFunc(wanted, t.Same) {
			all = append(all, t)
		}
	}
	return all
}

// compile builds the packages, and drops tests that are not for this system.
func (r *Report) compile(ctx context.Context, packages []string, tmp string, race, noVet bool) error {
	dir := r.Target.Dir
	for i, name := range packages {
		sub := filepath.Join(tmp, strconv.Itoa(i))
		if err := os.Mkdir(sub, 0o777); err != nil {
			return err
		}
		p, err := compile(ctx, dir, name, sub, race)
		if err != nil {
			return err
		}
		if p.next, err = course.FirstPiece(r.Target.Root, r.Target.Station, p.stubNames()); err != nil {
			return err
		}
		r.Packages = append(r.Packages, p)
		r.Results = slices.DeleteFunc(r.Results, func(result Result) bool {
			return result.Status != Missing && result.Test.Package == name && len(p.Errors) == 0 && !p.tests[topLevel(result.Test.Name)]
		})
	}
	if mistakes := r.Mistakes(); len(mistakes) > 0 {
		all := lines(mistakes)
		r.RedIsRight, r.Help = redIsRight(r.Target, all), explain(r.Target, all)
		return ctx.Err()
	}
	if noVet {
		return ctx.Err()
	}
	var err error
	if r.Doubts, r.Broken, err = vet(ctx, dir, race); err != nil {
		return err
	}
	return ctx.Err()
}

func (r *Report) packageOf(t course.Test) *Package {
	for _, p := range r.Packages {
		if p.Name == t.Package {
			return p
		}
	}
	return nil
}

// topLevel returns the name of the function that runs that test.
func topLevel(name string) string {
	name, _, _ = strings.Cut(name, "/")
	return name
}
