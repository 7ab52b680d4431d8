package conform

import (
	"bytes"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/plaintext"
)

const (
	stderrLines = 10                    // that are shown at once
	stderrBytes = 4 << 10               // that are kept
	stderrTime  = 50 * time.Millisecond // for what a program wrote to arrive here
)

// A tail keeps what a program wrote last to its standard error, so that it can be
// shown below a report's lines and not within one. It may be used concurrently.
type tail struct {
	mu      sync.Mutex
	text    []byte
	dropped int // bytes before the text
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - stderrBytes; over > 0 {
		t.text = append([]byte(nil), t.text[over:]...)
		t.dropped += over
	}
	return len(b), nil
}

// written returns how many bytes were written so far. A nil tail has none.
func (t *tail) written() int {
	if t == nil {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.dropped + len(t.text)
}

// since returns the last lines of what was written after so many bytes, as text that a
// terminal can show.
func (t *tail) since(written int) []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	cut := written < t.dropped
	text := t.text[max(0, written-t.dropped):]
	text = bytes.TrimRight(text, "\r\n")
	if len(text) == 0 {
		return nil
	}
	lines := strings.Split(string(text), "\n")
	if over := len(lines) - stderrLines; over > 0 {
		lines, cut = lines[over:], true
	}
	for i, line := range lines {
		lines[i] = plaintext.Line(strings.ReplaceAll(strings.TrimRight(line, "\r"), "\t", "    "))
	}
	if cut {
		lines = append([]string{"…"}, lines...)
	}
	return lines
}

// said returns the last lines as the end of an error's text, "" if there are none.
func (t *tail) said() string {
	lines := t.since(0)
	if len(lines) == 0 {
		return ""
	}
	return "; it wrote to its standard error:\n    | " + strings.Join(lines, "\n    | ")
}
