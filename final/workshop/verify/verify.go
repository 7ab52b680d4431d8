package verify

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Check is one thing that is held to the code. Checks do not depend on each
// other.
type Check struct {
	Name  string
	Short string // what holds if it passes
	run   runFunc
}

type runFunc func(context.Context, *Course, *Findings) error

// Checks are all of them: those first that take no time.
var Checks = []Check{
	{"code", "quoted code and diffs are those of their declarations, introduced by file and label", eachPage((*Course).checkCode)},
	{"complete", "each declaration that 01 to 5f add or change is quoted once", eachLesson((*Course).checkComplete)},
	{"text", "excerpts are lines of their files", eachPage((*Course).checkText)},
	{"regions", "generated parts are up to date", eachPage((*Course).checkRegions)},
	{"links", "links within the course lead somewhere", eachPage((*Course).checkLinks)},
	{"names", "tests that are named exist, and pins name what lifts them", checkNames},
	{"time", "minutes are those of course/station.go, and schedules add up", checkTime},
	{"template", "lessons have their parts in order, their length, and terms of the glossary", checkTemplate},
	{"prose", "pages read well: short sentences, named actors, no habit that makes a reader read twice", eachPage((*Course).checkProse)},
	{"same", "a declaration is the same at each station, or the lesson names it", eachLesson((*Course).checkSame)},
	{"seams", "what tests call of unexported code is listed as a seam", eachLesson((*Course).checkSeams)},
	{"hints", "each new test has hints, and each hint a test", eachLesson((*Course).checkHints)},
	{"diffs", "testdata/diffs is up to date", checkDiffs},
	{"book", "the book's pages can be made, and their links lead somewhere", checkBook},
	{"pins", "a pin passes while its limit is there, and skips where the code lifts it", lessonsAtOnce((*Course).checkLimits)},
	{"console", "commands print what lessons say", pagesAtOnce((*Course).checkConsole)},
	{"break", "each change that is said to turn a test red does", checkBreak},
	{"exercises", "solutions of exercises apply, and pass all tests", checkExercises},
	{"replay", "blocks typed one by one do what the lesson says, and add up to the station's code", lessonsAtOnce((*Course).checkReplay)},
	{"mutants", "tests reject wrong variants of the code, and accept right ones", checkMutants},
	{"red", "a station's new tests fail on what start gives, and pass with its code", lessonsAtOnce((*Course).checkRed)},
}

// eachPage is the run of a check that looks at one page after the other.
func eachPage(look func(*Course, *Page, *Findings) error) runFunc {
	return func(_ context.Context, c *Course, f *Findings) error {
		for _, p := range c.pages {
			if err := look(c, p, f); err != nil {
				return err
			}
		}
		return nil
	}
}

// eachLesson is eachPage for the stations' lessons alone.
func eachLesson(look func(*Course, *Page, *Findings) error) runFunc {
	return eachPage(func(c *Course, p *Page, f *Findings) error {
		if !p.IsLesson() {
			return nil
		}
		return look(c, p, f)
	})
}

// pagesAtOnce is the run of a check that looks at some pages at the same time: it runs
// programs.
func pagesAtOnce(look func(*Course, context.Context, *Page, *Findings) error) runFunc {
	return func(ctx context.Context, c *Course, f *Findings) error {
		eachAtOnce(c.pages, func(p *Page) {
			if err := look(c, ctx, p, f); err != nil {
				f.page(p, 0, "%v", err)
			}
		})
		return ctx.Err()
	}
}

// lessonsAtOnce is pagesAtOnce for the stations' lessons alone.
func lessonsAtOnce(look func(*Course, context.Context, *Page, *Findings) error) runFunc {
	return pagesAtOnce(func(c *Course, ctx context.Context, p *Page, f *Findings) error {
		if !p.IsLesson() {
			return nil
		}
		return look(c, ctx, p, f)
	})
}

// Select returns the checks of these names, or all.
func Select(names []string) ([]Check, error) {
	if len(names) == 0 {
		return Checks, nil
	}
	var selected []Check
	for _, name := range names {
		i := slices.IndexFunc(Checks, func(c Check) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("no check %q: -list lists them", name)
		}
		selected = append(selected, Checks[i])
	}
	return selected, nil
}

// Run runs the check on the course.
func (k Check) Run(ctx context.Context, c *Course) *Findings {
	f := &Findings{}
	begin := time.Now()
	if err := k.run(ctx, c, f); err != nil {
		f.Problems = append(f.Problems, &Problem{Text: err.Error()})
	}
	f.Took = time.Since(begin)
	slices.SortStableFunc(f.Problems, func(a, b *Problem) int {
		if a.File != b.File {
			return strings.Compare(a.File, b.File)
		}
		return a.Line - b.Line
	})
	return f
}

// Findings are what a check has found. They may be added to concurrently.
type Findings struct {
	Problems []*Problem
	Notes    []string // what was not looked at, and why
	Figures  []string // what was measured, one line per page
	Reports  []string // what was looked at, where a check says so
	Took     time.Duration

	mu sync.Mutex
}

func (f *Findings) add(p *Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Problems = append(f.Problems, p)
}

// page notes a problem on a page.
func (f *Findings) page(p *Page, line int, format string, args ...any) {
	f.add(problem(p, line, format, args...))
}

// file notes a problem in a file that is no page.
func (f *Findings) file(name string, line int, format string, args ...any) {
	f.add(&Problem{name, line, fmt.Sprintf(format, args...)})
}

func (f *Findings) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Notes = append(f.Notes, fmt.Sprintf(format, args...))
}

func (f *Findings) report(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Reports = append(f.Reports, fmt.Sprintf(format, args...))
}

// lessons returns the stations' lessons.
func (c *Course) lessons() []*Page {
	return slices.DeleteFunc(slices.Clone(c.pages), func(p *Page) bool { return !p.IsLesson() })
}
