package lesson

import (
	"bytes"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
)

// A Sentence is one sentence of a page, without its markup.
type Sentence struct {
	Text  string
	Said  string // Text with a … in the place of each byte in code type
	Line  int
	Words int
	Part  Part
}

// A Part says where a sentence is.
type Part int

const (
	InProse   Part = iota // a paragraph or an item of a list
	InTable               // a table's cell
	InHeading             // a heading, which is one sentence
)

// partOf returns the part whose sentences a node holds; ok is false if it holds
// none itself.
func partOf(n ast.Node) (part Part, ok bool) {
	switch n.(type) {
	case *ast.Paragraph, *ast.TextBlock:
		return InProse, true
	case *extast.TableCell:
		return InTable, true
	case *ast.Heading:
		return InHeading, true
	}
	return 0, false
}

// addSentences adds those of a node that holds text.
func (p *parsing) addSentences(n ast.Node) {
	part, ok := partOf(n)
	if !ok {
		return
	}
	f := p.flatten(n)
	for begin := 0; begin < len(f.text); {
		end := len(f.text)
		if part != InHeading {
			end = f.endOf(begin)
		}
		text := strings.Join(strings.Fields(string(f.text[begin:end])), " ")
		if words := countWords(text); words > 0 {
			first := begin + bytes.IndexFunc(f.text[begin:end], func(r rune) bool { return !unicode.IsSpace(r) })
			p.Sentences = append(p.Sentences, Sentence{text, f.said(begin, end), p.line(f.pos[first]), words, part})
		}
		begin = end
	}
}

// flat is a node's text without its markup.
type flat struct {
	text []byte
	pos  []int  // where each byte is in the page
	code []bool // whether it is in code type, where a full stop ends nothing
}

func (p *parsing) flatten(n ast.Node) *flat {
	f := &flat{}
	ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		text, ok := n.(*ast.Text)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		_, code := text.Parent().(*ast.CodeSpan)
		value := text.Segment.Value(p.source)
		if text.SoftLineBreak() || text.HardLineBreak() {
			value = append(slices.Clone(value), ' ')
		}
		for i, b := range value {
			f.text = append(f.text, b)
			f.pos = append(f.pos, text.Segment.Start+i)
			f.code = append(f.code, code)
		}
		return ast.WalkContinue, nil
	})
	return f
}

func (f *flat) said(begin, end int) string {
	var b strings.Builder
	for i := begin; i < end; i++ {
		if f.code[i] {
			b.WriteRune('…')
		} else {
			b.WriteByte(f.text[i])
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// endOf returns where the sentence that starts at begin ends: behind the mark, and
// the quotes and parentheses that it closes.
func (f *flat) endOf(begin int) int {
	for i := begin; i < len(f.text); i++ {
		if f.code[i] || !strings.ContainsRune(".?!", rune(f.text[i])) {
			continue
		}
		end := i + 1
		for end < len(f.text) && strings.ContainsRune(".?!\"')", rune(f.text[end])) && !f.code[end] {
			end++
		}
		if f.startsAt(end) && !shortened(f.text[begin:i+1]) {
			return end
		}
	}
	return len(f.text)
}

// startsAt reports whether what follows the mark before at is another sentence:
// a space, and no small letter, unless in code type.
func (f *flat) startsAt(at int) bool {
	next := at
	for next < len(f.text) && f.text[next] == ' ' {
		next++
	}
	if next == at || next == len(f.text) {
		return next == len(f.text)
	}
	r, _ := utf8.DecodeRune(f.text[next:])
	return f.code[next] || !unicode.IsLower(r)
}

// shortened reports whether text ends with an abbreviation.
func shortened(text []byte) bool {
	for _, word := range []string{"e.g.", "i.e.", "vs.", "cf."} {
		if bytes.HasSuffix(text, []byte(word)) {
			return true
		}
	}
	return false
}
