package demo

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress shows how far the orders have come. Its methods may be called
// concurrently.
type progress interface {
	step()            // one more order is answered
	note(text string) // something happened
	finish()
}

// newProgress draws a bar on screen if that is a terminal, and otherwise writes
// lines to out.
func newProgress(screen *os.File, out io.Writer, orders int) progress {
	if !term.IsTerminal(int(screen.Fd())) {
		return &lines{out: out, orders: orders}
	}
	return &bar{out, progressbar.NewOptions(orders,
		progressbar.OptionSetWriter(screen),
		progressbar.OptionSetDescription("orders"),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("orders"),
		progressbar.OptionThrottle(50*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)}
}

// A bar that cannot be drawn is no reason to stop, so its errors are dropped.
type bar struct {
	out io.Writer
	*progressbar.ProgressBar
}

func (b *bar) step() { _ = b.Add(1) }

// note writes above the bar, which the next step draws again.
func (b *bar) note(text string) {
	_ = b.Clear()
	fmt.Fprintln(b.out, text)
}

func (b *bar) finish() { _ = b.Finish() }

// lines says so each time that another tenth is done.
type lines struct {
	out    io.Writer
	orders int

	mu   sync.Mutex
	done int
}

func (l *lines) step() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	if l.done*10/l.orders != (l.done-1)*10/l.orders {
		fmt.Fprintf(l.out, "%s of %s orders answered\n", figure(l.done), figure(l.orders))
	}
}

func (l *lines) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, text)
}

func (*lines) finish() {}
