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
	"os"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/internal/durable"
)

// File is the name of the file, in the learner's folder.
const File = ".workshop.json"

// ErrNone is returned where neither a folder nor what is above it was made by
// start.
var ErrNone = errors.New(`no folder of a learner here: make one with "go tool workshop start 01 DIR", or go into yours`)

// Progress is what the file holds. Tests go by their names, such as
// TestServer_AnswersEachLine or TestScripts/echo; stations by theirs. The methods
// may not be called concurrently.
type Progress struct {
	Station  string              `json:"station"`            // where the learner stands
	Finished []string            `json:"finished,omitempty"` // stations all of whose tests have passed, in the order in which that was seen
	Passed   map[string][]string `json:"passed,omitempty"`   // by station: what the last check saw pass
	ToDo     []string            `json:"todo,omitempty"`     // what the last check saw fail, in the lesson's order
	Why      map[string]Why      `json:"why,omitempty"`      // by test of ToDo that ran: what the last check saw
	Mistake  string              `json:"mistake,omitempty"`  // why tests did not run at the last check, in the compiler's words
	NotRun   []string            `json:"notrun,omitempty"`   // those of ToDo that did not run because of it
	Hints    map[string]int      `json:"hints,omitempty"`    // by test: how many hints have been shown
	Solved   []string            `json:"solved,omitempty"`   // stations at which the course's code was put in, before all tests had passed
	Given    map[string]string   `json:"given,omitempty"`    // by file, with slashes: the Sum of what the course last put there

	dir string
}

// Why is what a check saw of a test that failed.
type Why struct {
	Cause string `json:"cause"`          // in a line
	Case  string `json:"case,omitempty"` // the first subtest that failed, with its blanks
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
	// With the mode of any new file: who may read the code may read this.
	name := filepath.Join(p.dir, fmt.Sprintf("%s.tmp%d", File, os.Getpid()))
	tmp, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(name) // gone already if all went well
	if _, err = tmp.Write(append(data, '\n')); err != nil {
		return errors.Join(err, tmp.Close())
	}
	return durable.Replace(tmp, filepath.Join(p.dir, File))
}

// Record notes what a check of the learner's station saw: the tests that passed
// and those still to do. If all is well, the station is finished; it stays so.
func (p *Progress) Record(passed, todo []string, done bool) {
	if p.Passed == nil {
		p.Passed = map[string][]string{}
	}
	p.Passed[p.Station] = passed
	p.ToDo = todo
	if done && !p.IsFinished(p.Station) {
		p.Finished = append(p.Finished, p.Station)
	}
}

// RecordWhy notes why tests failed at the last check. Where another case of a table
// fails now, its hints begin anew.
func (p *Progress) RecordWhy(why map[string]Why) {
	for test, now := range why {
		if before, ok := p.Why[test]; ok && before.Case != now.Case {
			delete(p.Hints, test)
		}
	}
	p.Why = why
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
	p.ToDo, p.Why = nil, nil
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
