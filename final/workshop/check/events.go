package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// An event is one thing that a test's process did: see go doc test2json.
type event struct {
	Action string // "run", "output", "pass", "fail", "skip" …
	Test   string // "TestX", "TestX/sub"; "" for the process
	Output string // a line, or a part of one
}

// goesOn reports whether next is the same line's next part: test2json cuts long
// ones.
func (e event) goesOn(next event) bool {
	return e.Action == "output" && next.Action == "output" && e.Test == next.Test && !strings.HasSuffix(e.Output, "\n")
}

// A converter turns what a test's binary prints into events, with the go
// command's own test2json. It may be used concurrently.
type converter struct {
	dir  string
	path func() (string, error)
}

func newConverter(ctx context.Context, dir string) *converter {
	return &converter{dir, sync.OnceValues(func() (string, error) {
		out, err := command(ctx, dir, "go", "tool", "-n", "test2json").Output()
		if err != nil {
			return "", fmt.Errorf("go tool test2json: %w", err)
		}
		return strings.TrimSpace(string(out)), nil
	})}
}

// events converts the output of a binary that ran with -test.v=test2json.
func (c *converter) events(ctx context.Context, output string) ([]event, error) {
	path, err := c.path()
	if err != nil {
		return nil, err
	}
	cmd := command(ctx, c.dir, path)
	cmd.Stdin = strings.NewReader(output)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go tool test2json: %w", err)
	}
	var events []event
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var e event
		if err := dec.Decode(&e); errors.Is(err, io.EOF) {
			return events, nil
		} else if err != nil {
			return nil, fmt.Errorf("go tool test2json: %w", err)
		}
		if last := len(events) - 1; last >= 0 && events[last].goesOn(e) {
			events[last].Output += e.Output
			continue
		}
		events = append(events, e)
	}
}

// text returns what the test printed, without the lines that say which test's
// turn it is.
func text(events []event) string {
	var b strings.Builder
	for _, e := range events {
		if e.Action == "output" && !strings.HasPrefix(e.Output, "=== ") {
			b.WriteString(e.Output)
		}
	}
	return b.String()
}
