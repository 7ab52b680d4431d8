package book

import (
	"fmt"
	"html"
	"path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// render returns what a page of step 02 becomes.
func render(t *testing.T, text string) (*Rendered, error) {
	t.Helper()
	b, err := made()
	require.NoError(t, err)
	s, err := course.Find("02")
	require.NoError(t, err)
	return b.renderMarkdown(&Page{
		Source: "step02-json-protocol/TEST.md", Path: "step02-json-protocol/test.html", Kind: Markdown, Station: &s,
		doc: parseDocument("step02-json-protocol/TEST.md", text),
	})
}

func TestRender_WhatPagesUse(t *testing.T) {
	for name, test := range map[string]struct {
		text        string
		want, never []string
	}{
		"a heading has a name and a link": {
			"# A\n\n## What's new?\n\n## What's new?\n",
			[]string{`<h2 id="whats-new">What&#39;s new?`, `<h2 id="whats-new-1">`, `href="#whats-new-1" aria-label="Link to this section"`}, nil},
		"no level is skipped": {"# A\n\n### B\n\n## C\n\n### D\n", []string{`<h2 id="b">`, `<h2 id="c">`, `<h3 id="d">`}, nil},
		"links between pages": {
			"[a](../step01-tcp-server/README.md#predict) [b](EXERCISES.md) [c](../step03-client) [d](https://go.dev) [e](#here)",
			[]string{`<a href="../step01-tcp-server/index.html#predict">a</a>`, `<a href="exercises.html">b</a>`, `<a href="../step03-client/index.html">c</a>`,
				`<a href="https://go.dev" class="out"`, `<a href="#here">e</a>`}, []string{".md"}},
		"links that leave the course are footnotes on paper": {
			"[a](https://go.dev/a?b&c) [b](https://go.dev/b) [c](https://go.dev/a?b&c)\n",
			[]string{`>a</a><sup class="foot">1</sup> `, `>b</a><sup class="foot">2</sup> `, `>c</a><sup class="foot">1</sup></p>`,
				"<ol class=\"foot\">\n<li>https://go.dev/a?b&amp;c</li>\n<li>https://go.dev/b</li>\n</ol>\n"}, []string{"<li>https://go.dev/a?b&amp;c</li>\n</ol>"}},
		"no footnotes": {"[a](#here)\n", nil, []string{"foot"}},
		"links to code and to folders": {
			"[a](rpc/server.go) [b](../testdata/wire)",
			[]string{`<a href="rpc/server.go.html">a</a>`, `<a href="../testdata/wire/files.html">b</a>`}, nil},
		"a file in code type": {
			"In `rpc/server.go`, not in `server.go` or `rpc/nothing.go`. **`rpc/server.go`**",
			[]string{`<a class="file" href="rpc/server.go.html"><code>rpc/server.go</code></a>`, `<code>rpc/nothing.go</code>`, `<strong><code>`}, []string{`nothing.go.html`}},
		"a file of the reader's folder": {
			"Write it in `rpc/line.go`, or **type** ours:\n\nAdd `io`. Type this into `rpc/line.go`:\n\nYou get `rpc/line.go` and `rpc/server.go` with stubs. Read `rpc/protocol.go`.\n\n(Note.) Before you go on, change `rpc/line.go`.\n\n" +
				"The signature in `rpc/line.go`:\n\n<!-- seams 02 -->\n\n- `func F()` in `rpc/line.go`\n\n<!-- end -->\n\n- See `rpc/naive_test.go`\n\n```go type rpc/line.go\nx\n```\n",
			[]string{`Write it in <code>rpc/line.go</code>`, `<a class="file" href="rpc/protocol.go.html">`, `<a class="file" href="rpc/naive_test.go.html">`, `<a class="name" href="rpc/line.go.html">`},
			[]string{`<a class="file" href="rpc/line.go.html">`, `<a class="file" href="rpc/server.go.html">`}},
		"comments are for checks": {
			"a\n\n<!-- now: all green -->\n\n<!-- seams x -->\n\n- b\n\n<!-- end -->\n\nc <!-- d --> e\n",
			[]string{"<p>a</p>", "<p>c  e</p>"}, []string{"now", "seams", "end", "!--"}},
		"folds": {
			"<details><summary>Hint 1</summary>\n\nUse `x`.\n\n</details>\n<details><summary>Hint 2</summary>\n\nb\n\n</details>\n",
			[]string{"<details><summary>Hint 1</summary>\n<p>Use <code>x</code>.</p>\n</details>\n<details>"}, nil},
		"a declaration": {
			"```go type rpc/server.go Server.Serve\nfunc (s *Server) Serve(ln net.Listener) error { return nil } // \"x\"\n```\n",
			[]string{`<figure class="code go"><figcaption><a class="name" href="rpc/server.go.html">rpc/server.go</a> <a class="name" href="rpc/server.go.html#Server.Serve">Server.Serve</a> <span class="label">type</span></figcaption>`,
				`<b class=kw>func</b> (s *Server) <b class=fn>Serve</b>(ln net.Listener) <b class=ty>error</b>`, `<b class=co>// "x"</b>`}, nil},
		"a file of another station": {
			"```go read 5a:rpc/client.go Client\ntype Client struct{}\n```\n\n```go read /final/rpc/server.go Server\ntype Server struct{}\n```\n",
			[]string{`href="../step05-context-timeouts/5a-identity/rpc/client.go.html#Client">`, `href="../final/rpc/server.go.html#Server">`}, nil},
		"a change": {
			"```diff type rpc/line.go maxLine\n // a\n-const a = 1\n+const a = 2\n…\n```\n",
			[]string{`<pre tabindex="0" class="marked">`, "<span class=del><b>-</b><b class=kw>const</b> a = <b class=nu>1</b></span>\n", `<span class=add><b>+</b>`, "\n…\n"}, nil},
		"a line to break": {
			"```diff break rpc/line.go TestReadLine_X\n-a\n+b\n```\n",
			[]string{`<a class="name" href="rpc/line.go.html">rpc/line.go</a> <span class="label">break it</span>`}, []string{"TestReadLine_X"}},
		"a console": {
			"```console red\n$ go test ./rpc\n--- FAIL: TestX (0.00s)\nhello  ← you type\n```\n",
			[]string{`<b class=pr>$ </b><b class=cm>go test ./rpc</b>`, `<b class=bad>--- FAIL: TestX (0.00s)</b>`, `<b class=cm>hello  </b><b class=co>← you type</b>`, "in your folder: red"}, nil},
		"commands": {
			"    go run <x>\n", []string{`<figure class="code plain"><pre tabindex="0"><code>go run &lt;x&gt;` + "\n</code></pre></figure>"}, nil},
		"commands and what they do": {
			"    go run ./x -a 'b c'      ten thousand   orders\n    cd ../mine\n",
			[]string{"<code>go run ./x -a 'b c'<b class=says>      ten thousand   orders</b>\ncd ../mine\n</code>"}, nil},
		"columns that are no commands": {"    step 01   client\n    go test   all\n", []string{"<code>step 01   client\ngo test   all\n"}, []string{"says"}},
		"a table": {
			"# Title\n\n| file | lines | |\n|---|---|---|\n| a | 10 | 1 |\n| b | 5 | x |\n",
			[]string{`<div class="table" tabindex="0" role="group" aria-label="Table: Title"><table>`, `<th scope="col">file</th>`, `<th scope="col" class="num">lines</th>`, "<td></td>", `<td class="num">10</td>`, "<td>1</td>", "</tbody>\n</table></div>"}, nil},
		"a table without rows": {"| a |\n|---|\n", []string{"</thead>\n</table>"}, []string{"tbody"}},
		"a question": {
			"## Predict\n\n> Who?\n\n## B\n\n> Note.\n",
			[]string{`<blockquote class="note predict">`, `<blockquote class="note">`}, nil},
		"the time of a lesson": {"# A\n\nTime: 65 minutes\n", []string{`<p class="time">Time: 65 minutes</p>`}, nil},
		"terms, once": {
			"A **frame** is a frame. It has a deadline, two deadlines. See net/tcp and `deadline`.\n\n## A capture\n\n[a capture](#x)",
			[]string{`<a class="term" href="../final/workshop/guide/glossary.html#term-deadline" data-says="deadline: the moment at which waiting ends with an error.">deadline</a>, two deadlines`, "is a frame."},
			[]string{"#term-frame", "#term-capture", "#term-tcp"}},
		"a capture": {
			"```text ../testdata/wire/json-lines.txt\n# Note.\nC \"{\\\"method\\\":\\\"A\\\"}\\n\"\n```\n",
			[]string{`<b class=cl>C</b>`, `<p class="from">client, 15 bytes</p>`, `0000  7b 22 6d 65 74 68 6f 64 22 3a 22 41 22 7d 0a     {"method":"A"}.`, `<tr><td>method</td><td><code>"A"</code></td></tr>`}, nil},
		"a capture of final, cut out of its middle": {
			"```text ../testdata/wire/final-calls.txt\n#> 0000000a length 10 | 05 ping\nC \"\\x00\\x00\\x00\\x0a\\x05\"\n```\n",
			[]string{`<p class="from">client, 5 bytes</p>`}, []string{"<td>"}},
		"the end of a connection": {
			"```text ../testdata/wire/final-calls.txt\nS \"\"\n```\n", []string{`<div class="packet server"><p class="from">server closes</p></div>`}, nil},
		"changes of a station": {
			"<!-- changed 02 -->\n\n    go tool workshop diff 01 02\n\n<!-- end -->\n",
			[]string{`<a href="changes.html">see all on one page</a>`, `<details class="change"><summary><code>rpc/server.go</code> <span class="plus">+`, `<a href="rpc/server.go.html">The whole file at 02</a>`}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := render(t, test.text)
			require.NoError(t, err)
			for _, want := range test.want {
				assert.Contains(t, r.body, want)
			}
			for _, never := range test.never {
				assert.NotContains(t, r.body, never)
			}
			assert.Empty(t, wrongNesting(r.body))
		})
	}
}

// The code that a step begins with is that of the station before it.
func TestRender_TheCodeYouInherit(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	const server = `<td><a class="file" href="../%s/rpc/server.go.html"><code>rpc/server.go</code></a></td>`
	for step, before := range map[string]string{
		"02": "step01-tcp-server", "03": "step02-json-protocol", "4a": "step03-client", "5a": "step04-registry", "6a": "step05-context-timeouts", "07": "step06-gob-codec",
	} {
		s, err := course.Find(step)
		require.NoError(t, err)
		page := b.bySource[s.Step+"/README.md"]
		_, inherited, _ := strings.Cut(string(b.files[page.Path]), `<h2 id="the-code-you-inherit">`)
		inherited, _, _ = strings.Cut(inherited, "<h2")
		assert.Contains(t, inherited, fmt.Sprintf(server, before), step)
		assert.NotContains(t, inherited, `href="rpc/`, step)
	}
}

// What the book cannot show is an error, not a page with a hole.
func TestRender_Refuses(t *testing.T) {
	for text, want := range map[string]string{
		"[a](nothing.md)":                            "no page for the link to nothing.md",
		"![a](a.png)":                                "the image a.png",
		"a <b>c</b>":                                 "the tag <b>",
		"```mermaid\nsequenceDiagram\n```":           "has no drawing",
		"```text ../testdata/wire/x.txt\nX\n```":     "a capture: line 1",
		"<!-- changed 99 -->\n\na\n\n<!-- end -->\n": "no step or checkpoint",
	} {
		_, err := render(t, text)
		assert.ErrorContains(t, err, want, text)
	}
}

var tag = regexp.MustCompile(`<[^>]*>`)

// plainOf returns a page's text.
func plainOf(body string) string { return html.UnescapeString(tag.ReplaceAllString(body, "")) }

func TestHighlight_ChangesNoText(t *testing.T) {
	for _, text := range []string{
		"package a\n\nfunc F[T any](x T) (y int) {\n\treturn `a\nb` /* c\n\nd */ + 'x' + 0x1F // e\n}\n",
		"…\nfunc (s *Server) x(\n\"not closed\n\t'\n`never ends\n",
		"\n\n\ta := b\r\n", "é := \"→\" // ü\n", "", "go run .   runs\n\n  cd ..", "go run .   runs\ncd ..  \ngo vet  x",
	} {
		want := strings.TrimSuffix(text, "\n")
		assert.Equal(t, want, plainOf(strings.Join(highlightGo(text), "\n")))
		assert.Equal(t, want, plainOf(strings.Join(highlightComments(text, "#"), "\n")))
		assert.Equal(t, want, plainOf(strings.Join(highlightPlain(text), "\n")))
		assert.Equal(t, want, plainOf(strings.Join(highlightConsole(text), "\n")))
		assert.Equal(t, want, plainOf(strings.Join(highlightDiff(text), "\n")))
		assert.Equal(t, want, plainOf(strings.Join(highlightCapture(text), "\n")))
	}
}

// Each file is shown as it is, with a place for each line and each declaration.
func TestCode_IsShownWhole(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	for name, p := range b.sources {
		if p.Kind != Code || path.Base(name) != "server.go" {
			continue
		}
		text, err := b.read(p.Source)
		require.NoError(t, err)
		page := string(b.files[p.Path])
		_, code, _ := strings.Cut(page, `<pre tabindex="0"><code>`)
		code, _, _ = strings.Cut(code, "</code></pre>")
		assert.Equal(t, text, plainOf(code), name)
		assert.Contains(t, page, "<i id=L1></i>", name)
		if strings.HasSuffix(name, "rpc/server.go") {
			assert.Contains(t, page, `<span id="Server.Serve"></span>`, name)
		}
	}
}

// A capture's own page has the bytes and the fields of each connection.
func TestCode_ACaptureHasItsBytes(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	page := string(b.files["testdata/wire/final-calls.txt.html"])
	assert.Contains(t, page, `<details class="bytes" id="bytes-a-call"><summary>The bytes of “a call”</summary>`)
	assert.Contains(t, page, `<li class="l3"><a href="#bytes-a-call">a call</a></li>`)
	assert.Less(t, strings.Index(page, `id="bytes-a-call"`), strings.Index(page, `id=L1`), "the bytes come first")
	protocol := string(b.files["final/protocol.html"])
	assert.Contains(t, protocol, `<a class="file" href="../testdata/wire/final-hello-bad.txt.html#bytes-hello-wrong-magic"><code>hello: wrong magic</code></a>`)
	assert.Contains(t, page, `<tr><td>codec</td><td><code>json</code></td><td><code>6a 73 6f 6e</code></td></tr>`)
}

// A file that a station has from the one before is one page for both.
func TestCode_SaysAtWhichStationsItIs(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	first, err := course.Find("01")
	require.NoError(t, err)
	p := b.sourceOf(first, "rpc/server.go")
	require.NotNil(t, p)
	assert.Equal(t, []course.Station{first}, b.stationsWith(p))
	last, err := course.Find("4a")
	require.NoError(t, err)
	before, _ := last.Previous()
	shared := b.sourceOf(last, "rpc/line.go")
	assert.Same(t, b.sourceOf(before, "rpc/line.go"), shared)
	assert.Contains(t, b.stationsWith(shared), before)
	assert.Contains(t, b.stationsWith(shared), last)
}

func TestRel(t *testing.T) {
	for _, test := range []struct{ from, to, want string }{
		{"index.html", "a/b.html", "a/b.html"},
		{"a/b.html", "index.html", "../index.html"},
		{"a/b.html", "a/c.html", "c.html"},
		{"a/b/c.html", "a/d/e.html", "../d/e.html"},
		{"a/b.html", "a/b.html", "b.html"},
	} {
		assert.Equal(t, test.want, rel(test.from, test.to), "%s %s", test.from, test.to)
	}
}

// Each mermaid block has a drawing, which was made from it, and each drawing is used.
func TestDiagrams_AreThoseOfThePages(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	entries, err := diagrams.ReadDir("diagrams")
	require.NoError(t, err)
	used := map[string]bool{}
	for _, p := range b.Pages {
		if p.doc == nil {
			continue
		}
		for _, m := range regexp.MustCompile("(?ms)^```mermaid\n(.*?)^```").FindAllStringSubmatch(string(p.doc.source), -1) {
			name := diagramName(m[1])
			used[path.Base(name)] = true
			assert.NotEmpty(t, inWords(m[1]), p.Source)
			svg, err := diagrams.ReadFile(name)
			require.NoError(t, err, p.Source)
			assert.NotRegexp(t, `https?://[^w]|<script|<style`, string(svg), name)
		}
	}
	for _, e := range entries {
		assert.True(t, used[e.Name()], "no page has the diagram %s: remove it", e.Name())
	}
}

func TestLarger(t *testing.T) {
	assert.Equal(t, `<svg viewBox="0 0 100 50" width="120" style="min-width:100px"><rect width="10" />`, larger(`<svg viewBox="0 0 100 50" width="100" height="50"><rect width="10" />`))
}

func TestInWords(t *testing.T) {
	assert.Equal(t, []string{"cmd/raw.go to server: hel, lo", "at server: waits", "server to cmd/raw.go: hello", "begin → Open: connected", "Open → end: closed"}, inWords(`sequenceDiagram
    participant raw as cmd/raw.go
    raw->>server: hel, lo
    Note over server: waits
    server-->>raw: hello
    [*] --> Open: connected
    Open --> [*]: closed
`))
}

func TestHints_AreFolded(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	p := b.bySource["final/workshop/hints/5a.md"]
	require.NotNil(t, p)
	page := string(b.files["step05-context-timeouts/5a-identity/hints.html"])
	assert.Contains(t, page, "<h1>Hints for 5a</h1>")
	assert.NotContains(t, page, "Question: ")
	assert.NotContains(t, page, "Answer: ")
	_, last, _ := strings.Cut(page, `<h2 id="one-more-question">`)
	assert.Contains(t, last, `<blockquote class="note predict"><p>A response arrives, and its id is not on the list.`)
	assert.Contains(t, last, "<details><summary>Answer</summary><p>The server answered an id")
	assert.Contains(t, page, `<a href="#one-more-question">One more question</a>`)
	assert.Contains(t, page, "<details><summary>Hint 1</summary><div>A thousand replies arrive")
	assert.Contains(t, string(b.files["step05-context-timeouts/5a-identity/index.html"]),
		`<p class="where"><a href="hints.html">Hints for each test</a> · <a href="slides.html">Slides</a> · <a href="changes.html">What changed since 4b</a> · <a href="files.html">The files</a></p>`)
	assert.NotContains(t, string(b.files["step05-context-timeouts/index.html"]), "Hints for each test")
}

// Code must not become a page's own tags, and its quotes stay as they are.
func TestHighlight_EscapesWhatCouldBeATag(t *testing.T) {
	const code = `x := "<b>" // '&lt;' < 2`
	assert.Equal(t, lines{`x := <b class=st>"&lt;b&gt;"</b> <b class=co>// '&amp;lt;' &lt; 2</b>`}, highlight("a.go", code))
	for _, name := range []string{"a.txt", "a.diff", "testdata/wire/a.txt"} {
		assert.NotContains(t, strings.Join(highlight(name, code), ""), "<b>", name)
	}
}
