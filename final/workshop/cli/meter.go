package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/charmbracelet/x/ansi"
)

// A meter shows that a check is under way: a line at once, and on a terminal how
// far it is.
type meter struct {
	w     io.Writer
	live  bool // w is a terminal
	width int  // of it

	ended, all int    // tests
	late       string // the last that was seen to take long; ""
}

func newMeter(w io.Writer, plain bool) *meter {
	return &meter{w: w, live: isTerminal(w) && !plain, width: widthOf(w)}
}

// start says that the wait has begun, and how long it may be.
func (m *meter) start(timeout time.Duration) {
	m.ended, m.all, m.late = 0, 0, ""
	m.line(fmt.Sprintf("Checking… a test that hangs is given up after %v.", timeout))
	if !m.live {
		fmt.Fprintln(m.w)
	}
}

// step shows how many tests have ended.
func (m *meter) step(ended, all int) {
	m.ended, m.all = ended, all
	m.show()
}

// isLate shows that a test takes long: it may be the one that hangs.
func (m *meter) isLate(test string) {
	m.late = test
	m.show()
}

func (m *meter) show() {
	if !m.live {
		return
	}
	switch {
	case m.late == "":
		m.line(fmt.Sprintf("Checking… %d of %d tests have ended.", m.ended, m.all))
	case m.ended == 0:
		m.line("Checking… slow, or hanging: " + m.late)
	default:
		m.line(fmt.Sprintf("Checking… %d of %d ended; slow, or hanging: %s", m.ended, m.all, m.late))
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
	if m.live { // what is wider would not be overwritten
		text = "\r\x1b[K" + ansi.Truncate(text, m.width-1, "…")
	}
	fmt.Fprint(m.w, text)
}
