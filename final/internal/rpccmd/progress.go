package rpccmd

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far a run has come, on a terminal with a bar.
type progress struct {
	stop chan struct{}
	done sync.WaitGroup
}

// newProgress begins to show r's progress on w; end ends it.
func newProgress(w io.Writer, r *run) *progress {
	p := &progress{stop: make(chan struct{})}
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(w, "calling, %s\n", r.length())
		return p
	}
	bar := progressbar.NewOptions64(r.size(),
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription("calling, "+r.length()),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionClearOnFinish(),
	)
	p.done.Go(func() { p.draw(bar, r) })
	return p
}

// draw moves the bar ten times a second: often enough for eyes, too seldom to
// disturb what is measured. A bar that cannot be drawn is no reason to stop.
func (p *progress) draw(bar *progressbar.ProgressBar, r *run) {
	start := time.Now()
	_ = bar.RenderBlank()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			_ = bar.Set64(min(r.position(start), r.size()-1))
		case <-p.stop:
			_ = bar.Finish()
			return
		}
	}
}

func (p *progress) end() {
	close(p.stop)
	p.done.Wait()
}

// length, size and position are a run's extent: calls, or nanoseconds.

func (r *run) length() string {
	if r.calls > 0 {
		return count(r.calls, "time")
	}
	return fmt.Sprintf("for %v", r.d)
}

func (r *run) size() int64 {
	if r.calls > 0 {
		return int64(r.calls)
	}
	return int64(r.d)
}

func (r *run) position(start time.Time) int64 {
	if r.calls > 0 {
		return r.begun.Load()
	}
	return int64(time.Since(start))
}
