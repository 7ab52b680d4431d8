// Package chromium opens pages in a real browser, for tests: a headless Chromium, whose page
// reports what it has seen, or is driven as the developer tools drive it.
package chromium

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "embed" // for Harness
)

// Harness is a script for pages that look at other pages in a frame: it waits, opens pages,
// runs axe on them and collects what is wrong.
//
//go:embed harness.js
var Harness []byte

// longest is how long a browser may run. It takes seconds on a machine at rest.
const longest = 8 * time.Minute

// Need returns the path of a browser, or skips the test if none is installed.
func Need(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("no Chromium is installed (Debian package chromium)")
	return ""
}

// A Browser is a running Chromium.
type Browser struct {
	stop  context.CancelFunc
	ended chan struct{} // closed when it has ended
	err   error         // of its end

	mu   sync.Mutex // guards what follows
	said bytes.Buffer
	told chan struct{} // closed and made anew when it has said more
}

// command prepares a browser with these flags, and a page.
func command(ctx context.Context, t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"--headless", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
		"--no-first-run", "--user-data-dir=" + t.TempDir()}, args...)
	if os.Getuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // the sandbox is not for root
	}
	cmd := exec.CommandContext(ctx, Need(t), args...)
	cmd.Cancel = func() error {
		if cmd.Process.Signal(os.Interrupt) != nil { // on Windows
			return cmd.Process.Kill()
		}
		return nil
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Start starts a browser at a page, with these flags. It ends with the test.
func Start(t testing.TB, page string, flags ...string) *Browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	cmd := command(ctx, t, append(append([]string{"--remote-debugging-port=0"}, flags...), page)...)
	b := &Browser{stop: cancel, ended: make(chan struct{}), told: make(chan struct{})}
	cmd.Stderr = b
	if err := cmd.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	go func() {
		b.err = cmd.Wait()
		close(b.ended)
	}()
	t.Cleanup(b.End)
	return b
}

// End ends the browser, and waits until it has ended.
func (b *Browser) End() {
	b.stop()
	<-b.ended
}

// Write takes what the browser says on standard error.
func (b *Browser) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.told)
	b.told = make(chan struct{})
	return b.said.Write(p)
}

// hasSaid returns all that it has said, and a channel that is closed when there is more.
func (b *Browser) hasSaid() (string, <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.said.String(), b.told
}

// DevTools returns the address at which the browser can be driven, as host:port.
func (b *Browser) DevTools(t testing.TB) string {
	t.Helper()
	for {
		text, more := b.hasSaid()
		if _, rest, ok := strings.Cut(text, "DevTools listening on ws://"); ok && strings.Contains(rest, "\n") {
			addr, _, _ := strings.Cut(rest, "/")
			return addr
		}
		select {
		case <-more:
		case <-b.ended:
			b.fatal(t)
		}
	}
}

func (b *Browser) fatal(t testing.TB) {
	t.Helper()
	text, _ := b.hasSaid()
	t.Fatalf("the browser ended: %v: %s", b.err, text)
}

// Reports is a handler that receives what a page reports: a T in JSON, by POST.
type Reports[T any] struct{ first chan reported[T] }

type reported[T any] struct {
	report T
	err    error
}

// NewReports returns a handler for the first report of a page.
func NewReports[T any]() *Reports[T] {
	return &Reports[T]{first: make(chan reported[T], 1)}
}

// ServeHTTP implements http.Handler.
func (r *Reports[T]) ServeHTTP(_ http.ResponseWriter, req *http.Request) {
	var got reported[T]
	got.err = json.NewDecoder(req.Body).Decode(&got.report)
	select {
	case r.first <- got:
	default: // it has reported before
	}
}

// Of starts a browser at a page, with these flags, and returns what the page reports.
func (r *Reports[T]) Of(t testing.TB, page string, flags ...string) T {
	t.Helper()
	b := Start(t, page, flags...)
	select {
	case got := <-r.first:
		b.End() // else it may keep the server of its pages from closing
		if got.err != nil {
			t.Fatal("what the page reports: ", got.err)
		}
		return got.report
	case <-b.ended:
		b.fatal(t)
		panic("unreachable")
	}
}

// PDF returns a page as it is printed.
func PDF(t testing.TB, page string) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "page.pdf")
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	if out, err := command(ctx, t, "--no-pdf-header-footer", "--print-to-pdf="+file, page).CombinedOutput(); err != nil {
		t.Fatalf("print %s: %v: %s", page, err, out)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
