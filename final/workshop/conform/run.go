package conform

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"
)

// A Verdict is what came of testing a rule.
type Verdict string

const (
	OK      Verdict = "ok"
	Fail    Verdict = "FAIL"
	Skipped Verdict = "skipped"
)

// A Result is a rule's verdict.
type Result struct {
	Rule    Rule
	Verdict Verdict
	Why     string   // it was skipped
	Failure *Failure // if it failed
}

// Options say what is tested, and how.
type Options struct {
	Addr    string         // of a server that runs; or
	Command []string       // a program that starts one, and prints "listening on ADDR"
	Timeout time.Duration  // for an answer
	Only    *regexp.Regexp // rules whose names match; nil: all
	Slow    bool           // rules that wait for the server's own time limits, too
}

// hopeless is how many rules in a row may end without any answer before the rest
// is skipped: each waits its time.
const hopeless = 5

// Run tests rules, in order, and hands each result to report when it is there. It
// returns an error only if testing cannot begin, or ctx ends.
func Run(ctx context.Context, rules []Rule, o Options, report func(Result)) error {
	s := &server{addr: o.Addr, timeout: o.Timeout, slow: o.Slow}
	if o.Addr != "" {
		return s.test(ctx, rules, o.Only, report)
	}
	p, err := start(ctx, o.Command)
	if err != nil {
		return err
	}
	defer p.end()
	s.addr = p.addr
	s.restart = func() (string, func() error, error) {
		p, err := start(ctx, o.Command)
		if err != nil {
			return "", nil, err
		}
		return p.addr, p.end, nil
	}
	return errors.Join(s.test(ctx, rules, o.Only, report), p.early(s.timeout))
}

// test is Run, once the server is there.
func (s *server) test(ctx context.Context, rules []Rule, only *regexp.Regexp, report func(Result)) error {
	if conn, err := (&net.Dialer{Timeout: s.timeout}).DialContext(ctx, "tcp", s.addr); err != nil {
		return fmt.Errorf("no server can be reached: %w", err)
	} else {
		conn.Close()
	}
	return s.each(ctx, rules, only, report)
}

// RunClient is Run for a client: for each rule o.Command is run anew, with an
// address, a method and its params after its own arguments.
func RunClient(ctx context.Context, rules []Rule, o Options, report func(Result)) error {
	s := &server{call: o.Command, timeout: o.Timeout}
	return s.each(ctx, rules, o.Only, report)
}

// each tests the rules one after the other.
func (s *server) each(ctx context.Context, rules []Rule, only *regexp.Regexp, report func(Result)) error {
	silent := 0
	for _, r := range rules {
		if only != nil && !only.MatchString(r.Name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		result := Result{Rule: r, Verdict: Skipped, Why: fmt.Sprintf("%d rules before it got no answer at all", hopeless)}
		if silent < hopeless {
			result = judge(r, s)
		}
		silent = stillSilent(silent, result)
		report(result)
	}
	return nil
}

func judge(r Rule, s *server) Result {
	err := r.run(s)
	var failure *Failure
	switch {
	case err == nil:
		return Result{Rule: r, Verdict: OK}
	case errors.As(err, &failure):
		return Result{Rule: r, Verdict: Fail, Failure: failure}
	}
	return Result{Rule: r, Verdict: Skipped, Why: err.Error()}
}

// stillSilent counts rules that failed since nothing came, not even a hello.
func stillSilent(silent int, r Result) int {
	switch {
	case r.Verdict == Skipped:
		return silent
	case r.Failure != nil && (strings.HasPrefix(r.Failure.Want, "a hello") || strings.Contains(r.Failure.Reason, "not connect")) && r.Failure.Received == nil:
		return silent + 1
	}
	return 0
}
