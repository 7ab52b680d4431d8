// Package progress keeps how far a learner has come: a file in the folder that
// start made, which is all that the tool remembers.
package progress

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/internal/durable"
)

// File is the name of the file, in the learner's folder.
const File = ".workshop.json"

// ErrNone is returned where neither a folder nor what is above it was made by
// start.
var ErrNone = errors.New(`this is not a folder that start made: go into yours, or make one with "go tool workshop start 01 DIR"`)

// Progress is what the file holds. Tests go by their names, such as
// TestServer_AnswersEachLine or TestScripts/echo; stations by theirs. The methods
// may not be called concurrently.
type Progress struct {
	Station  string              `json:"station"`            // where the learner stands
	Finished []string            `json:"finished,omitempty"` // stations all of whose tests have passed, in the order in which that was seen
	Passed   map[string][]string `json:"passed,omitempty"`   // by station: what the last check saw pass
	ToDo     []string            `json:"todo,omitempty"`     // what the last check saw fail, in the lesson's order
	Some     []string            `json:"some,omitempty"`     // what a check of some tests has seen fail since
	Why      map[string]Why      `json:"why,omitempty"`      // by test that failed when it was last run: what was seen
	Mistake  string              `json:"mistake,omitempty"`  // why tests did not run at the last check, in the compiler's words
	NotRun   []string            `json:"notrun,omitempty"`   // those of ToDo that did not run because of it
	Hints    map[string]int      `json:"hints,omitempty"`    // by test: how many hints have been shown
	Solved   []string            `json:"solved,omitempty"`   // stations at which the course's code was put in, before all tests had passed
	Answers  map[string]string   `json:"answers,omitempty"`  // by station: what the learner predicted
	Given    map[string]string   `json:"given,omitempty"`    // by file, with slashes: the Sum of what the course last put there

	dir string
}

// Why is what a check saw of a test that failed.
type Why struct {
	Cause string `json:"cause"`          // in a line
	Case  string `json:"case,omitempty"` // the first subtest that failed, with its blanks

	How   string   `json:"how,omitempty"`   // "failed", "hung", or which stub it called
	Hints []string `json:"hints,omitempty"` // about how it ended; none if only the test's own help
	File  string   `json:"file,omitempty"`  // the learner's in which it ended; "" if that is not known
}

// Create starts the progress of a learner who stands at station, in dir, and
// writes it. It refuses to overwrite: the error is then fs.ErrExist.
func Create(dir, station string) (*Progress, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, File)
	if _, err := os.Lstat(file); err == nil {
		return nil, &fs.PathError{Op: "create", Path: file, Err: fs.ErrExist}
	}
	p := &Progress{Station: station, dir: dir}
	return p, p.Save()
}

// Open reads the progress in dir or in the nearest folder above it that has one.
// It returns ErrNone if there is none.
func Open(dir string) (*Progress, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	for ; ; dir = filepath.Dir(dir) {
		data, err := os.ReadFile(filepath.Join(dir, File))
		if err == nil {
			return parse(dir, data)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if dir == filepath.Dir(dir) {
			return nil, ErrNone
		}
	}
}

func parse(dir string, data []byte) (*Progress, error) {
	p := &Progress{dir: dir}
	data = bytes.TrimPrefix(data, []byte("\uFEFF")) // some editors begin files so, and we ask for a correction by hand
	err := json.Unmarshal(data, p)
	if err == nil && p.Station == "" {
		err = errors.New("it names no station")
	}
	if err != nil {
		return nil, fmt.Errorf(`%s cannot be read (%w): write {"station":"03"} into it, with the station at which you are; only the list of what you have passed is lost`,
			filepath.Join(dir, File), err)
	}
	return p, nil
}

// Dir returns the learner's folder.
func (p *Progress) Dir() string { return p.dir }

// Save writes the file, whole or not at all, also if the power fails. Between Open and Save, keep it
// short: what another command has saved meanwhile is lost.
func (p *Progress) Save() error {
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return durable.WriteFile(filepath.Join(p.dir, File), append(data, '\n'))
}

// Record notes what a check of the learner's station saw: the tests that passed
// and those still to do. If all is well, the station is finished; it stays so.
func (p *Progress) Record(passed, todo []string, done bool) {
	if p.Passed == nil {
		p.Passed = map[string][]string{}
	}
	p.Passed[p.Station] = passed
	p.ToDo, p.Some = todo, nil
	if done && !p.IsFinished(p.Station) {
		p.Finished = append(p.Finished, p.Station)
	}
}

// RecordSome notes what a check of some tests saw fail.
func (p *Progress) RecordSome(todo []string) { p.Some = todo }

// RecordWhy notes why tests failed at the last check. Where a test fails in another way
// now, or another case of its table does, its hints begin anew.
func (p *Progress) RecordWhy(why map[string]Why) {
	p.restartHints(why)
	p.Why = why
}

// RecordWhyOf is RecordWhy for a check of some tests only: what was seen of the others
// stays.
func (p *Progress) RecordWhyOf(tests []string, why map[string]Why) {
	p.restartHints(why)
	if p.Why == nil {
		p.Why = map[string]Why{}
	}
	for _, test := range tests {
		delete(p.Why, test)
	}
	maps.Copy(p.Why, why)
}

func (p *Progress) restartHints(why map[string]Why) {
	for test, now := range why {
		if before, ok := p.Why[test]; ok && (before.Case != now.Case || before.How != now.How) {
			delete(p.Hints, test)
		}
	}
}

// RecordMistake notes which tests could not run, and why; "" if all could. Hints
// about another mistake begin anew.
func (p *Progress) RecordMistake(mistake string, tests []string) {
	if mistake != p.Mistake {
		delete(p.Hints, CompilerHints)
	}
	p.Mistake, p.NotRun = mistake, tests
}

// Forget drops what was seen of the tests of the learner's station: they are others now.
func (p *Progress) Forget() {
	p.Finished = slices.DeleteFunc(p.Finished, func(s string) bool { return s == p.Station })
	delete(p.Passed, p.Station)
	p.ToDo, p.Some, p.Why = nil, nil, nil
	p.RecordMistake("", nil)
}

// CompilerHints is what hints about code that does not compile are counted under.
const CompilerHints = "compiler"

// RecordSolved notes that the course's code of a station was put in. A station that
// is finished stays so.
func (p *Progress) RecordSolved(station string) {
	if !p.IsFinished(station) && !slices.Contains(p.Solved, station) {
		p.Solved = append(p.Solved, station)
	}
}

// Give notes files as what the course has put into the folder.
func (p *Progress) Give(files map[string][]byte) {
	if p.Given == nil {
		p.Given = map[string]string{}
	}
	for name, text := range files {
		p.Given[name] = Sum(text)
	}
}

// Sum returns what tells a text from others, whatever its line ends are.
func Sum(text []byte) string {
	sum := sha256.Sum256(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")))
	return hex.EncodeToString(sum[:16])
}

// IsFinished reports whether all tests of that station have passed once.
func (p *Progress) IsFinished(station string) bool {
	return slices.Contains(p.Finished, station)
}

// ShowHint notes that one more hint of test has been shown, and returns how many
// that makes.
func (p *Progress) ShowHint(test string) int {
	if p.Hints == nil {
		p.Hints = map[string]int{}
	}
	p.Hints[test]++
	return p.Hints[test]
}

// Answer notes what the learner predicts at a station; "" takes the answer back.
func (p *Progress) Answer(station, text string) {
	if text == "" {
		delete(p.Answers, station)
		return
	}
	if p.Answers == nil {
		p.Answers = map[string]string{}
	}
	p.Answers[station] = text
}
