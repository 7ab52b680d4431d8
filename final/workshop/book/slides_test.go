package book

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// slidesOf returns the slides of a station's deck.
func slidesOf(t *testing.T, station string) []string {
	t.Helper()
	b, err := made()
	require.NoError(t, err)
	p := b.slides[station]
	require.NotNil(t, p, station)
	_, deck, _ := strings.Cut(string(b.files[p.Path]), "<section ")
	return strings.Split(deck, "<section ")
}

func TestSlides_EachStationHasADeck(t *testing.T) {
	for _, s := range course.Stations {
		slides := slidesOf(t, s.Name)
		want := []string{"Recall", "The question", "Predict", "A failure", "The diagram", "The key declaration", "Your turn", "The checkpoint", "One more question"}
		if s.Name == "01" {
			want = want[1:] // nothing to recall
		}
		require.Len(t, slides, len(want)+1, s.Name)
		assert.Contains(t, slides[0], "<h2>"+s.Name+": ", s.Name)
		for i, title := range want {
			assert.Contains(t, slides[i+1], "<h2>"+title+"</h2>", s.Name)
		}
		for _, slide := range slides {
			assert.Equal(t, 1, strings.Count(slide, `<details class="notes">`), s.Name)
		}
	}
}

// Each part of a slide is what a page of the course says.
func TestSlides_QuoteTheCourse(t *testing.T) {
	slides := slidesOf(t, "5c")
	for i, want := range [][]string{
		{"<h2>5c: in flight</h2>", "A server that answers many requests of a connection at once", "45 minutes, core path", "go tool workshop start 5c DIR"},
		{"Where does that response go?", "<summary>Notes</summary>", "Allow three minutes", "Nowhere."},
		{`<p class="lead">Ten requests arrive in a single packet. In which order may the server answer?</p>`, "Give two minutes"},
		{"which answers would the client get?", "Ours is below"},
		{"<summary>What it prints</summary>", "a day later, there is no answer", "before and after", "The day passes on the bubble&#39;s clock."},
		{`<div class="drawing" tabindex="0" role="img" aria-label="Diagram: 5c.`, "A connection may have many requests in flight"},
		{`<a class="name" href="rpc/conn.go.html#serverConn.start">serverConn.start</a>`, "<mark>\tc.requests.Go(", "TestServer_AnswersAllRequestsOfAClientThatHasFinishedSending"},
		{"<li><code>rpc/conn.go</code>: <code>newServerConn</code>, <code>serverConn.reply</code>", "go tool workshop watch", "<strong>Watch for</strong>: Two goroutines", "<strong>Usual errors</strong>: The lock held while"},
		{"TestLimit_SlowCallBlocksTheConnection", "lifted: 5c", "One participant explains"},
		{"A client sends a thousand requests with ids, and reads none", `href="../5d-contexts/slides.html"`, "<summary>Notes</summary>", "For each request whose method has returned"},
	} {
		for _, part := range want {
			assert.Contains(t, slides[i], part)
		}
	}
	assert.NotContains(t, slides[1][:strings.Index(slides[1], "<summary>")], "Nowhere.", "the answer is in the notes")
}

func TestBrokenBy(t *testing.T) {
	const text = "package a\n\n// F is.\nfunc F() {\n\tg()\n\th()\n}\n\nfunc g() {}\n"
	decl, marked, err := brokenBy("a.go", text, " \tg()\n-\th()\n+\ti()\n }\n")
	require.NoError(t, err)
	assert.Equal(t, "F", decl.Name())
	assert.Equal(t, map[int]bool{6: true}, marked)
	_, _, err = brokenBy("a.go", text, "-\tgone()\n")
	assert.EqualError(t, err, "a.go has not the lines that the lesson breaks")
}

// Whoever reads a lesson, the home page or the instructor's page finds the slides.
func TestSlides_AreLinked(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	assert.Contains(t, string(b.files["step05-context-timeouts/5c-in-flight/index.html"]), `<a href="slides.html">Slides</a>`)
	for _, s := range course.Stations {
		assert.Contains(t, string(b.files["index.html"]), `<a href="`+slidesPath(s)+`">`, s.Name)
		assert.Contains(t, string(b.files["final/workshop/guide/instructor.html"]), `<a href="../../../`+slidesPath(s)+`">Slides</a>`, s.Name)
	}
}
