package main

import (
	"fmt"
	"io"
	"os"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// A progress tells the user how far a run has come. Nothing is drawn while a round is timed.
type progress interface {
	// begin says which part comes next; step says that one of its measurements is done.
	begin(part string)
	step()
	finish()
}

// newProgress draws a bar where w is a terminal and writes a line per part elsewhere.
func newProgress(w io.Writer, steps int) progress {
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &bar{progressbar.NewOptions(steps,
			progressbar.OptionSetWriter(w),
			progressbar.OptionSetWidth(30),
			progressbar.OptionShowCount(),
			progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(),
		)}
	}
	return plainLines{w}
}

type bar struct{ *progressbar.ProgressBar }

// A bar that cannot be drawn is no reason to stop measuring, so its errors are dropped.

func (b *bar) begin(part string) { b.Describe(part) }
func (b *bar) step()             { _ = b.Add(1) }
func (b *bar) finish()           { _ = b.Finish() }

type plainLines struct{ w io.Writer }

func (p plainLines) begin(part string) { fmt.Fprintln(p.w, part) }
func (plainLines) step()               {}
func (plainLines) finish()             {}
