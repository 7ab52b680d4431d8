package book

import (
	"html/template"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A server adds to a page; without it, the page is the same.
func TestBook_RenderWithAddsToAPage(t *testing.T) {
	b, err := made()
	require.NoError(t, err)
	p := b.PageOf("step01-tcp-server/README.md")
	require.NotNil(t, p)
	assert.Same(t, p, b.Lookup(p.Path))
	bare, err := b.RenderWith(p, Extra{})
	require.NoError(t, err)
	assert.Equal(t, string(b.files[p.Path]), string(bare))

	html, err := b.RenderWith(p, Extra{Head: "<meta name=a>", Top: "<aside>b</aside>", After: map[string]template.HTML{"a-line": "<p>c</p>", "nowhere": "<p>d</p>"},
		End: map[string]template.HTML{"predict": "<p>e</p>"}})
	require.NoError(t, err)
	page := string(html)
	assert.Contains(t, page, "<meta name=a></head>")
	assert.Contains(t, page, `</header>`+"\n"+`<aside>b</aside><div class="columns`)
	assert.NotContains(t, page, "<p>d</p>")
	heading := strings.Index(page, `<h3 id="a-line">`)
	at := strings.Index(page, "<p>c</p>")
	require.True(t, heading > 0 && at > heading)
	assert.Equal(t, 1, strings.Count(page[heading:at], "</h3>"), "right below it")

	asked, said, next := strings.Index(page, `class="note predict"`), strings.Index(page, "<p>e</p>"), strings.Index(page, `<h2 id="the-articles-way"`)
	assert.True(t, asked > 0 && said > asked && next > said, "at the end of the section: %d %d %d", asked, said, next)

	own, err := b.RenderOwn("studio/own.html", "A <b>", "<h1>Own</h1>", Extra{})
	require.NoError(t, err)
	assert.Contains(t, string(own), "A &lt;b&gt;")
	assert.Contains(t, string(own), `href="../index.html"`)
}
