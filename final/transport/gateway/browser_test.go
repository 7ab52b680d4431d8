package gateway

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/chromium"
	"example.com/rpc-from-scratch/final/rpc"
)

// visit opens a page of mux in a real browser, and returns what the page reports.
func visit[T any](t *testing.T, mux *http.ServeMux, path string) T {
	t.Helper()
	chromium.Need(t)
	reports := chromium.NewReports[T]()
	mux.Handle("POST /report", reports)
	hs := httptest.NewServer(mux)
	defer hs.Close()
	return reports.Of(t, hs.URL+path)
}

// streamMux serves h by a gateway with these options.
func streamMux(t *testing.T, h *watcher, opts ...Option) *http.ServeMux {
	t.Helper()
	srv := rpc.NewServer()
	t.Cleanup(func() { srv.Close() })
	registerStreams(t, srv, h)
	mux := http.NewServeMux()
	mux.Handle("/rpc/", New(srv, opts...))
	return mux
}

func TestBrowser_EventSource(t *testing.T) {
	h := newWatcher()
	mux := streamMux(t, h, WithGET(watch.Name()))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/eventsource.html") })
	type seen struct {
		Items          []string
		End            string
		Opened, Failed bool
	}
	got := visit[struct{ Whole, Failing, Refused, Left seen }](t, mux, "/")
	assert.Equal(t, seen{Items: []string{`{"N":0}`, `{"N":1}`, `{"N":2}`}, End: `{"code":"ok"}`, Opened: true}, got.Whole)
	assert.Equal(t, seen{Items: []string{`{"N":0}`}, End: `{"code":"aborted","message":"as you\nwish","details":{"retry-after-ms":"1500"}}`, Opened: true}, got.Failing)
	assert.Equal(t, seen{Items: []string{}, Failed: true}, got.Refused, "and it does not try again")
	assert.Equal(t, seen{Items: []string{`{"N":0}`, `{"N":1}`}, Opened: true}, got.Left)
	assert.ErrorIs(t, <-h.ended, context.Canceled, "close ends the handler's context")
}

// The page of a stream works under its own policy, to which the test adds its own script.
func TestBrowser_ThePageShowsAStream(t *testing.T) {
	presses, err := os.ReadFile("testdata/page.js")
	require.NoError(t, err)
	h := newWatcher()
	inner := streamMux(t, h, WithPage(nil))
	mux := http.NewServeMux()
	mux.Handle("/rpc/", inner)
	mux.HandleFunc("GET /rpc/Inventory.Watch", func(w http.ResponseWriter, r *http.Request) {
		page := httptest.NewRecorder()
		inner.ServeHTTP(page, r)
		for key, values := range page.Header() {
			w.Header()[key] = values
		}
		policy := strings.Replace(page.Header().Get("Content-Security-Policy"), "script-src ", "script-src 'sha256-"+hashOf(string(presses))+"' ", 1)
		w.Header().Set("Content-Security-Policy", policy)
		w.Write([]byte(strings.Replace(page.Body.String(), "</body>", "<script>"+string(presses)+"</script></body>", 1)))
	})
	type shown struct{ State, Items string }
	got := visit[struct {
		Sample                                    string
		Whole, Failing, Refused, Running, Stopped shown
	}](t, mux, watchPath)
	assert.Equal(t, `{"Count":0,"Size":0,"Fails":"","Then":""}`, got.Sample)
	assert.Equal(t, "ok, 300 received", got.Whole.State)
	lines := strings.Split(got.Whole.Items, "\n")
	assert.Len(t, lines, 200, "the last ones")
	assert.Equal(t, `{"N":299}`, lines[len(lines)-1])
	assert.Equal(t, shown{"aborted: as you\nwish, 1 received", `{"N":0}`}, got.Failing)
	assert.Equal(t, "permission_denied: as you\nwish, 0 received", got.Refused.State)
	assert.Equal(t, "{\"N\":0}\n{\"N\":1}", got.Running.Items)
	assert.Equal(t, "stopped, 2 received", got.Stopped.State)
	assert.ErrorIs(t, <-h.ended, context.Canceled, "Stop ends the handler's context")
}
