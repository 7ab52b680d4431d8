package cli

import (
	"fmt"
	"io"
	"time"
)

// A meter shows that a check is under way: a line at once, and on a terminal how
// far it is.
type meter struct {
	w    io.Writer
	live bool // w is a terminal
}

func newMeter(w io.Writer, plain bool) *meter { return &meter{w, isTerminal(w) && !plain} }

// start says that the wait has begun, and how long it may be.
func (m *meter) start(timeout time.Duration) {
	m.line(fmt.Sprintf("Checking… a test that hangs is given up after %v.", timeout))
	if !m.live {
		fmt.Fprintln(m.w)
	}
}

// step shows how many tests have ended.
func (m *meter) step(ended, all int) {
	if m.live {
		m.line(fmt.Sprintf("Checking… %d of %d tests have ended.", ended, all))
	}
}

// stop makes room for the report.
func (m *meter) stop() {
	if m.live {
		m.line("")
	}
}

// line writes text, on a terminal in place of what stands there.
func (m *meter) line(text string) {
	if m.live {
		text = "\r\x1b[K" + text
	}
	fmt.Fprint(m.w, text)
}
