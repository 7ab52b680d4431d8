package lesson

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table))

// Parse reads a lesson's text. It fails on a region that has no end, since what
// belongs to it cannot be told then.
func Parse(path, content string) (*Lesson, error) {
	content = strings.ReplaceAll(content, "\r\n", "\n")
	top := &Section{Line: 1}
	p := &parsing{
		Lesson:  &Lesson{Path: path, Text: content, Sections: []*Section{top}},
		source:  []byte(content),
		section: top,
		lines:   lineStarts(content),
		named:   make(map[string]int),
	}
	tree := markdown.Parser().Parse(text.NewReader(p.source))
	p.findBlocks(tree)
	if err := p.findRegions(); err != nil {
		return nil, err
	}
	return p.Lesson, ast.Walk(tree, p.visit)
}

// parsing is a lesson while it is read.
type parsing struct {
	*Lesson
	source  []byte
	section *Section
	lead    Paragraph // the last paragraph of the section
	lines   []int     // where each line begins, by bytes
	named   map[string]int
	blocks  map[ast.Node]*Block
}

// findBlocks cuts out the fenced code first: what looks like a region or an
// anchor in there is none.
func (p *parsing) findBlocks(tree ast.Node) {
	p.blocks = make(map[ast.Node]*Block)
	ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if code, ok := n.(*ast.FencedCodeBlock); ok && entering {
			block := p.cut(code)
			p.Blocks = append(p.Blocks, block)
			p.blocks[n] = block
		}
		return ast.WalkContinue, nil
	})
}

// cut finds the place of a block's body in the text: from the line after its
// backquotes to that which closes it.
func (p *parsing) cut(code *ast.FencedCodeBlock) *Block {
	b := &Block{Line: p.line(code.Pos())}
	if code.Info != nil {
		b.Info = string(code.Info.Value(p.source))
		b.Words = strings.Fields(b.Info)
	}
	fence := p.textOf(b.Line)
	b.indent = fence[:len(fence)-len(strings.TrimLeft(fence, " "))]
	for i := range code.Lines().Len() {
		line := code.Lines().At(i)
		b.Body += string(line.Value(p.source))
	}
	b.begin = p.lines[b.Line]
	b.end = p.lines[b.Line+code.Lines().Len()]
	return b
}

var (
	regionBegin = regexp.MustCompile(`^<!-- (\w+( [\w./-]+)*) -->$`)
	anchor      = regexp.MustCompile(`<[a-z]+ (?:id|name)="([^"]+)"`)
)

// findRegions finds regions and anchors, which Markdown knows nothing of.
func (p *parsing) findRegions() error {
	inCode := make(map[int]bool)
	for _, b := range p.Blocks {
		for n := b.Line; n <= p.line(b.end); n++ {
			inCode[n] = true
		}
	}
	var open *Region
	for n := 1; n < len(p.lines); n++ {
		if inCode[n] {
			continue
		}
		line := p.textOf(n)
		for _, match := range anchor.FindAllStringSubmatch(line, -1) {
			p.Anchors = append(p.Anchors, match[1])
		}
		match := regionBegin.FindStringSubmatch(line)
		switch {
		case match == nil:
		case match[1] != "end":
			if open != nil {
				return p.unended(open)
			}
			open = &Region{Words: strings.Fields(match[1]), Line: n, begin: p.lines[n]}
		case open == nil:
			return fmt.Errorf("%s:%d: <!-- end --> ends nothing", p.Path, n)
		default:
			open.end, open.Last = p.lines[n-1], n
			open.Body = p.Text[open.begin:open.end]
			p.Regions = append(p.Regions, open)
			open = nil
		}
	}
	if open != nil {
		return p.unended(open)
	}
	return nil
}

func (p *parsing) unended(r *Region) error {
	return fmt.Errorf("%s:%d: no <!-- end --> for <!-- %s -->", p.Path, r.Line, strings.Join(r.Words, " "))
}

func (p *parsing) visit(n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	p.addSentences(n)
	switch n := n.(type) {
	case *ast.Heading:
		p.addSection(n)
	case *ast.Paragraph, *ast.TextBlock:
		p.addParagraph(n)
	case *ast.FencedCodeBlock:
		b := p.blocks[n]
		b.Section, b.Lead = p.section, p.lead
	case *ast.Link:
		p.Links = append(p.Links, Link{string(n.Destination), p.lineOf(n)})
	case *ast.Image:
		p.Links = append(p.Links, Link{string(n.Destination), p.lineOf(n)})
	case *ast.CodeSpan:
		p.Spans = append(p.Spans, Span{Plain(n, p.source), p.lineOf(n)})
	case *ast.Emphasis:
		if n.Level == 2 {
			p.Bold = append(p.Bold, Span{Plain(n, p.source), p.lineOf(n)})
		}
	case *extast.Table:
		p.addTable(n)
	}
	return ast.WalkContinue, nil
}

func (p *parsing) addSection(n *ast.Heading) {
	s := &Section{Level: n.Level, Title: Plain(n, p.source), Line: p.lineOf(n)}
	parent := p.section
	for parent != nil && parent.Level >= s.Level {
		parent = parent.Parent
	}
	s.Parent = parent
	p.section, p.lead = s, Paragraph{}
	p.Sections = append(p.Sections, s)

	name := Anchor(s.Title)
	if n := p.named[name]; n > 0 {
		p.Anchors = append(p.Anchors, fmt.Sprintf("%s-%d", name, n))
	} else {
		p.Anchors = append(p.Anchors, name)
	}
	p.named[name]++
}

var minutes = regexp.MustCompile(`^Time: (\d+) minutes\b`)

func (p *parsing) addParagraph(n ast.Node) {
	para := Paragraph{Line: p.lineOf(n), Text: Plain(n, p.source), Section: p.section}
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.CodeSpan:
			para.Spans = append(para.Spans, Plain(n, p.source))
		case *ast.Emphasis:
			if n.Level == 2 {
				para.Bold = append(para.Bold, Plain(n, p.source))
			}
		}
		return ast.WalkContinue, nil
	})
	p.lead = para
	p.Prose = append(p.Prose, para)
	if match := minutes.FindStringSubmatch(para.Text); match != nil {
		p.section.Minutes, _ = strconv.Atoi(match[1])
		p.section.Time = para.Line
	}
	if p.RegionAt(para.Line) == nil {
		p.section.Words += countWords(para.Text)
	}
}

func (p *parsing) addTable(n *extast.Table) {
	t := &Table{Line: p.lineOf(n), Section: p.section}
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		var cells []string
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			cells = append(cells, Plain(cell, p.source))
		}
		if row.Kind() == extast.KindTableHeader {
			t.Header = cells
		} else {
			t.Rows = append(t.Rows, cells)
		}
	}
	p.Tables = append(p.Tables, t)
}

// line returns the number of the line that the byte at pos is on, from 1.
func (p *parsing) line(pos int) int {
	n := 1
	for n < len(p.lines) && p.lines[n] <= pos {
		n++
	}
	return n
}

// lineOf returns the line on which a node begins: where it stands, or its first
// piece of text.
func (p *parsing) lineOf(n ast.Node) int {
	pos := -1
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if n.Type() == ast.TypeBlock && n.Lines().Len() > 0 {
			pos = n.Lines().At(0).Start
		} else if text, ok := n.(*ast.Text); ok {
			pos = text.Segment.Start
		}
		if pos >= 0 {
			return ast.WalkStop, nil
		}
		return ast.WalkContinue, nil
	})
	if pos < 0 {
		pos = max(n.Pos(), 0)
	}
	return p.line(pos)
}

// textOf returns line n without its newline.
func (p *parsing) textOf(n int) string {
	end := len(p.Text)
	if n < len(p.lines) {
		end = p.lines[n]
	}
	return strings.TrimSuffix(p.Text[p.lines[n-1]:end], "\n")
}

// lineStarts returns where each line of s begins, and where the last one ends.
func lineStarts(s string) []int {
	starts := []int{0}
	for i := range len(s) {
		if s[i] == '\n' {
			starts = append(starts, i+1)
		}
	}
	if starts[len(starts)-1] != len(s) {
		starts = append(starts, len(s))
	}
	return starts
}

// Plain returns a node's text without its markup.
func Plain(n ast.Node, source []byte) string {
	var b strings.Builder
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if text, ok := n.(*ast.Text); ok && entering {
			b.Write(text.Segment.Value(source))
			if text.SoftLineBreak() || text.HardLineBreak() {
				b.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return strings.Join(strings.Fields(b.String()), " ")
}

// Anchor returns what GitHub lets a link to a heading call it.
func Anchor(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// countWords counts what has a letter or a digit in it.
func countWords(s string) int {
	n := 0
	for _, word := range strings.Fields(s) {
		if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }) {
			n++
		}
	}
	return n
}
