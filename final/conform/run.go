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

// A Verdict is the result of testing a rule.
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

	DependsOn string // the broken rule for which it was skipped, "" if it was not
}

// Options say what is tested, and how.
type Options struct {
	Addr    string         // of a server that runs; or
	Command []string       // a program that starts one, and prints "listening on ADDR"
	Timeout time.Duration  // for an answer
	Only    *regexp.Regexp // rules whose names match; nil: all
	Slow    bool           // rules that wait for the server's own time limits, too
}

// Run tests rules, in order, and hands each result to report when it is there. A rule
// that depends on a broken one is skipped. It returns an error if testing cannot begin
// or go on, since there is no server any more, or if ctx ends.
func Run(ctx context.Context, rules []Rule, o Options, report func(Result)) error {
	s := &server{addr: o.Addr, timeout: o.Timeout, slow: o.Slow}
	if o.Addr != "" {
		return s.test(ctx, rules, o.Only, report)
	}
	s.stderr = &tail{}
	p, err := start(ctx, o.Command, s.stderr)
	if err != nil {
		return err
	}
	defer p.end()
	s.addr = p.addr
	s.restart = func() (string, func() error, error) {
		p, err := start(ctx, o.Command, s.stderr)
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
	broken := broken{}
	last := "" // the rule before
	for _, r := range rules {
		if only != nil && !only.MatchString(r.Name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		result := s.result(r, broken)
		broken.note(result)
		err := s.stillThere(result, last)
		if err == nil || !result.unanswered() {
			report(result)
		}
		if err != nil {
			return err
		}
		last = r.Name
	}
	return nil
}

// result tests a rule, unless it depends on a broken one.
func (s *server) result(r Rule, broken broken) Result {
	if cause := broken.cause(r.Name); cause != "" {
		return Result{Rule: r, Verdict: Skipped, Why: "not checked: depends on " + cause, DependsOn: cause}
	}
	before := s.stderr.written()
	result := judge(r, s)
	if f := result.Failure; f != nil && s.stderr != nil {
		time.Sleep(stderrTime)
		f.Stderr = s.stderr.since(before)
	}
	return result
}

// stillThere looks, after a rule failed, whether the server says hello, and returns an
// error if it does not: the rules that follow would fail for that. last is the rule
// before, after which the server may have gone.
func (s *server) stillThere(r Result, last string) error {
	if r.Failure == nil || s.call != nil || r.Rule.Name == helloRule {
		return nil
	}
	again := judge(Rule{test: onConn(hello, nothing)}, s)
	switch {
	case again.Failure == nil:
		return nil
	case !r.unanswered():
		last = r.Rule.Name
	case last == "":
		return fmt.Errorf("the server does not say hello: %s", again.Failure.Reason)
	}
	return fmt.Errorf("the server does not answer any more after the rule %q, so the rest is not checked: %s", last, again.Failure.Reason)
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

// unanswered reports whether the rule failed since nothing came, not even a hello.
func (r Result) unanswered() bool {
	return r.Failure != nil && len(r.Failure.Received) == 0 &&
		(strings.HasPrefix(r.Failure.Want, "a hello") || strings.Contains(r.Failure.Reason, "cannot connect"))
}
