package check

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A Package is a folder of tests, compiled or not.
type Package struct {
	Name   string   // the folder, below the target's: "rpc"
	Errors []string // why it does not compile: "rpc/client.go:12:3: undefined: Dial"
	binary string
	starts bool            // Errors are not the compiler's: its tests do not start
	tests  map[string]bool // the top-level tests that the binary has
	stubs  []Stub          // that the learner has not written
	next   string          // the first of them in the lesson; "" if it names none
}

// compile builds the tests of the package in dir/name, and asks the binary which
// it has: build constraints may have left some out. An error is of the machine,
// not of the learner.
func compile(ctx context.Context, dir, name, tmp string, race bool) (*Package, error) {
	p := &Package{Name: name, binary: binary(tmp), tests: map[string]bool{}}
	overlay, err := p.findStubs(dir, tmp)
	if err != nil {
		return nil, err
	}
	// Vet comes later: what it doubts may still run. To link without debug information takes half the time.
	args := append([]string{"test", "-c", "-vet=off", "-ldflags=-w", "-o", p.binary}, overlay...)
	if race {
		args = append(args, "-race")
	}
	out, err := command(ctx, dir, "go", append(args, "./"+name)...).CombinedOutput()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		p.Errors = ownPaths(dir, compileErrors(string(out)))
		if len(p.Errors) == 0 {
			return nil, fmt.Errorf("go test -c ./%s: %w", name, err)
		}
		return p, nil
	}
	if _, err := os.Stat(p.binary); err != nil {
		return p, nil // the package has no tests for this system
	}
	return p, p.list(ctx, dir)
}

// list fills p.tests. A binary that cannot even do that has no tests either.
func (p *Package) list(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, listTimeout)
	defer cancel()
	cmd := command(ctx, filepath.Join(dir, p.Name), p.binary, "-test.list", "^(Test|Fuzz)")
	cmd.Env = testEnv()
	var out bounded
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() == context.Canceled {
			return ctx.Err()
		}
		p.starts = true
		p.Errors = append([]string{"its tests do not start (" + err.Error() + "): does an init, a variable's value or TestMain fail?"},
			strings.Split(strings.TrimSpace(out.String()), "\n")...)
		return nil
	}
	for _, name := range strings.Fields(out.String()) {
		p.tests[name] = true
	}
	return nil
}

// listTimeout is how long a binary may take to name its tests: it runs no more
// than what packages do when they start.
const listTimeout = 30 * time.Second

// compileErrors returns what the go command's output says is wrong, without the
// lines that only name the package. A mistake may go on for some lines.
func compileErrors(out string) []string {
	var lines []string
	for line := range strings.Lines(out) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || strings.HasPrefix(line, "# ") || strings.HasPrefix(line, "FAIL") {
			continue
		}
		if strings.HasPrefix(line, "\t") && len(lines) > 0 {
			lines[len(lines)-1] += "\n" + line
			continue
		}
		file, rest, ok := strings.Cut(line, ".go:")
		if ok {
			line = strings.TrimPrefix(filepath.ToSlash(file), "./") + ".go:" + rest
		}
		lines = append(lines, line)
	}
	return lines
}
