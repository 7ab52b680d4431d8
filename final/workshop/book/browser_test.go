package book

import (
	"bytes"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/chromium"
	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
)

// lookedAt has a page of each kind, small where there are many.
var lookedAt = []string{
	"index.html", "step05-context-timeouts/5c-in-flight/index.html", "step01-tcp-server/rpc/line.go.html", "step05-context-timeouts/index.html", "step02-json-protocol/exercises.html",
	"step05-context-timeouts/5c-in-flight/changes.html", "step01-tcp-server/files.html",
	"step05-context-timeouts/5c-in-flight/hints.html", "testdata/wire/hello.txt.html",
	"step05-context-timeouts/5c-in-flight/slides.html#slide-7", "step05-context-timeouts/5c-in-flight/slides.html#page",
	"final/workshop/tour/04-life-of-a-call.html", "final/workshop/museum/leak/index.html", "final/workshop/guide/glossary.html", "final/rpc/doc.html",
}

// A report is what testdata/browser.html sends.
type report struct {
	Wrong  []string
	Looked int
	Paint  map[string]float64 // milliseconds until the first paint, by page
}

// A real browser opens the book from the file system: the search, the terms, the theme,
// the keys and the copying work, and blocks of code have the whole width.
func TestBook_WorksInChromium(t *testing.T) {
	seldom.Test(t)
	chromium.Need(t)
	r := visit(t, bookIn(t), "", nil)
	assert.Empty(t, r.Wrong)
	assert.Len(t, r.Paint, 3)
	t.Logf("milliseconds until the first paint: %v", r.Paint)
}

// And axe finds nothing wrong with a page of each kind.
func TestBook_InChromium(t *testing.T) {
	seldom.Test(t)
	chromium.Need(t)
	axe := os.Getenv("AXE_CORE")
	if axe == "" {
		t.Skip("AXE_CORE does not name axe.min.js (npm install axe-core)")
	}
	r := visit(t, bookIn(t), axe, lookedAt)
	assert.Empty(t, r.Wrong)
	assert.Equal(t, len(lookedAt)+3, r.Looked)
}

// On paper, a slide and its notes fill one sheet at most, and the cheat sheet two.
func TestBook_OnPaper(t *testing.T) {
	seldom.Test(t)
	chromium.Need(t)
	b, err := made()
	require.NoError(t, err)
	dir := bookIn(t)
	long, err := course.Find("02")
	require.NoError(t, err)
	slides := bytes.Count(b.files[slidesPath(long)], []byte(`<section class="slide"`))
	sheets, wide := paper(t, dir, slidesPath(long))
	assert.Equal(t, slides, sheets, "the slides")
	assert.True(t, wide, "the slides")
	sheets, wide = paper(t, dir, markdownPath(cheatPage))
	assert.Equal(t, 2, sheets, "the cheat sheet")
	assert.False(t, wide, "the cheat sheet")
}

var mediaBox = regexp.MustCompile(`/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]`)

// paper returns how many sheets a page of the book fills, and whether they are wider than
// high.
func paper(t *testing.T, dir, page string) (sheets int, wide bool) {
	t.Helper()
	data := chromium.PDF(t, "file://"+filepath.ToSlash(dir)+"/"+page)
	boxes := mediaBox.FindAllSubmatch(data, -1)
	require.NotEmpty(t, boxes, page)
	width, _ := strconv.ParseFloat(string(boxes[0][1]), 64)
	height, _ := strconv.ParseFloat(string(boxes[0][2]), 64)
	return len(boxes), width > height
}

// bookIn returns a folder with the book and the page that looks at it.
func bookIn(t *testing.T) string {
	t.Helper()
	b, err := made()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "book")
	_, err = b.Write(dir)
	require.NoError(t, err)
	harness, err := os.ReadFile("testdata/browser.html")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "browser.html"), harness, 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "harness.js"), chromium.Harness, 0o666))
	return dir
}

// visit opens the book in dir, and returns what the harness reports.
func visit(t *testing.T, dir, axe string, pages []string) report {
	t.Helper()
	reports := chromium.NewReports[report]()
	srv := httptest.NewServer(reports)
	defer srv.Close()
	query := url.Values{"report": {srv.URL}, "axe": {"file://" + axe}, "works": {"step02-json-protocol/index.html"}, "place": {"step05-context-timeouts/5c-in-flight/index.html"}, "slides": {"step05-context-timeouts/5c-in-flight/slides.html"}, "fits": {"step06-gob-codec/6c-hello/slides.html"}, "page": pages}
	return reports.Of(t, "file://"+filepath.ToSlash(dir)+"/browser.html?"+query.Encode(), "--allow-file-access-from-files", "--disable-popup-blocking", "--window-size=1500,1000")
}
