package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/chromium"
	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/rpc"
)

// servePage serves a page with calls to look at.
func servePage(t *testing.T) (srv *rpc.Server, url string) {
	t.Helper()
	recorder := NewRecorder()
	srv, url = serve(t, newInventory(), []rpc.ServerOption{rpc.WithServerMiddleware(recorder.Middleware())}, WithPage(recorder))
	for range 3 {
		assert.Equal(t, 200, post(t, url+method, `{}`).StatusCode)
	}
	assert.Equal(t, 404, post(t, url+method, `{"item":"code not_found"}`).StatusCode)
	return srv, url
}

func TestPage_ListsWhatThereIs(t *testing.T) {
	noLeaks(t)
	srv, url := servePage(t)
	for _, path := range []string{"/rpc/", "/rpc"} { // the second one is redirected by the ServeMux
		a := do(t, http.MethodGet, url+path, "")
		require.Equal(t, http.StatusOK, a.StatusCode, path)
		for _, want := range []string{
			`<meta name="viewport" content="width=device-width, initial-scale=1">`,
			`<meta http-equiv="refresh" content="5">`,
			`<span class="serving">serving</span>`,
			"<h2>Inventory</h2>", "<h2>Clock</h2>",
			`<a href="/rpc/Inventory.CheckStock">CheckStock</a>`,
			"(gateway.stockRequest) → gateway.stockReply",
			`<td data-label="calls">4</td><td data-label="failed" class="bad">1</td><td data-label="in flight">0</td>`,
		} {
			assert.Contains(t, a.text, want)
		}
		assert.NotContains(t, a.text, "<script")
	}
	assert.NotContains(t, do(t, http.MethodGet, url+"/rpc/?refresh=off", "").text, `http-equiv="refresh"`)
	require.NoError(t, srv.Shutdown(t.Context()))
	assert.Contains(t, do(t, http.MethodGet, url+"/rpc/", "").text, `<span class="closed">closed</span>`)
}

func TestPage_DescribesAMethod(t *testing.T) {
	noLeaks(t)
	_, url := servePage(t)
	a := do(t, http.MethodGet, url+method, "")
	require.Equal(t, http.StatusOK, a.StatusCode)
	for _, want := range []string{
		"<h1>Inventory.CheckStock</h1>",
		"4 calls · <span>ok 3</span> · <span class=\"bad\">not_found 1</span>",
		"curl -H &#39;Content-Type: application/json&#39; -d &#39;{&#34;item&#34;:&#34;&#34;}&#39; &#39;" + url + method + "&#39;",
		"<code>count</code></td><td><code>int</code>",
	} {
		assert.Contains(t, a.text, want)
	}
	a = do(t, http.MethodGet, url+"/rpc/Inventory.Nope", "")
	assert.Equal(t, http.StatusNotFound, a.StatusCode)
	assert.Equal(t, "method not found: Inventory.Nope", a.failure(t).Message)
	a = do(t, http.MethodPut, url+method, "")
	assert.Equal(t, http.StatusMethodNotAllowed, a.StatusCode)
	assert.Equal(t, "GET, HEAD, POST", a.Header.Get("Allow"))
	assert.Equal(t, http.StatusOK, do(t, http.MethodHead, url+"/rpc/", "").StatusCode)
}

func TestPage_IsOffUnlessAskedFor(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil)
	assert.Equal(t, http.StatusNotFound, do(t, http.MethodGet, url+"/rpc/", "").StatusCode)
	assert.Equal(t, http.StatusMethodNotAllowed, do(t, http.MethodGet, url+method, "").StatusCode)

	_, url = serve(t, newInventory(), nil, WithPage(nil))
	a := do(t, http.MethodGet, url+"/rpc/", "")
	assert.Contains(t, a.text, "CheckStock")
	assert.NotContains(t, a.text, "per second", "no recorder, no figures")
	assert.Equal(t, http.StatusOK, do(t, http.MethodGet, url+method, "").StatusCode)
}

func TestPage_HeadersKeepItApart(t *testing.T) {
	noLeaks(t)
	_, url := servePage(t)
	a := do(t, http.MethodGet, url+"/rpc/", "")
	policy := a.Header.Get("Content-Security-Policy")
	assert.Contains(t, policy, "default-src 'none'")
	assert.Contains(t, policy, "frame-ancestors 'none'")
	begin := strings.Index(a.text, "<style>") + len("<style>")
	sheet := a.text[begin:strings.Index(a.text, "</style>")]
	assert.Contains(t, policy, "style-src 'sha256-"+hashOf(sheet)+"'", "the style sheet that was sent")
	assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	assert.Equal(t, "no-referrer", a.Header.Get("Referrer-Policy"))
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
}

// Names are the program's own, but a Host is not.
func TestPage_EscapesNamesAndHosts(t *testing.T) {
	srv := rpc.NewServer()
	const name = `Evil."><script>alert(1)</script>'/?#`
	require.NoError(t, srv.RegisterFunc(name, func(string) string { return "" }))
	gw := New(srv, WithPage(nil))
	get := func(target, host string) (string, int) {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Host = host
		w := httptest.NewRecorder()
		gw.ServeHTTP(w, r)
		return w.Body.String(), w.Code
	}
	text, _ := get("/rpc", `a';rm -rf /;'"><script>`)
	assert.NotContains(t, text, "<script")
	assert.Contains(t, text, "&lt;script&gt;alert(1)&lt;/script&gt;")

	_, link, _ := strings.Cut(text, `<td><a href="`)
	link, _, _ = strings.Cut(link, `"`)
	text, status := get(link, `a';rm -rf /;'b`)
	require.Equal(t, http.StatusOK, status, link)
	assert.NotContains(t, text, "<script")
	words := html.UnescapeString(text)
	assert.Contains(t, words, shellQuote("http://a';rm%20-rf%20%2F;'b"+link), "one word for a shell")
}

// A backslash before a quote means the quote to fish, even in quotes.
func TestShellQuote(t *testing.T) {
	assert.Equal(t, `'a'\\'b'\'''`, shellQuote(`a\b'`))
	line, want := "printf '<%s>\\n'", ""
	for _, text := range []string{"plain", `{"a":"b"}`, `it's`, `';echo broken;'`, "$HOME `id` \\ \"", `a\'`, `\'"; echo broken; "\'`, ""} {
		line, want = line+" "+shellQuote(text), want+"<"+text+">\n"
	}
	for _, shell := range []string{"sh", "bash", "zsh", "fish"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue
		}
		out, err := exec.CommandContext(t.Context(), path, "-c", line).CombinedOutput()
		require.NoError(t, err, "%s: %s", shell, out)
		assert.Equal(t, want, string(out), shell)
	}
}

type (
	inner struct {
		Count int     `json:"count"`
		Next  *inner  `json:"next,omitempty"`
		Mass  float64 `json:",string"`
	}
	Base  struct{ ID int }
	outer struct {
		Base
		Text    string
		Hidden  string `json:"-"`
		private int
		Lines   []inner          `json:"lines"`
		Table   map[string]inner `json:"table"`
		At      time.Time        `json:"at"`
		Data    []byte
		Any     any
		Bad     panics
	}
	panics struct{}
)

func (panics) MarshalJSON() ([]byte, error) { panic("x") }

func TestTypes_StructsAndSamples(t *testing.T) {
	_ = outer{private: 1}
	structs := structsIn(reflect.TypeFor[outer]())
	require.Len(t, structs, 2)
	var lines []string
	for _, s := range structs {
		for _, f := range s.Fields {
			lines = append(lines, s.Name+" "+f.Name+" "+f.Type)
		}
	}
	assert.Equal(t, []string{
		"gateway.outer ID int", "gateway.outer Text string", "gateway.outer lines []gateway.inner",
		"gateway.outer table map[string]gateway.inner", "gateway.outer at time.Time", "gateway.outer Data []byte", "gateway.outer Any any", "gateway.outer Bad gateway.panics",
		"gateway.inner count int", "gateway.inner next *gateway.inner", "gateway.inner Mass float64",
	}, lines)
	assert.Equal(t,
		`{"ID":0,"Text":"","lines":[],"table":{},"at":"0001-01-01T00:00:00Z","Data":"","Any":null,"Bad":null}`,
		sample(reflect.TypeFor[outer]()))
	assert.Equal(t, `{"count":0,"next":{"count":0,"next":{"count":0,"Mass":"0"},"Mass":"0"},"Mass":"0"}`, sample(reflect.TypeFor[inner]()), "as deep as it goes")
	assert.Equal(t, `""`, sample(reflect.TypeFor[string]()))
	assert.Equal(t, `[]`, sample(reflect.TypeFor[[4]int]()))
	assert.Empty(t, sample(nil))
}

func TestTypes_FieldsAreNamedAsEncodingJSONDoes(t *testing.T) {
	type odd struct {
		//lint:ignore SA5008 what encoding/json makes of it
		A string `json:"it's"`
		//lint:ignore SA5008 what encoding/json makes of it
		B *int `json:"a\\b,string"`
		//lint:ignore SA5008 what encoding/json makes of it
		C []int  `json:"c d,string"`
		D string `json:"d,string"`
		//lint:ignore SA5008 what encoding/json makes of it
		Base `json:"no\"name"`
	}
	text := sample(reflect.TypeFor[odd]())
	assert.Equal(t, `{"A":"","B":"0","c d":[],"d":"\"\"","ID":0}`, text)
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	assert.NoError(t, decoder.Decode(new(odd)))
}

// A real browser finds a table, and nothing to complain about.
func TestPage_InChromium(t *testing.T) {
	seldom.Test(t)
	browser := chromium.Need(t)
	if testing.Short() {
		t.Skip("starting a browser takes seconds")
	}
	_, url := servePage(t)
	for path, want := range map[string]string{
		"/rpc/":               `<td data-label="calls">4</td>`,
		"/rpc/?refresh=off":   `<a href="/rpc/Clock.Tick">Tick</a>`,
		method:                `<td><code>count</code></td>`,
		"/rpc/Clock.Tick?x=y": `<h1>Clock.Tick</h1>`,
	} {
		dom, log := browse(t, browser, url+path)
		assert.Contains(t, dom, want, path)
		for line := range strings.Lines(log) {
			assert.NotContains(t, line, "CONSOLE", path)
		}
	}
}

// browse loads a page and returns what the browser makes of it, and its log.
func browse(t *testing.T, browser, url string) (dom, log string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	args := []string{"--headless", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--user-data-dir=" + t.TempDir(), "--window-size=390,844", "--dump-dom", url}
	if os.Getuid() == 0 {
		args = append([]string{"--no-sandbox"}, args...) // the sandbox is not for root
	}
	cmd := exec.CommandContext(ctx, browser, args...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Run(), "%s", complaints.String())
	return out.String(), complaints.String()
}

func TestPage_MarksStreams(t *testing.T) {
	noLeaks(t)
	_, url := serveStreams(t, newWatcher(), WithPage(nil))
	list := do(t, http.MethodGet, url+"/rpc/", "")
	for _, want := range []string{
		`Watch</a> <span class="kind">server stream</span>`, "(gateway.watchRequest) → stream gateway.change",
		`Import</a> <span class="kind">client stream</span>`, "(stream gateway.change) → gateway.change",
		`Sync</a> <span class="kind">bidi stream</span>`, "(stream gateway.change) → stream gateway.change",
		`CheckStock</a><p`,
	} {
		assert.Contains(t, list.text, want)
	}
	assert.NotContains(t, list.text, "<script")
	assert.Equal(t, policy, list.Header.Get("Content-Security-Policy"))

	a := do(t, http.MethodGet, url+watchPath, "")
	for _, want := range []string{"<p>server stream</p>", "curl -N -H", `<section id="stream" data-link="/rpc/Inventory.Watch">`, "<code>stream gateway.change</code>"} {
		assert.Contains(t, a.text, want)
	}
	_, sent, _ := strings.Cut(a.text, "<script>")
	sent, _, _ = strings.Cut(sent, "</script>")
	assert.Equal(t, policy+"; script-src 'sha256-"+hashOf(sent)+"'; connect-src 'self'", a.Header.Get("Content-Security-Policy"), "the script that was sent")

	for _, path := range []string{"/rpc/Orders.Import", "/rpc/Inventory.Sync", method} {
		a := do(t, http.MethodGet, url+path, "")
		assert.NotContains(t, a.text, "<script")
		assert.NotContains(t, a.text, `id="stream"`)
		assert.Equal(t, policy, a.Header.Get("Content-Security-Policy"))
		assert.Equal(t, path == method, strings.Contains(a.text, "<pre>curl "), path)
	}
}
