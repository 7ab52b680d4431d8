package book

import (
	"fmt"
	"html"
	"io"
	"path"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// A block is fenced code and what its first line says.
type block struct {
	words []string
	body  string
}

// word returns the block's i'th word, or "".
func (b block) word(i int) string {
	if i >= len(b.words) {
		return ""
	}
	return b.words[i]
}

func (w *writing) fenced(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkSkipChildren, nil
	}
	n := node.(*ast.FencedCodeBlock)
	b := block{body: bodyOf(n, source)}
	if n.Info != nil {
		b.words = strings.Fields(string(n.Info.Value(source)))
	}
	switch b.word(0) {
	case "mermaid":
		w.diagram(out, b.body)
	case "console":
		w.say(b.body)
		w.code(out, b, highlightConsole(b.body))
	case "go":
		w.code(out, b, highlightGo(b.body))
	case "diff":
		w.code(out, b, highlightDiff(b.body))
	case "text":
		w.textBlock(out, b)
	default:
		w.code(out, b, highlightPlain(b.body))
	}
	return ast.WalkSkipChildren, nil
}

func bodyOf(n ast.Node, source []byte) string {
	var body strings.Builder
	for i := range n.Lines().Len() {
		line := n.Lines().At(i)
		body.Write(line.Value(source))
	}
	return body.String()
}

// textBlock writes a block without a language: if it quotes a capture, the bytes and
// their fields come with it.
func (w *writing) textBlock(out util.BufWriter, b block) {
	if path.Ext(b.word(1)) == ".diff" {
		w.code(out, b, highlightDiff(b.body))
		return
	}
	w.say(b.body)
	if !strings.Contains(b.word(1), captures) {
		w.code(out, b, highlightPlain(b.body))
		return
	}
	w.code(out, b, highlightCapture(b.body))
	w.capture(out, b.body)
}

func (w *writing) indented(out util.BufWriter, source []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		body := bodyOf(n, source)
		w.say(body)
		w.code(out, block{body: body}, highlightPlain(body))
	}
	return ast.WalkSkipChildren, nil
}

// labels say what the reader does with a block, in place of its first line.
var labels = map[string]string{
	"type": "type", "read": "read", "signature": "signature", "bridge": "type for now", "break": "break it", "cure": "a fix",
	"red": "in your folder: red", "solved": "in your folder: solved", "stays": "keeps running", "wrong": "a wrong variant", "right": "another right way",
}

// code writes a block in its frame: what it is, where it comes from, its lines.
func (w *writing) code(out util.BufWriter, b block, code lines) {
	kind := b.word(0)
	switch kind {
	case "", "text", "powershell":
		kind = "plain"
	}
	fmt.Fprintf(out, `<figure class="code %s">`, kind)
	w.caption(out, b)
	class := ""
	if kind == "diff" {
		class = ` class="marked"`
	}
	fmt.Fprintf(out, `<pre tabindex="0"%s><code>`, class)
	for _, line := range code {
		out.WriteString(line + "\n")
	}
	out.WriteString("</code></pre></figure>\n")
}

// caption writes what a block quotes, and what the reader does with it.
func (w *writing) caption(out util.BufWriter, b block) {
	label := labels[b.word(1)]
	file, at := b.file()
	if label == "" && file == "" {
		return
	}
	out.WriteString("<figcaption>")
	if file != "" {
		w.quotes(out, file, b.words[at+1:])
	}
	if label != "" {
		fmt.Fprintf(out, ` <span class="label">%s</span>`, label)
	}
	out.WriteString("</figcaption>")
}

// file returns the file that a block's first line names, and which of its words that is;
// "" if it names none.
func (b block) file() (name string, at int) {
	for i, word := range b.words {
		if i > 0 && (strings.Contains(word, "/") || path.Ext(word) == ".go") {
			return word, i
		}
	}
	return "", 0
}

// quotes writes the name of the file that a block is about, and those of the
// declarations that it quotes. Those that the book shows are links. Tests that turn red
// are left out: the lesson asks for them.
func (w *writing) quotes(out util.BufWriter, file string, names []string) {
	shown := html.EscapeString(strings.TrimLeft(file, "./"))
	target := w.quoted(file)
	if target == nil {
		fmt.Fprintf(out, `<span class="name">%s</span>`, shown)
		return
	}
	to := html.EscapeString(rel(w.page.Path, target.Path))
	fmt.Fprintf(out, `<a class="name" href="%s">%s</a>`, to, shown)
	decls := w.book.anchors(target)
	for _, name := range names {
		if decls[name] > 0 {
			fmt.Fprintf(out, ` <a class="name" href="%s#%s">%[2]s</a>`, to, html.EscapeString(name))
		}
	}
}

// quoted returns the page of the file that a block's first line names; nil if the
// file is none that the book shows.
func (w *writing) quoted(word string) *Page {
	if name, ok := strings.CutPrefix(word, "/"); ok {
		return w.book.sources[name]
	}
	if station, name, ok := strings.Cut(word, ":"); ok {
		s, err := course.Find(station)
		if err != nil {
			return nil
		}
		return w.book.sourceOf(s, name)
	}
	if s := w.page.Station; s != nil {
		if strings.HasPrefix(word, "..") {
			return w.book.sources[path.Join(s.Step, word)]
		}
		return w.book.sourceOf(*s, word)
	}
	return w.book.sources[path.Join(path.Dir(w.page.Source), word)]
}

var (
	comments = regexp.MustCompile(`(?s)<!--.*?-->\n?`)
	tags     = regexp.MustCompile(`</?([a-z]+)[^>]*>`)
	region   = regexp.MustCompile(`<!-- (changed \w+|seams|steps|end)\b.*?-->`)
)

// htmlBlock writes the folds of a page. Comments are for checks, and readers do not
// see them; where some begin, the book adds what it knows.
func (w *writing) htmlBlock(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.HTMLBlock)
	if !entering {
		return ast.WalkSkipChildren, nil
	}
	text := bodyOf(n, source)
	if n.HasClosure() {
		text += string(n.ClosureLine.Value(source))
	}
	for _, m := range region.FindAllStringSubmatch(text, -1) {
		w.region(out, m[1])
	}
	w.allowed(text)
	out.WriteString(comments.ReplaceAllString(text, ""))
	return ast.WalkSkipChildren, nil
}

func (w *writing) rawHTML(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		n := node.(*ast.RawHTML)
		var text string
		for i := range n.Segments.Len() {
			segment := n.Segments.At(i)
			text += string(segment.Value(source))
		}
		w.allowed(text)
		out.WriteString(comments.ReplaceAllString(text, ""))
	}
	return ast.WalkSkipChildren, nil
}

// allowed fails on HTML that the book's style does not know.
func (w *writing) allowed(text string) {
	for _, m := range tags.FindAllStringSubmatch(comments.ReplaceAllString(text, ""), -1) {
		switch m[1] {
		case "details", "summary", "a", "code":
		default:
			w.fail("the tag %s: the book knows details and summary alone", m[0])
		}
	}
}

// region adds what the book shows beside a part of the page that sync writes.
func (w *writing) region(out util.BufWriter, what string) {
	switch {
	case what == "seams":
		w.seams = true
	case what == "steps" && w.page.Kind == Home:
		w.folded = true
		io.WriteString(out, "<details><summary>The stations as a table, with what each adds and changes</summary>\n")
	case what == "end":
		w.seams = false
		if w.folded {
			w.folded = false
			io.WriteString(out, "</details>\n")
		}
		if name := w.changed; name != "" {
			w.changed = ""
			w.stepDiff(out, name)
		}
	default:
		if name, ok := strings.CutPrefix(what, "changed "); ok {
			w.changed = name
		}
	}
}
