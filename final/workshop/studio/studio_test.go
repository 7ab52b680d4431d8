package studio

import (
	"bufio"
	"context"
	"fmt"
	"html/template"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/check/watch"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
	"example.com/rpc-from-scratch/final/workshop/wire"
)

// A hosted studio serves a learner's folder until the test ends.
type hosted struct {
	dir    string
	root   string
	at     course.Station
	studio *Studio
	end    func()
}

func (h *hosted) url(page string) string { return "http://" + h.studio.host + "/" + page }

// solve puts our code into the folder.
func (h *hosted) solve() error { return starter.Solve(h.root, h.at, h.dir) }

// host makes a folder for a station, and serves its studio.
func host(t *testing.T, s course.Station, o check.Options) *hosted {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	root, err := course.Root(".")
	require.NoError(t, err)
	h := &hosted{dir: filepath.Join(t.TempDir(), "mine"), root: root, at: s}
	require.NoError(t, starter.Write(root, s, h.dir))
	target, err := check.Find(h.dir)
	require.NoError(t, err)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	h.studio, err = New(target, ln, Options{Check: o, Watch: watch.Options{Settle: 20 * time.Millisecond}})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.studio.Serve(ctx, ln) }()
	h.end = func() {
		cancel()
		assert.NoError(t, <-ended)
		ended <- nil
	}
	t.Cleanup(h.end)
	return h
}

// nothing is a check that compiles no test.
var nothing = check.Options{Run: check.Only("TestNone")}

func TestStudio_LetsNobodyInButItsReader(t *testing.T) {
	h := host(t, course.Stations[0], nothing)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	known := &http.Client{Jar: jar}
	r, err := known.Get(h.studio.URL())
	require.NoError(t, err)
	page, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	r.Body.Close()
	require.Equal(t, http.StatusOK, r.StatusCode, string(page))
	assert.NotContains(t, string(page), h.studio.token, "no page has the secret in it")
	assert.Contains(t, r.Header.Get("Content-Security-Policy"), "default-src 'none'")
	assert.Empty(t, r.Header.Get("Access-Control-Allow-Origin"))

	for _, c := range []struct {
		name, method, path, host, origin string
		client                           *http.Client
		want                             int
	}{
		{"the reader", "GET", "/index.html", "", "", known, http.StatusOK},
		{"no token", "GET", "/index.html", "", "", http.DefaultClient, http.StatusForbidden},
		{"a wrong token", "GET", "/?token=x", "", "", http.DefaultClient, http.StatusForbidden},
		{"another name that leads here", "GET", "/index.html", "evil.example", "", known, http.StatusMisdirectedRequest},
		{"another name with the token", "GET", "/?token=" + h.studio.token, "evil.example", "", http.DefaultClient, http.StatusMisdirectedRequest},
		{"localhost", "GET", "/?token=" + h.studio.token, strings.Replace(h.studio.host, "127.0.0.1", "localhost", 1), "", http.DefaultClient, http.StatusOK},
		{"a form of another site", "POST", "/studio/again", "", "http://evil.example", known, http.StatusForbidden},
		{"a form without an origin", "POST", "/studio/again", "", "", known, http.StatusForbidden},
		{"a form of the page", "POST", "/studio/again", "", h.url(""), known, http.StatusNoContent},
		{"another method", "PUT", "/index.html", "", "", known, http.StatusMethodNotAllowed},
		{"no page", "GET", "/nothing.html", "", "", known, http.StatusNotFound},
		{"a file of the folder", "GET", "/../go.mod", "", "", known, http.StatusNotFound},
		{"no program", "POST", "/studio/wire?do=start&program=../../x", "", h.url(""), known, http.StatusBadRequest},
	} {
		req, err := http.NewRequest(c.method, "http://"+h.studio.host+c.path, nil)
		require.NoError(t, err)
		req.Host = c.host
		req.Header.Set("X-Studio", "1")
		if c.origin != "" {
			req.Header.Set("Origin", strings.TrimSuffix(c.origin, "/"))
		}
		r, err := c.client.Do(req)
		require.NoError(t, err, c.name)
		r.Body.Close()
		assert.Equal(t, c.want, r.StatusCode, c.name)
	}
}

func TestStudio_PagesHaveThePanelsOfTheFolder(t *testing.T) {
	h := host(t, course.Stations[0], nothing)
	html, err := h.studio.html(lesson01)
	require.NoError(t, err)
	page := string(html)
	for _, want := range []string{`id="studio-bar"`, `id="studio-overview"`, `id="studio-predict"`, `id="studio-piece-a-line"`, `id="studio-piece-a-connection"`, `src="../studio/studio.js"`, `<link rel="icon" href="../assets/icon.svg">`} {
		assert.Contains(t, page, want)
	}
	assert.Less(t, strings.Index(page, `<h3 id="a-line">`), strings.Index(page, `id="studio-piece-a-line"`), "below its heading")
	assert.Contains(t, page, "Write readLine in rpc/line.go")
	other, err := h.studio.html("step02-json-protocol/index.html")
	require.NoError(t, err)
	assert.Contains(t, string(other), `id="studio-bar"`)
	assert.NotContains(t, string(other), `id="studio-piece-`, "the reader is not there")
	for _, asset := range []string{"assets/book.css", "assets/icon.svg", "studio/studio.css", "studio/studio.js"} {
		_, ok := h.studio.asset(asset)
		assert.True(t, ok, asset)
	}
	for _, none := range []string{"assets/../go.mod", "studio/wire.go", "assets"} {
		_, ok := h.studio.asset(none)
		assert.False(t, ok, none)
	}
}

func TestStudio_SaysWhatIsWrongWithTheToken(t *testing.T) {
	s := &Studio{host: "127.0.0.1:1234", token: "right"}
	for _, c := range []struct{ name, path, cookie, want string }{
		{"none", "/index.html", "", "no token"},
		{"a wrong one", "/?token=wrong", "", "a wrong token"},
		{"an empty one", "/?token=", "", "a wrong token"},
		{"a page that an old studio has served", "/index.html", "studio-1234=old", "the token of a studio that has ended"},
		{"the cookie of another port", "/index.html", "studio-99=old", "no token"},
	} {
		r := httptest.NewRequest("GET", "http://127.0.0.1:1234"+c.path, nil)
		r.Header.Set("Cookie", c.cookie)
		w := httptest.NewRecorder()
		s.guard(http.NotFoundHandler()).ServeHTTP(w, r)
		assert.Equal(t, http.StatusForbidden, w.Code, c.name)
		assert.Contains(t, w.Body.String(), "this request has "+c.want, c.name)
	}
}

// What the reader's code is called, prints and answers is text.
func TestPanels_EscapeWhatReadersWrite(t *testing.T) {
	s := &Studio{target: check.Target{Dir: "/x"}, editor: defaultEditor, state: &state{}}
	evil := `<img src=x onerror=alert(1)>`
	ts := testState{test: course.Test{Name: "Test" + evil}, status: check.Failed, hint: evil, explain: check.Explanation{
		Cause: evil, Case: evil, Ended: evil, Race: []string{evil}, Waiting: []check.Goroutine{{State: evil, Own: []string{evil}}},
		Failures: []check.Failure{{Place: evil, What: []string{evil}, Expected: evil, Got: evil, Message: evil, More: []string{evil}}},
	}}
	html := string(render("test", s.testView(ts)))
	assert.NotContains(t, html, "<img")
	assert.Contains(t, html, "&lt;img")
	html = string(render("predict", predictView{Station: "01", Answer: evil}))
	assert.NotContains(t, html, "<img")
}

func TestEditor_LinksToPlaces(t *testing.T) {
	for _, c := range []struct{ editor, place, want string }{
		{"", "rpc/server.go:43:7", "vscode://file/x%20y/rpc/server.go:43:7"},
		{"", "rpc/server.go:43", "vscode://file/x%20y/rpc/server.go:43:1"},
		{"idea://open?file={path}&line={line}", "rpc/a.go:1", "idea://open?file=/x%20y/rpc/a.go&line=1"},
		{"", "no place", ""},
		{"", "rpc/server.go:x", ""},
		{"", `a"b.go:1`, "vscode://file/x%20y/a%22b.go:1:1"},
	} {
		e, err := newEditor(c.editor)
		require.NoError(t, err)
		assert.Equal(t, c.want, string(e.link("/x y", c.place)), c.place)
	}
	for _, bad := range []string{"javascript:alert('{path}')", "JavaScript:{path}", "nothing", "vscode://file"} {
		_, err := newEditor(bad)
		assert.Error(t, err, bad)
	}
}

func TestPieces_SayHowFarTheCodeIs(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, starter.Write(root, course.Stations[0], dir))
	h := &hosted{dir: dir}
	state := func() (standing, string) {
		target, err := check.Find(dir)
		require.NoError(t, err)
		all, _, err := piecesOf(target)
		require.NoError(t, err)
		require.Equal(t, "a-line", all[0].id)
		return all[0].code, all[0].next
	}
	code, next := state()
	assert.Equal(t, notBegun, code)
	assert.Equal(t, "readLine in rpc/line.go", next)
	h.write(t, wrong)
	code, next = state()
	assert.Equal(t, differs, code)
	assert.Empty(t, next)
	h.write(t, "\t// another comment\n"+right)
	code, _ = state()
	assert.Equal(t, same, code, "comments do not count")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc", "line.go"), []byte("package rpc\n\nfunc ("), 0o666))
	target, err := check.Find(dir)
	require.NoError(t, err)
	_, brokenCode, err := piecesOf(target)
	require.NoError(t, err)
	assert.True(t, brokenCode)
}

func TestWire_KeepsTheLastMessages(t *testing.T) {
	told := 0
	w := newWireTap(func() { told++ })
	for i := range 3 * maxMessages {
		w.add(messageOf(i))
	}
	assert.Equal(t, 3*maxMessages, told)
	assert.LessOrEqual(t, len(w.messages), maxMessages+maxMessages/10+1)
	var all []row
	for at, more := 0, true; more; {
		var rows []row
		rows, at, more = w.since(at)
		assert.LessOrEqual(t, len(rows), maxRows)
		all = append(all, rows...)
	}
	require.Len(t, all, maxMessages)
	assert.Equal(t, 2*maxMessages, all[0].N)
	assert.Equal(t, 3*maxMessages-1, all[len(all)-1].N)
	rows, next, more := w.since(3 * maxMessages)
	assert.Empty(t, rows)
	assert.Equal(t, 3*maxMessages, next)
	assert.False(t, more)
	rows, _, _ = w.since(3*maxMessages + 7)
	require.NotEmpty(t, rows, "the page is one of a studio that was here before")
	assert.Equal(t, 2*maxMessages, rows[0].N)
	_, ok := w.find(3)
	assert.False(t, ok, "it is forgotten")
	v, ok := w.find(3*maxMessages - 1)
	require.True(t, ok)
	assert.Contains(t, v.Hex, "7b 7d")
}

// A form works without a script, too: it leads back to its page.
func TestStudio_KeepsAPrediction(t *testing.T) {
	h := host(t, course.Stations[0], nothing)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	r, err := client.Get(h.studio.URL())
	require.NoError(t, err)
	r.Body.Close()
	req, err := http.NewRequest("POST", h.url("studio/predict"), strings.NewReader(url.Values{"station": {"01"}, "answer": {"1,024 letters"}}.Encode()))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", strings.TrimSuffix(h.url(""), "/"))
	req.Header.Set("Referer", h.url(lesson01))
	r, err = client.Do(req)
	require.NoError(t, err)
	r.Body.Close()
	assert.Equal(t, http.StatusSeeOther, r.StatusCode)
	assert.Equal(t, "/"+lesson01, r.Header.Get("Location"))
	text, err := os.ReadFile(filepath.Join(h.dir, ".workshop.json"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "1,024 letters")
	html, err := h.studio.html(lesson01)
	require.NoError(t, err)
	assert.Contains(t, string(html), "Why the tempting answers are wrong")
}

func messageOf(i int) wire.Message {
	return wire.Message{Conn: 1, FromClient: i%2 == 0, Size: 2, Meaning: "request", Head: []byte("{}")}
}

// When the studio ends, nothing of what it has started is left.
func TestStudio_EndsTheReadersServer(t *testing.T) {
	h := host(t, course.Stations[0], nothing)
	require.NoError(t, h.solve())
	target, err := check.Find(h.dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"server"}, programsOf(target))
	addr := h.runServer(t, target)
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	h.end()
	_, err = io.ReadAll(conn)
	assert.NoError(t, err, "the connection has ended in good order")
	_, err = net.Dial("tcp", addr)
	assert.Error(t, err)
}

// A reader who edits while the server runs must not look for the mistake in the wrong program.
func TestWire_SaysThatTheServerRunsOldCode(t *testing.T) {
	seldom.Test(t)
	h := host(t, course.Stations[0], nothing)
	require.NoError(t, h.solve())
	target, err := check.Find(h.dir)
	require.NoError(t, err)
	h.runServer(t, target)
	shows := func() string { return string(h.studio.panelsOf(wirePage)[serverID]) }
	const old, again = "Your code has changed since this server was built", "Build and run it again"
	h.untilServer(t, "the solution was saved before", func() bool { return !strings.Contains(shows(), old) })

	h.write(t, wrong)
	h.untilServer(t, "the code has changed", func() bool { return strings.Contains(shows(), old) && strings.Contains(shows(), again) })
	h.write(t, right)
	require.NoError(t, h.solve())
	h.untilServer(t, "the code is as it was", func() bool { return !strings.Contains(shows(), old) })
	h.write(t, wrong)
	h.untilServer(t, "it has changed again", func() bool { return strings.Contains(shows(), old) })
	h.runServer(t, target)
	assert.NotContains(t, shows(), old, "it was built anew")

	target.Station = course.Stations[1]
	h.studio.wire.saved(target)
	assert.Contains(t, shows(), old, "the folder is at another station")
}

// untilServer waits until something is true of the reader's server.
func (h *hosted) untilServer(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(3 * time.Minute)
	for {
		changed := h.studio.state.wait()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			require.FailNow(t, "not yet: "+what)
		}
	}
}

// runServer builds and runs the reader's server, and returns the address of its proxy.
func (h *hosted) runServer(t *testing.T, target check.Target) (addr string) {
	t.Helper()
	h.studio.wire.start(target, "server")
	h.untilServer(t, "the server runs", func() bool {
		view := h.studio.wire.view(target)
		require.Empty(t, view.Err)
		addr = view.Addr
		return addr != ""
	})
	return addr
}

// A list with two connections #1 would be of no use.
func TestWire_CountsConnectionsOverARestart(t *testing.T) {
	seldom.Test(t)
	h := host(t, course.Stations[0], nothing)
	require.NoError(t, h.solve())
	target, err := check.Find(h.dir)
	require.NoError(t, err)
	for want := 1; want <= 3; want++ {
		conn, err := net.Dial("tcp", h.runServer(t, target))
		require.NoError(t, err)
		_, err = fmt.Fprintln(conn, "hello")
		require.NoError(t, err)
		_, err = bufio.NewReader(conn).ReadString('\n')
		require.NoError(t, err)
		require.NoError(t, conn.Close())
		h.studio.wire.stop()
		rows, _, _ := h.studio.wire.since(0)
		assert.Equal(t, want, rows[len(rows)-1].Conn)
		assert.Equal(t, "client", rows[slices.IndexFunc(rows, func(r row) bool { return r.Conn == want && r.From != "" })].From)
	}
}

// A page that is loaded again, or was open elsewhere, has nothing that was cleared.
func TestWire_ClearIsForGood(t *testing.T) {
	s := &Studio{state: &state{changed: make(chan struct{}), phase: checking, target: check.Target{Station: course.Stations[0]}}, book: newPages(&book.Book{})}
	s.wire = newWireTap(s.state.notify)
	told := func(f *feed) string {
		out := httptest.NewRecorder()
		f.w = out
		f.news()
		return out.Body.String()
	}
	open := &feed{studio: s, page: "none", sent: map[string]template.HTML{}}
	for i := range 3 {
		s.wire.add(messageOf(i))
	}
	assert.Contains(t, told(open), `{"n":2,`)

	r := httptest.NewRequest("POST", "/studio/wire", strings.NewReader("do=clear"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.postWire(httptest.NewRecorder(), r)
	assert.Equal(t, "event: clear\ndata: 3\n\n", told(open))
	_, ok := s.wire.find(2)
	assert.False(t, ok)
	s.wire.add(messageOf(3))
	assert.Contains(t, told(open), `"n":3,`, "what follows is shown")

	loaded := told(&feed{studio: s, page: "none", sent: map[string]template.HTML{}})
	assert.NotContains(t, loaded, `"n":2,`)
	assert.Contains(t, loaded, `"n":3,`)
}

// The page names the commands before the server runs, and only programs that the folder has.
func TestWire_SaysHowToSendRaw(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"server", "raw"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "cmd", name), 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "cmd", name, "main.go"), nil, 0o666))
	}
	w := newWireTap(func() {})
	shows := func() string { return string(render("server", w.view(check.Target{Dir: dir}))) }
	assert.Contains(t, shows(), "go run ./cmd/raw -addr ADDRESS\n")
	assert.Contains(t, shows(), "sends each line as you type it")
	assert.NotContains(t, shows(), "cmd/client")
	w.run = &run{program: "server", addr: "127.0.0.1:1234"}
	assert.Contains(t, shows(), "go run ./cmd/raw -addr 127.0.0.1:1234\n")

	require.NoError(t, os.RemoveAll(filepath.Join(dir, "cmd", "raw")))
	assert.NotContains(t, shows(), "raw")
}
