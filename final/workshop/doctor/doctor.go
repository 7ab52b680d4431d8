// Package doctor looks whether a machine can be learned on, and if not, says what
// to do.
package doctor

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"time"
)

// A Finding is what one look found.
type Finding struct {
	Name  string
	Found string // how it is, in a few words
	ToDo  string // what to do about it, some lines; "" if all is well
	Note  string // what is good to know; nothing has to be done
}

// A Machine is what is looked at. The fields after Root are for tests; nil means
// the real thing.
type Machine struct {
	Root string                            // of the course
	Free func(path string) (uint64, error) // bytes that can be written; errors.ErrUnsupported where nobody knows
	Race func(ctx context.Context) (why string, ok bool)
}

// looks are in the order in which one failure explains the next.
var looks = []struct {
	name string
	look func(*Machine, context.Context) Finding
}{
	{"Go", (*Machine).goVersion},
	{"settings", (*Machine).settings},
	{"line ends", (*Machine).lineEnds},
	{"disk", (*Machine).disk},
	{"modules", (*Machine).modules},
	{"port", (*Machine).port},
	{"a test", (*Machine).test},
	{"race detector", (*Machine).raceDetector},
}

// Examine looks at everything, tells each finding as it comes, and reports
// whether the machine is ready.
func (m *Machine) Examine(ctx context.Context, tell func(Finding)) (ready bool) {
	ready = true
	for _, l := range looks {
		f := l.look(m, ctx)
		f.Name = l.name
		if f.ToDo != "" {
			ready = false
		}
		tell(f)
	}
	return ready
}

// patience is how long a command of Go may take: the first time, it may download
// and compile a good deal.
const patience = 5 * time.Minute

// run runs the go command in dir, with env added to the environment, and returns
// all that it printed, without space around it.
func run(ctx context.Context, dir string, env []string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.CombinedOutput()
	return string(bytes.TrimSpace(out)), err
}

// lastLine returns the last line of what a command printed, or its error.
func lastLine(out string, err error) string {
	if out == "" {
		return err.Error()
	}
	lines := strings.Split(out, "\n")
	return strings.TrimSpace(lines[len(lines)-1])
}
