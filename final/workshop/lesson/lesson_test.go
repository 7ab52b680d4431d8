package lesson

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const page = `# Step 02: JSON

Time: 45 minutes

Some **term** is in [the server](rpc/server.go#x), by ` + "`Server.Serve`" + `.

## Where we stand

**Type** this into
` + "`rpc/server.go`" + `:

` + "```go type rpc/server.go Server" + `
type Server struct{}
` + "```" + `

## Hint

<details><summary>Hint</summary>

` + "```" + `
<!-- not a region -->
` + "```" + `

</details>

<!-- changed 02 -->
old ` + "`Gone`" + ` words
<!-- end -->

- in a list

  ` + "```text a.txt" + `
  one

  two
  ` + "```" + `

| station | minutes |
|---|---|
| 02 | 45 |

### Hint

` + "```console" + `
` + "```" + `
`

func parse(t *testing.T, text string) *Lesson {
	t.Helper()
	l, err := Parse("step02/README.md", text)
	require.NoError(t, err)
	return l
}

func lineOf(text, part string) int {
	return strings.Count(text[:strings.Index(text, part)], "\n") + 1
}

func TestParse_Sections(t *testing.T) {
	l := parse(t, page)
	require.Len(t, l.Sections, 5)
	title, stand, hint, inner := l.Sections[1], l.Sections[2], l.Sections[3], l.Sections[4]
	assert.Equal(t, "Step 02: JSON", title.Title)
	assert.Equal(t, 45, title.Minutes)
	assert.Equal(t, 3, title.Time)
	assert.Equal(t, 3+8, title.Words)
	assert.Equal(t, lineOf(page, "## Where"), stand.Line)
	assert.Same(t, title, stand.Parent)
	assert.Same(t, hint, inner.Parent)
	assert.Equal(t, 3, hint.Words, "code, tables and regions are no prose")
	assert.Equal(t, []string{"step-02-json", "where-we-stand", "hint", "hint-1"}, l.Anchors)
}

func TestParse_Blocks(t *testing.T) {
	l := parse(t, page)
	require.Len(t, l.Blocks, 4)
	b := l.Blocks[0]
	assert.Equal(t, []string{"go", "type", "rpc/server.go", "Server"}, b.Words)
	assert.Equal(t, "type Server struct{}\n", b.Body)
	assert.Equal(t, lineOf(page, "```go type"), b.Line)
	assert.Equal(t, "Where we stand", b.Section.Title)
	assert.Equal(t, Paragraph{b.Line - 3, "Type this into rpc/server.go:", []string{"rpc/server.go"}, []string{"Type"}, b.Section}, b.Lead)

	assert.Empty(t, l.Blocks[1].Info)
	assert.Equal(t, lineOf(page, "<!-- not")-1, l.Blocks[1].Line)
	assert.Zero(t, l.Blocks[1].Lead)
	assert.Equal(t, "one\n\ntwo\n", l.Blocks[2].Body)
	assert.Empty(t, l.Blocks[3].Body)
	assert.Equal(t, lineOf(page, "```console"), l.Blocks[3].Line)
}

func TestParse_TheRest(t *testing.T) {
	l := parse(t, page)
	assert.Equal(t, []Link{{"rpc/server.go#x", 5}}, l.Links)
	assert.Equal(t, Span{"Server.Serve", 5}, l.Spans[0])
	assert.Equal(t, Span{"term", 5}, l.Bold[0])
	assert.Equal(t, Paragraph{3, "Time: 45 minutes", nil, nil, l.Sections[1]}, l.Prose[0])
	require.Len(t, l.Regions, 1)
	r := l.Regions[0]
	assert.Equal(t, []string{"changed", "02"}, r.Words)
	assert.Equal(t, "old `Gone` words\n", r.Body)
	assert.Equal(t, lineOf(page, "<!-- changed"), r.Line)
	assert.Same(t, r, l.RegionAt(r.Line+1))
	assert.Nil(t, l.RegionAt(r.Line+3))
	require.Len(t, l.Tables, 1)
	assert.Equal(t, []string{"station", "minutes"}, l.Tables[0].Header)
	assert.Equal(t, [][]string{{"02", "45"}}, l.Tables[0].Rows)
}

func TestApply(t *testing.T) {
	l := parse(t, page)
	text := l.Apply([]Edit{
		l.Blocks[0].Edit("a\nb"), l.Blocks[2].Edit("x\n\ny\n"), l.Regions[0].Edit(""), l.Blocks[3].Edit("$ new"),
	})
	want := strings.NewReplacer("type Server struct{}", "a\nb", "  one\n\n  two", "  x\n\n  y", "old `Gone` words\n", "",
		"```console\n", "```console\n$ new\n").Replace(page)
	assert.Equal(t, want, text)
	again := parse(t, text)
	assert.Equal(t, "x\n\ny\n", again.Blocks[2].Body)
}

func TestParse_RegionsMustEnd(t *testing.T) {
	for text, want := range map[string]string{
		"<!-- changed 03 -->\n":                      "a.md:1: no <!-- end --> for <!-- changed 03 -->",
		"<!-- steps -->\n\n<!-- changed 03 -->\n":    "a.md:1: no <!-- end --> for <!-- steps -->",
		"text\n\n<!-- end -->\n":                     "a.md:3: <!-- end --> ends nothing",
		"<!-- steps -->\n<!-- end -->\n<!-- end -->": "a.md:3: <!-- end --> ends nothing",
	} {
		_, err := Parse("a.md", text)
		assert.EqualError(t, err, want)
	}
}

func TestParse_Sentences(t *testing.T) {
	l := parse(t, "# One. Two\n\nGo 1.26 is new, e.g. `a. B` here. `c` is\nnext! (Is it?) \"Yes.\" and so on\n\n- item\n\n```\nNo. None.\n```\n\n| a | b |\n|---|---|\n| A cell. Two. | |\n")
	assert.Equal(t, []Sentence{
		{"One. Two", "One. Two", 1, 2, InHeading},
		{"Go 1.26 is new, e.g. a. B here.", "Go 1.26 is new, e.g. ………… here.", 3, 8, InProse},
		{"c is next!", "… is next!", 3, 3, InProse},
		{"(Is it?)", "(Is it?)", 4, 2, InProse},
		{"\"Yes.\" and so on", "\"Yes.\" and so on", 4, 4, InProse},
		{"item", "item", 6, 1, InProse},
		{"a", "a", 12, 1, InTable}, {"b", "b", 12, 1, InTable},
		{"A cell.", "A cell.", 14, 2, InTable}, {"Two.", "Two.", 14, 1, InTable},
	}, l.Sentences)
}
