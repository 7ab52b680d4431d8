package verify

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

// A testBinary is a package's tests, compiled.
type testBinary struct {
	file string
	dir  string
}

// compileTests compiles the tests of the package in dir/room. An error is what the
// go command says about them.
func compileTests(ctx context.Context, dir, room, binary string) (*testBinary, error) {
	args := slices.Concat([]string{"test", "-c", "-vet=off"}, fast, []string{"-o", binary, "./" + room})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = dir, console.Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, short(string(out)))
	}
	return &testBinary{binary, filepath.Join(dir, filepath.FromSlash(room))}, nil
}

var verdict = regexp.MustCompile(`(?m)^--- (PASS|FAIL|SKIP): (\w+)`)

// run runs tests, and returns whether each is green. One that panics or hangs
// is red, and ends the run: it is run without the others then, and so are they.
func (b *testBinary) run(ctx context.Context, tests []string) (green map[string]bool, err error) {
	out, err := b.output(ctx, "-test.v", "-test.timeout", "20s", "-test.run", "^("+strings.Join(tests, "|")+")$")
	if err != nil {
		return nil, err
	}
	green = make(map[string]bool)
	for _, m := range verdict.FindAllStringSubmatch(out, -1) {
		green[m[2]] = m[1] != "FAIL"
	}
	for i, test := range tests {
		if _, known := green[test]; known {
			continue
		}
		if len(tests) == 1 {
			green[test] = false
			continue
		}
		rest, err := b.run(ctx, tests[i:i+1])
		if err != nil {
			return nil, err
		}
		green[test] = rest[test]
	}
	return green, nil
}

// anyGreen reports whether one of the tests passes. Those behind one that hangs or
// panics are run only if none before it does.
func (b *testBinary) anyGreen(ctx context.Context, tests []string) (bool, error) {
	for len(tests) > 0 {
		out, err := b.output(ctx, "-test.v", "-test.timeout", "3s", "-test.run", "^("+strings.Join(tests, "|")+")$")
		if err != nil {
			return false, err
		}
		ended := 0
		for _, m := range verdict.FindAllStringSubmatch(out, -1) {
			if m[1] == "PASS" {
				return true, nil
			}
			ended++
		}
		tests = tests[min(ended+1, len(tests)):]
	}
	return false, nil
}

// list returns the names of all tests.
func (b *testBinary) list(ctx context.Context) ([]string, error) {
	out, err := b.output(ctx, "-test.list", "^Test")
	return strings.Fields(out), err
}

func (b *testBinary) output(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, b.file, args...)
	cmd.Dir, cmd.Env = b.dir, console.Env()
	out, err := cmd.CombinedOutput()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		err = ctx.Err()
	}
	return string(out), err
}
