package board

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"
)

const (
	inRoom    = "roomsecret"
	instructs = "theinstructorssecret"
)

func testBoard(most int) *Board {
	b, err := newBoard(small(), most, inRoom, instructs)
	if err != nil {
		panic(err) // the book's files are part of the program
	}
	return b
}

// ask sends a request to a board, and returns the answer.
func ask(b *Board, method, target, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if method == http.MethodPost && !strings.HasSuffix(target, "/report") {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w
}

func send(t *testing.T, b *Board, m *message) *httptest.ResponseRecorder {
	t.Helper()
	body, err := json.Marshal(m)
	require.NoError(t, err)
	return ask(b, http.MethodPost, "/"+inRoom+"/report", string(body))
}

func TestBoard_ShowsNamesToTheInstructorAlone(t *testing.T) {
	b := testBoard(10)
	require.Equal(t, http.StatusNoContent, send(t, b, report(47, "Ada", "01", "TestB", "TestC")).Code)
	for _, part := range []string{"", "now"} {
		page := ask(b, http.MethodGet, "/"+inRoom+"/"+part, "").Body.String()
		assert.Contains(t, page, "1 participant.", part)
		assert.Contains(t, page, "piece 2, A connection", part)
		for _, secret := range []string{"Ada", "TestB", "47 min", "Red for", "board.csv", instructs} {
			assert.NotContains(t, page, secret, part)
		}
		page = ask(b, http.MethodGet, "/"+instructs+"/"+part, "").Body.String()
		for _, wanted := range []string{"Ada", "TestB", "47 min", "3 of 5"} {
			assert.Contains(t, page, wanted, part)
		}
	}
}

func TestBoard_KnowsNothingWithoutASecret(t *testing.T) {
	b := testBoard(10)
	require.Equal(t, http.StatusNoContent, send(t, b, report(1, "Ada", "01")).Code)
	nothing := ask(b, http.MethodGet, "/", "").Body.String()
	assert.Contains(t, nothing, "open all of the address that your instructor shows", "somebody may have lost the secret")
	wrong := []string{"x", inRoom[:9], inRoom + "x", strings.ToUpper(inRoom), instructs[1:], strings.Repeat("a", 5000), "%00", "..%2f" + inRoom}
	for _, secret := range wrong {
		for _, c := range []struct{ method, path string }{
			{http.MethodGet, ""}, {http.MethodGet, "/"}, {http.MethodGet, "/now"}, {http.MethodGet, "/hello"}, {http.MethodGet, "/board.csv"},
			{http.MethodGet, "/assets/board.css"}, {http.MethodPost, "/report"}, {http.MethodPost, "/countdown"}, {http.MethodPost, "/remove"}, {http.MethodPost, "/station"},
		} {
			w := ask(b, c.method, "/"+secret+c.path, "")
			assert.Equal(t, http.StatusNotFound, w.Code, "%s %s%s", c.method, secret, c.path)
			assert.Equal(t, nothing, w.Body.String(), "it says no more than anywhere else")
		}
	}
	for _, c := range []struct{ method, path string }{
		{http.MethodGet, "/board.csv"}, {http.MethodPost, "/countdown"}, {http.MethodPost, "/station"}, {http.MethodPost, "/remove"},
	} {
		assert.Equal(t, http.StatusNotFound, ask(b, c.method, "/"+inRoom+c.path, "minutes=1&all=yes&station=02").Code, c.path)
	}
	assert.Equal(t, 1, b.room.size())
	w := ask(b, http.MethodPost, "/"+instructs+"/report", "{}")
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Equal(t, "this is the instructor's URL: report to the other one\n", w.Body.String())
}

func TestNew_MakesSecretsOfItsOwn(t *testing.T) {
	known := map[string]bool{}
	for range 20 {
		room, instructor := secrets()
		assert.Regexp(t, "^[a-z2-7]{10}$", room)
		assert.Regexp(t, "^[a-z2-7]{26}$", instructor)
		assert.False(t, known[room] || known[instructor])
		known[room], known[instructor] = true, true
	}
}

func TestBoard_RefusesWhatIsNoReport(t *testing.T) {
	b := testBoard(10)
	good, err := json.Marshal(report(1, "x", "01"))
	require.NoError(t, err)
	for _, c := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"nothing", "", 400, "not a report: EOF"},
		{"text", "hello\x1b[2J", 400, "not a report: invalid character"},
		{"half", string(good[:40]), 400, "not a report: unexpected EOF"},
		{"two", string(good) + string(good), 400, "not a report: something follows it"},
		{"a list", "[]", 400, "not a report: "},
		{"null", "null", 400, "a report of version 0, and this board reads version 1"},
		{"code", `{"version":1,"code":"package rpc"}`, 400, `not a report: json: unknown field "code"`},
		{"no id", `{"version":1,"station":"01"}`, 400, "not a report: the id is not 32 hexadecimal digits"},
		{"an odd id", `{"version":1,"id":"` + strings.Repeat("G", 32) + `","station":"01"}`, 400, "not a report: the id is not 32 hexadecimal digits"},
		{"an odd station", `{"version":1,"id":"` + id(1) + `","station":"../01"}`, 400, "not a report: the course has no such station"},
		{"a later version", `{"version":2}`, 400, "a report of version 2, and this board reads version 1"},
		{"many tests", `{"version":1,"id":"` + id(1) + `","todo":[` + strings.Repeat(`"",`, maxTests) + `""]}`, 400, "not a report: it names 1001 tests, at most 1000"},
		{"a long name", `{"name":"` + strings.Repeat("x", maxBytes) + `"}`, 413, "a report of more than 64 KiB"},
		{"deep", strings.Repeat("[", 30_000), 400, "not a report: "},
		{"seconds beyond numbers", `{"version":1,"red":{"seconds":1e300}}`, 400, "not a report: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := ask(b, http.MethodPost, "/"+inRoom+"/report", c.body)
			assert.Equal(t, c.status, w.Code)
			assert.Contains(t, w.Body.String(), c.says)
			assert.LessOrEqual(t, w.Body.Len(), maxAnswer+1)
			assert.NotContains(t, w.Body.String(), "\x1b")
		})
	}
	assert.Zero(t, b.room.size())
}

func FuzzBoard_Report(f *testing.F) {
	good, _ := json.Marshal(report(1, "x", "01", "TestA"))
	f.Add(string(good))
	f.Add(`{"version":1}`)
	f.Fuzz(func(t *testing.T, body string) {
		b := testBoard(2)
		w := ask(b, http.MethodPost, "/"+inRoom+"/report", body)
		assert.Contains(t, []int{204, 400, 413}, w.Code)
		for _, secret := range []string{inRoom, instructs} {
			assert.Equal(t, 200, ask(b, http.MethodGet, "/"+secret+"/", "").Code)
		}
	})
}

func TestBoard_SaysThatItIsFullOrBusy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBoard(1)
		require.Equal(t, http.StatusNoContent, send(t, b, report(1, "x", "01")).Code)
		w := send(t, b, report(2, "x", "01"))
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, "the board is full, with 1 of 1 participants\n", w.Body.String())
		assert.Equal(t, "60", w.Header().Get("Retry-After"))
		assert.Contains(t, ask(b, http.MethodGet, "/"+inRoom+"/", "").Body.String(), "the board is full")

		for range few {
			w = send(t, b, report(1, "x", "01"))
		}
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		assert.Equal(t, "too many reports: wait a moment\n", w.Body.String())
		for range burst {
			w = ask(b, http.MethodPost, "/"+inRoom+"/report", "not even read")
		}
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
	})
}

// A peer's name is text on the page, in an attribute, in a spreadsheet and in a terminal.
func TestBoard_EscapesNames(t *testing.T) {
	b := testBoard(10)
	var joined []string
	b.Joined = func(name string, n int) { joined = append(joined, fmt.Sprint(name, n)) }
	names := []string{`<script>alert(1)</script>`, `"><img src=x onerror=a>`, "=HYPERLINK(\"http://x\")", "＝SUM(1)", "-1", "a\nb,\x1b[31mc\u202e"}
	for n, name := range names {
		require.Equal(t, http.StatusNoContent, send(t, b, report(n, name, "01", "TestA")).Code)
	}
	assert.Equal(t, "a b,[31mc6", joined[5])
	page := ask(b, http.MethodGet, "/"+instructs+"/", "").Body.String()
	scripts, images := 0, 0
	doc, err := html.Parse(strings.NewReader(page))
	require.NoError(t, err)
	for node := range doc.Descendants() {
		switch node.Data {
		case "script":
			scripts++
		case "img":
			images++
		}
	}
	assert.Equal(t, 2, scripts, "the page's own")
	assert.Zero(t, images)
	assert.NotContains(t, page, "\x1b")
	assert.NotContains(t, page, "\u202e")

	w := ask(b, http.MethodGet, "/"+instructs+"/board.csv", "")
	assert.Contains(t, w.Header().Get("Content-Disposition"), "attachment")
	lines, err := csv.NewReader(w.Body).ReadAll()
	require.NoError(t, err)
	require.Len(t, lines, 1+len(names))
	assert.Equal(t, []string{"name", "station", "piece", "passing", "tests", "red", "red_minutes", "compiles", "last_report"}, lines[0])
	for _, line := range lines {
		assert.NotRegexp(t, "^[=＝+@-]", line[0])
	}
	assert.Equal(t, []string{"a b,[31mc", "01", "piece 1, A line", "4", "5", "TestA", "5", "true"}, lines[1][:8])
}

func TestBoard_ObeysTheInstructor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := testBoard(10)
		require.Equal(t, http.StatusNoContent, send(t, b, report(1, "Ada", "01")).Code)
		order := func(path, form string) *httptest.ResponseRecorder {
			return ask(b, http.MethodPost, "/"+instructs+"/"+path, form)
		}
		page := func() string { return ask(b, http.MethodGet, "/"+inRoom+"/", "").Body.String() }
		assert.Contains(t, page(), "01 tcp-server")
		assert.Contains(t, page(), `data-left="" hidden`)

		w := order("station", "station=02")
		assert.Equal(t, http.StatusSeeOther, w.Code)
		assert.Equal(t, "/"+instructs+"/", w.Header().Get("Location"))
		assert.Contains(t, page(), "02 json-protocol")
		order("countdown", "minutes=12")
		wait(90 * time.Second)
		assert.Contains(t, page(), `data-left="630"`)
		assert.Contains(t, page(), "10:30")
		order("countdown", "minutes=0")
		assert.Contains(t, page(), `data-left="" hidden`)
		order("station", "station=")
		assert.Contains(t, page(), "01 tcp-server")

		for path, forms := range map[string][]string{
			"station":   {"station=99", "station=%00"},
			"countdown": {"", "minutes=-1", "minutes=1e9", "minutes=100000000000000000000", "minutes=" + strings.Repeat("1", 2000)},
			"remove":    {"", "participant=x", "all=no"},
		} {
			for _, form := range forms {
				assert.Equal(t, http.StatusBadRequest, order(path, form).Code, "%s %s", path, form)
			}
		}
		order("remove", "participant=7")
		assert.Equal(t, 1, b.room.size())
		order("remove", "participant=1")
		assert.Zero(t, b.room.size())
	})
}

// No page loads anything from elsewhere, or lets others put it into theirs.
func TestBoard_KeepsToItself(t *testing.T) {
	b := testBoard(10)
	for _, secret := range []string{inRoom, instructs} {
		w := ask(b, http.MethodGet, "/"+secret+"/", "")
		assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
		assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Empty(t, w.Header().Get("Access-Control-Allow-Origin"))
		doc, err := html.Parse(w.Body)
		require.NoError(t, err)
		files := 0
		for node := range doc.Descendants() {
			for _, a := range node.Attr {
				assert.NotEqual(t, "style", a.Key, "the policy forbids it")
				if a.Key != "href" && a.Key != "src" {
					continue
				}
				u, err := url.Parse(a.Val)
				require.NoError(t, err)
				assert.Empty(t, u.Host, a.Val)
				if strings.HasPrefix(a.Val, "assets/") {
					files++
					file := ask(b, http.MethodGet, "/"+secret+"/"+a.Val, "")
					assert.Equal(t, http.StatusOK, file.Code, a.Val)
					assert.NotEmpty(t, file.Body.String(), a.Val)
				}
			}
		}
		assert.Equal(t, 6, files)
	}
	assert.Equal(t, http.StatusNotFound, ask(b, http.MethodGet, "/"+inRoom+"/assets/page.html", "").Code)
	w := ask(b, http.MethodGet, "/"+inRoom, "")
	assert.Equal(t, "/"+inRoom+"/", w.Header().Get("Location"))
}

func TestBoard_ServesUntilItsContextEnds(t *testing.T) {
	b := testBoard(10)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, ln) }()
	resp, err := http.Get("http://" + ln.Addr().String() + "/" + inRoom + "/hello")
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	resp.Body.Close()
	assert.Equal(t, http.StatusNoContent, resp.StatusCode)
	cancel()
	assert.NoError(t, <-ended)
}

// pipes is a listener whose connections are in memory.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects to the board, or reports that it takes no more connections.
func (p *pipes) dial() (net.Conn, bool) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, true
	case <-time.After(time.Second):
		return nil, false
	}
}

// Connections that say nothing, or not all, end; there are not more than the bound; and
// the next one is served.
func TestBoard_OutlastsSilentConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ln := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- testBoard(10).Serve(ctx, ln) }()
		var conns []net.Conn
		for range maxConns {
			conn, ok := ln.dial()
			require.True(t, ok)
			conns = append(conns, conn)
		}
		for i, conn := range conns {
			switch i % 3 {
			case 1:
				io.WriteString(conn, "POST /"+inRoom+"/rep")
			case 2:
				io.WriteString(conn, "POST /"+inRoom+"/report HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
			}
		}
		_, ok := ln.dial()
		assert.False(t, ok, "one too many")
		wait(readFor + time.Second)
		for _, conn := range conns {
			_, err := io.Copy(io.Discard, conn)
			assert.NoError(t, err) // the board has closed it
		}
		conn, ok := ln.dial()
		require.True(t, ok)
		_, err := io.WriteString(conn, "GET /"+inRoom+"/hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
		require.NoError(t, err)
		answer, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Contains(t, string(answer), "HTTP/1.1 204 No Content")
		cancel()
		assert.NoError(t, <-ended)
	})
}

func TestHosts(t *testing.T) {
	network := func(s string) net.Addr {
		ip, n, err := net.ParseCIDR(s)
		require.NoError(t, err)
		n.IP = ip
		return n
	}
	networks := []net.Addr{network("127.0.0.1/8"), network("192.168.1.7/24"), network("fe80::1/64"), network("10.0.0.3/8")}
	all := &net.TCPAddr{IP: net.IPv6unspecified, Port: 7070}
	assert.Equal(t, []string{"192.168.1.7:7070", "10.0.0.3:7070"}, Hosts(all, networks))
	assert.Equal(t, []string{"127.0.0.1:7070"}, Hosts(all, nil))
	assert.Equal(t, []string{"10.0.0.3:7070"}, Hosts(&net.TCPAddr{IP: net.IPv4(10, 0, 0, 3), Port: 7070}, networks))
	assert.Equal(t, []string{"[::1]:7070"}, Hosts(&net.TCPAddr{IP: net.IPv6loopback, Port: 7070}, networks))
}
