package verify

import (
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// checkCode holds quoted code to the code.
func (c *Course) checkCode(p *Page, f *Findings) error {
	for _, b := range p.Blocks {
		c.checkBlock(p, b, f)
	}
	return nil
}

// languages are what a lesson's block can begin with.
var languages = []string{"go", "diff", "console", "text", "mermaid", "powershell"}

func (c *Course) checkBlock(p *Page, b *lesson.Block, f *Findings) {
	switch {
	case isQuote(b):
		c.checkQuote(p, b, f)
	case isBridge(b):
		f.checkLead(p, b, bridgeLabel(b), b.Word(2))
	case !p.IsTold():
	case isBreak(b):
		body, err := c.besideBreak(p, b)
		if err != nil {
			return // the check break says more
		}
		if line, ok := sameText(body, b.Body); !ok {
			f.page(p, b.Line+line, "a change stands between three lines of its declaration: run go tool workshop sync %s", p.Path)
		}
	case !slices.Contains(languages, b.Word(0)):
		f.page(p, b.Line, "a block begins with what it is: one of %s", strings.Join(languages, ", "))
	case b.Word(0) == "go" || b.Word(0) == "diff" && b.Word(1) == "":
		f.page(p, b.Line, "%s without a source: name label, file and declaration, as in ```%[1]s type rpc/server.go Server", b.Word(0))
	}
}

func (c *Course) checkQuote(p *Page, b *lesson.Block, f *Findings) {
	q, err := c.quote(p, b)
	if err != nil {
		f.page(p, b.Line, "%v", err)
		return
	}
	if line, ok := sameText(q.body, b.Body); !ok {
		f.page(p, b.Line+line, "not as it is in %s: run go tool workshop sync %s", q.file.name, p.Path)
	}
	f.checkLead(p, b, b.Word(1), q.file.name)
}

// checkLead checks that the paragraph before a block says what its first line does:
// a page does not show that.
func (f *Findings) checkLead(p *Page, b *lesson.Block, label, file string) {
	if !slices.ContainsFunc(b.Lead.Bold, func(bold string) bool { return hasWord(bold, label) }) {
		f.page(p, b.Line, "the paragraph before the block does not say **%s%s**", strings.ToUpper(label[:1]), label[1:])
	}
	if !slices.ContainsFunc(b.Lead.Spans, func(span string) bool { return namesFile(span, file) }) {
		f.page(p, b.Line, "the paragraph before the block does not name `%s`", file)
	}
}

// sameText compares texts but for spaces at the ends of lines, which editors
// take away, and returns the number of the first line that differs.
func sameText(a, b string) (line int, ok bool) {
	as, bs := strings.Split(strings.TrimRight(a, "\n"), "\n"), strings.Split(strings.TrimRight(b, "\n"), "\n")
	for i := range max(len(as), len(bs)) {
		if i >= len(as) || i >= len(bs) || strings.TrimRight(as[i], " ") != strings.TrimRight(bs[i], " ") {
			return i + 1, false
		}
	}
	return 0, true
}

func hasWord(text, word string) bool {
	return slices.ContainsFunc(strings.Fields(text), func(w string) bool {
		return strings.EqualFold(strings.Trim(w, ".,:;"), word)
	})
}

// namesFile reports whether a word in code type is a file's name, or the end of
// it, or has it as its end.
func namesFile(span, file string) bool {
	return strings.HasSuffix("/"+span, "/"+file) || strings.Contains(span, ".") && strings.HasSuffix("/"+file, "/"+span)
}
