package engine

import (
	"strings"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// A Reporter is told how each check of all tests went, such as one that tells a board in the
// room. A report says which station it is of, which tests pass, and which do not; since when
// a test fails, the reporter sees by itself.
type Reporter interface {
	// Report is called between checks, one call at a time. The next check waits for it: what
	// takes long has to go on by itself.
	Report(*check.Report)
}

// tell tells the reporters of a check of all tests.
func (e *Engine) tell(last Event) {
	if last.Kind != Checked || !last.All {
		return
	}
	for _, r := range e.Reporters {
		r.Report(last.Report)
	}
}

// Record keeps in the learner's folder what a check of all tests saw, or why some
// failed, and that a hint was shown. The file is read again, since hint may have written to it while
// the tests ran.
func Record(r *check.Report, all bool, hinted string) error {
	if r.Target.Progress == nil {
		return nil
	}
	p, err := progress.Open(r.Target.Dir)
	if err != nil {
		return err
	}
	if p.Station != r.Target.Station.Name {
		return nil // the learner has gone on meanwhile
	}
	if all {
		p.RecordWhy(r.Why(hinted))
	} else {
		p.RecordWhyOf(r.Ran(), r.Why(hinted))
		p.RecordSome(r.ToDo())
	}
	if hinted != "" && p.Hints[hinted] == 0 {
		p.ShowHint(hinted)
	}
	if all {
		p.Record(r.Passed(), r.ToDo(), r.Done())
	}
	mistake := ""
	if mistakes := r.Mistakes(); len(mistakes) > 0 {
		mistake = strings.Join(mistakes[0].Lines, "\n")
	}
	p.RecordMistake(mistake, r.NotCompiled())
	return p.Save()
}
