// Package conform tests any implementation of final's protocol from outside: it
// connects as a client, sends what final/PROTOCOL.md allows and what it forbids,
// and compares what comes back. What the server has to offer for that stands in
// README.md beside this file.
package conform

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
)

// A Rule is one thing that a server has to do.
type Rule struct {
	Name string
	Says string // where it comes from: words of PROTOCOL.md

	test func(s *server) error
	slow bool // it waits for one of the server's own time limits
}

// server is the server under test, and how it is tested; or, in the rules for
// clients, the client.
type server struct {
	addr    string
	timeout time.Duration // for an answer
	slow    bool          // slow rules are tested, too

	// restart starts a server of its own, for a rule that ends it: end does.
	// Nil if the server is not started from here.
	restart func() (addr string, end func() error, err error)

	stderr *tail // of the server, if it was started from here; else nil

	call []string // in place of all this: the command of a client under test
}

// skipped is the error of a rule that cannot be tested.
type skipped struct{ reason string }

func (s skipped) Error() string { return s.reason }

func skip(format string, args ...any) error { return skipped{fmt.Sprintf(format, args...)} }

// A Failure is how a server did not keep a rule.
type Failure struct {
	Reason   string // "no answer within 2s"
	Sent     []byte // what we sent last
	Want     string // what was expected, in words
	Expected []byte // and in bytes, where the received ones decide what is free; nil if nothing in particular
	Got      string
	Received []byte

	Stderr []string // what the program under test wrote meanwhile: its last lines
}

func (f *Failure) Error() string { return f.Reason }

// Rules returns all rules in the order in which they are tested: each after those
// on which it depends. The captures are read from testdata/wire below root.
func Rules(root string) ([]Rule, error) {
	captures := map[string]map[string]frames.Section{}
	var rules []Rule
	for _, r := range replays {
		if captures[r.file] == nil {
			sections, err := readCapture(root, r.file)
			if err != nil {
				return nil, err
			}
			captures[r.file] = sections
		}
		section, ok := captures[r.file][r.section]
		if !ok {
			return nil, fmt.Errorf("testdata/wire/%s has no section %q any more", r.file, r.section)
		}
		rules = append(rules, r.rule(section))
	}
	return inOrderOfNeeds(slices.Concat(firstRules, rules, ownRules, replyMetadataRules, streamRules, edgeRules)), nil
}

func readCapture(root, file string) (map[string]frames.Section, error) {
	f, err := os.Open(filepath.Join(root, "testdata", "wire", file))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sections, err := frames.ReadCapture(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	named := map[string]frames.Section{}
	for _, s := range sections {
		named[s.Name] = s
	}
	return named, nil
}

// run tests the rule. Its error is skipped, or a *Failure.
func (r Rule) run(s *server) error {
	if r.slow && !s.slow {
		return skip("it takes its time: -slow tests it, too")
	}
	err := r.test(s)
	var failure *Failure
	var skip skipped
	if err == nil || errors.As(err, &failure) || errors.As(err, &skip) {
		return err
	}
	return &Failure{Reason: err.Error()}
}
