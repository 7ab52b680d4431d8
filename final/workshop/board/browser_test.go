package board

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/chromium"
	"example.com/rpc-from-scratch/final/internal/seldom"
)

// A looked is what testdata/browser.html sends.
type looked struct {
	Wrong  []string
	Looked int
}

// A real browser opens both pages: they follow the room without a reload, count down, and
// can be used with the keyboard. If AXE_CORE names axe, it finds nothing wrong with them.
func TestBoard_InChromium(t *testing.T) {
	seldom.Test(t)
	chromium.Need(t)
	axe := os.Getenv("AXE_CORE")
	r := visit(t, axe)
	assert.Empty(t, r.Wrong)
	if axe == "" {
		t.Log("without axe: AXE_CORE does not name axe.min.js (npm install axe-core)")
		return
	}
	assert.Equal(t, 8, r.Looked)
}

// site returns a board, and beside it the page that uses it.
func site(t *testing.T, axe string, done http.Handler) http.Handler {
	b := testBoard(10)
	b.Join = "http://192.168.1.7:7070/" + inRoom
	require.Equal(t, http.StatusNoContent, send(t, b, report(1, "<script>Ada</script>", "01", "TestA")).Code)
	steps := map[string]func(){
		"second":    func() { send(t, b, report(2, "Ines", "01", "TestA", "TestB")) },
		"third":     func() { send(t, b, report(3, "", "02", "TestE")) },
		"countdown": func() { b.room.countDown(10 * time.Minute) },
	}
	var down atomic.Bool
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		b.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /step/{step}", func(_ http.ResponseWriter, r *http.Request) {
		switch name := r.PathValue("step"); name {
		case "down", "up":
			down.Store(name == "down")
		default:
			steps[name]()
		}
	})
	mux.HandleFunc("GET /uses.html", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/browser.html") })
	mux.HandleFunc("GET /axe.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, axe) })
	mux.HandleFunc("GET /harness.js", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Write(chromium.Harness)
	})
	mux.Handle("POST /done", done)
	return mux
}

// visit has a browser use the board, and returns what it reports.
func visit(t *testing.T, axe string) looked {
	t.Helper()
	done := chromium.NewReports[looked]()
	srv := httptest.NewServer(site(t, axe, done))
	defer srv.Close()
	query := url.Values{"room": {"/" + inRoom + "/"}, "instructor": {"/" + instructs + "/"}}
	if axe != "" {
		query.Set("axe", "/axe.js")
	}
	return done.Of(t, srv.URL+"/uses.html?"+query.Encode(), "--no-proxy-server", "--window-size=1500,1000")
}
