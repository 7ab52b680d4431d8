// Package patch puts the small changes that the lessons show into the code.
package patch

import (
	"fmt"
	"strings"
)

// Apply returns source with diff put in. Diff is a lesson's: lines that begin
// with ' ' (kept), '-' (gone) or '+' (new), in hunks that begin with a line "@@…".
// It has no line numbers, so the kept and gone lines of a hunk have to stand in
// source exactly once; else the error says which do not.
func Apply(source, diff string) (string, error) {
	for _, h := range hunks(diff) {
		if n := strings.Count("\n"+source, "\n"+h.before); n != 1 {
			return "", fmt.Errorf("these lines stand %d times in the file, not once:\n%s", n, h.before)
		}
		source = strings.TrimPrefix(strings.Replace("\n"+source, "\n"+h.before, "\n"+h.after, 1), "\n")
	}
	return source, nil
}

// A hunk is a run of lines, before and after the change.
type hunk struct{ before, after string }

func hunks(diff string) []hunk {
	var all []hunk
	var h hunk
	end := func() {
		if h.before != h.after {
			all = append(all, h)
		}
		h = hunk{}
	}
	for line := range strings.Lines(diff) {
		text := strings.TrimSuffix(line, "\n")
		kind := byte(' ')
		if text != "" {
			kind, text = text[0], text[1:]
		}
		switch kind {
		case '@':
			end()
		case '-':
			h.before += text + "\n"
		case '+':
			h.after += text + "\n"
		default:
			h.before += text + "\n"
			h.after += text + "\n"
		}
	}
	end()
	return all
}
