package book

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// contentsOf returns the table of contents beside a page.
func contentsOf(t *testing.T, name string) string {
	t.Helper()
	b, err := made()
	require.NoError(t, err)
	_, contents, found := strings.Cut(string(b.files[name]), `<nav class="contents"`)
	require.True(t, found, name)
	contents, _, _ = strings.Cut(contents, "</nav>")
	return contents
}

var unfolded = regexp.MustCompile(`<details open><summary><h2>(.*?)</h2>`)

// Each page has its place in the contents: the part that it is in is unfolded.
func TestContents_ShowThePlace(t *testing.T) {
	const lesson = `<a href="index.html" aria-current="%s">5c: in flight <small>45 min</small></a>`
	for name, test := range map[string]struct {
		want string
		open []string
	}{
		"index.html": {`<a href="index.html" aria-current="page">Home</a>`, []string{"Begin", "The steps"}},
		"step05-context-timeouts/5c-in-flight/index.html":   {strings.ReplaceAll(lesson, "%s", "page"), []string{"The steps"}},
		"step05-context-timeouts/5c-in-flight/hints.html":   {strings.ReplaceAll(lesson, "%s", "true"), []string{"The steps"}},
		"step05-context-timeouts/5c-in-flight/changes.html": {strings.ReplaceAll(lesson, "%s", "true"), []string{"The steps"}},
		"step05-context-timeouts/5c-in-flight/slides.html":  {strings.ReplaceAll(lesson, "%s", "true"), []string{"The steps"}},
		"step01-tcp-server/rpc/line.go.html": {`<a href="../index.html" aria-current="true">01: a TCP server <small>80 min</small></a>`,
			[]string{"Course", "step01-tcp-server/rpc/"}},
		"step01-tcp-server/rpc/files.html": {`<a href="files.html" aria-current="page">rpc/</a>`, []string{"Course", "step01-tcp-server/"}},
		"testdata/wire/hello.txt.html":     {`<a href="hello.txt.html" aria-current="page">hello.txt</a>`, []string{"Course", "testdata/wire/"}},
	} {
		contents := contentsOf(t, name)
		assert.Contains(t, contents, test.want, name)
		var open []string
		for _, m := range unfolded.FindAllStringSubmatch(contents, -1) {
			open = append(open, m[1])
		}
		assert.Equal(t, test.open, open, name)
	}
	assert.Contains(t, contentsOf(t, "index.html"), "4b: receivers <small>50 min, side</small>")
	assert.Contains(t, contentsOf(t, "step01-tcp-server/rpc/line.go.html"), `<a href="server.go.html">server.go</a>`)
}

func TestHome_LeadsOn(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	home := string(b.files["index.html"])
	for _, want := range []string{
		`<li><a href="step01-tcp-server/index.html"><strong>Read</strong> <span>Step 01: a TCP server</span></a></li>`,
		`<td><a href="step02-json-protocol/changes.html"><code>go tool workshop diff 01 02</code></a></td>`,
		`<details><summary>The stations as a table, with what each adds and changes</summary>`,
	} {
		assert.Contains(t, home, want)
	}
}

func TestFolder_SaysWhatIsInIt(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	page := string(b.files["step05-context-timeouts/files.html"])
	for _, want := range []string{
		`<li><a href="states.html"><code>STATES.md</code></a> <small>Step 05: the states of a call</small></li>`,
		`<li><a href="5c-in-flight/files.html"><code>5c-in-flight/</code></a> <small>2 items</small></li>`,
	} {
		assert.Contains(t, page, want)
	}
	assert.Regexp(t, `<code>line.go</code></a> <small>\d+ lines</small>`, string(b.files["step01-tcp-server/rpc/files.html"]))
}

// A link to the glossary leads to the term that its text is a form of.
func TestLink_LeadsToTheTerm(t *testing.T) {
	r, err := render(t, "[pinned](../final/workshop/guide/glossary.md) [the glossary](../final/workshop/guide/glossary.md)")
	require.NoError(t, err)
	assert.Contains(t, r.body, `glossary.html#term-pin">pinned</a>`)
	assert.Contains(t, r.body, `glossary.html">the glossary</a>`)
}

// The hints, the changes and the slides of a station lead to those of the next; a file leads
// to the file beside it.
func TestTurn_FollowsPagesOfOneKind(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	for name, want := range map[string][2]string{
		"step05-context-timeouts/5c-in-flight/hints.html":   {"../5b-timeouts/hints.html", "../5d-contexts/hints.html"},
		"step05-context-timeouts/5c-in-flight/changes.html": {"../5b-timeouts/changes.html", "../5d-contexts/changes.html"},
		"step05-context-timeouts/5c-in-flight/slides.html":  {"../5b-timeouts/slides.html", "../5d-contexts/slides.html"},
		"step01-tcp-server/rpc/server.go.html":              {"seams_test.go.html", "server_test.go.html"},
	} {
		page := string(b.files[name])
		assert.Contains(t, page, `<a rel="prev" href="`+want[0]+`">`, name)
		assert.Contains(t, page, `<a rel="next" href="`+want[1]+`">`, name)
	}
}
