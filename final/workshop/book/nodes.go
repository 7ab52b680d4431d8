package book

import (
	"fmt"
	"html"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/util"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

func (w *writing) heading(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Heading)
	w.titled = entering
	if !entering {
		w.quiet--
		id, _ := n.AttributeString("id")
		fmt.Fprintf(out, ` <a class="permalink" href="#%s" aria-label="Link to this section">#</a></h%d>`+"\n", id, w.level)
		if w.page.Source == instructorPage {
			out.WriteString(w.slidesOf(w.where))
		}
		return ast.WalkContinue, nil
	}
	w.quiet++
	w.level = min(n.Level, w.level+1) // a page that skips a level would confuse those who hear it
	title := w.page.doc.plain(n)
	id := w.nameOf(title)
	n.SetAttributeString("id", id)
	if w.level == 2 || w.level == 3 {
		w.toc = append(w.toc, tocItem{Level: w.level, ID: id, Text: title})
	}
	if w.level > 1 {
		w.sections = append(w.sections, section{id: id, heading: title})
	}
	w.where = title
	fmt.Fprintf(out, `<h%d id="%s">`, w.level, id)
	return ast.WalkContinue, nil
}

// nameOf returns the anchor of a heading, as GitHub names it.
func (w *writing) nameOf(title string) string {
	name := lesson.Anchor(title)
	n := w.named[name]
	w.named[name]++
	if n > 0 {
		name = fmt.Sprintf("%s-%d", name, n)
	}
	return name
}

// say adds text to what the search knows of the section.
func (w *writing) say(text string) {
	if w.titled {
		return // the search has headings beside the text
	}
	last := &w.sections[len(w.sections)-1]
	last.text += text
}

func (w *writing) link(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.Link)
	if !entering {
		w.quiet--
		out.WriteString("</a>" + w.foot(string(n.Destination)))
		return ast.WalkContinue, nil
	}
	w.quiet++
	to := w.href(string(n.Destination), w.page.doc.plain(n))
	class := ""
	if leaves(to) {
		class = ` class="out" rel="noreferrer"`
	}
	fmt.Fprintf(out, `<a href="%s"%s>`, html.EscapeString(to), class)
	return ast.WalkContinue, nil
}

// leaves reports whether a link leads out of the course.
func leaves(link string) bool { return strings.HasPrefix(link, "http") }

// foot returns the number of a link's footnote, which paper has in place of the link.
func (w *writing) foot(link string) string {
	if !w.footed || !leaves(link) {
		return ""
	}
	at := slices.Index(w.feet, link)
	if at < 0 {
		at = len(w.feet)
		w.feet = append(w.feet, link)
	}
	return fmt.Sprintf(`<sup class="foot">%d</sup>`, at+1)
}

// footnotes returns the addresses to which the page's links lead.
func (w *writing) footnotes() string {
	if len(w.feet) == 0 {
		return ""
	}
	var out strings.Builder
	out.WriteString("<ol class=\"foot\">\n")
	for _, link := range w.feet {
		fmt.Fprintf(&out, "<li>%s</li>\n", html.EscapeString(link))
	}
	return out.String() + "</ol>\n"
}

// href returns the link in the book for one in the course.
func (w *writing) href(link, text string) string {
	name, anchor, ok := w.page.resolve(link)
	if !ok {
		return link
	}
	target := w.book.target(name)
	if target == nil {
		w.fail("no page for the link to %s", link)
		return link
	}
	to := rel(w.page.Path, target.Path)
	if anchor == "" && name == glossaryPage {
		anchor = w.book.terms.anchorOf(text)
	}
	if anchor != "" {
		to += "#" + anchor
	}
	return to
}

func (w *writing) image(_ util.BufWriter, _ []byte, node ast.Node, _ bool) (ast.WalkStatus, error) {
	w.fail("the image %s: the book has no images yet", node.(*ast.Image).Destination)
	return ast.WalkSkipChildren, nil
}

// codeSpan writes a word in code type. If it names a file of the page's station, it
// is a link to it, unless the reader's own file is meant.
func (w *writing) codeSpan(out util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	word := w.page.doc.plain(n)
	w.say(word)
	code := "<code>" + html.EscapeString(word) + "</code>"
	if at := w.book.captured[word]; at.page != "" && w.quiet == 0 && w.page.Station == nil && strings.Contains(word, ": ") {
		code = `<a class="file" href="` + rel(w.page.Path, at.page) + "#" + at.id + `">` + code + `</a>`
	}
	if to := w.book.diffNamed(word); to != nil && w.page.Kind == Home {
		code = `<a href="` + rel(w.page.Path, to.Path) + `">` + code + `</a>`
	}
	if target := w.fileNamed(word); target != nil && w.quiet == 0 && !w.readersOwn(n) {
		code = `<a class="file" href="` + rel(w.page.Path, target.Path) + `">` + code + `</a>`
	}
	out.WriteString(code)
	return ast.WalkSkipChildren, nil
}

var (
	sentence = regexp.MustCompile(`[.:?!]\)?\s+`)
	ownFile  = regexp.MustCompile(`^(Write|Change|Type|Add|Set|Delete|Take|You get|Your|Are the functions|The stub) |, (change|delete) |\b(signature|new file|stub|adds)\b`)
)

// readersOwn reports whether a sentence about a file means the one in the reader's folder:
// a link would show our solution before the reader has written one.
func (w *writing) readersOwn(n ast.Node) bool {
	if w.page.Station == nil {
		return false
	}
	before := ""
	for p := n.PreviousSibling(); p != nil; p = p.PreviousSibling() {
		before = w.plainOf(p) + before
	}
	all := sentence.Split(before, -1)
	return w.seams || ownFile.MatchString(all[len(all)-1])
}

// plainOf returns the text of a part of a sentence. Code in it ends no sentence.
func (w *writing) plainOf(n ast.Node) string {
	t, isText := n.(*ast.Text)
	switch {
	case isText && (t.SoftLineBreak() || t.HardLineBreak()):
		return string(t.Segment.Value(w.page.doc.source)) + " "
	case isText:
		return string(t.Segment.Value(w.page.doc.source))
	case n.Kind() == ast.KindCodeSpan:
		return "code"
	}
	return w.page.doc.plain(n)
}

// inherited is the heading over the files that a step begins with: those of the station
// before its first.
const inherited = "The code you inherit"

// fileNamed returns the page of a file that a page names in code type.
func (w *writing) fileNamed(word string) *Page {
	if path.Ext(word) == "" || !strings.Contains(word, "/") || strings.ContainsAny(word, " *…") {
		return nil
	}
	if s := w.page.Station; s != nil {
		if before, ok := course.OfStep(s.Step)[0].Previous(); ok && w.where == inherited {
			return w.book.sourceOf(before, word)
		}
		if p := w.book.sourceOf(*s, word); p != nil {
			return p
		}
		if p := w.book.target(path.Join(s.Step, word)); p != nil && strings.HasPrefix(word, "../") {
			return p
		}
		return w.book.sources[word]
	}
	for _, name := range []string{path.Join(path.Dir(w.page.Source), word), word} {
		if p := w.book.sources[name]; p != nil {
			return p
		}
	}
	return nil
}

func (w *writing) text(out util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.Text)
	value := string(util.UnescapePunctuations(n.Segment.Value(source)))
	w.say(value)
	if start := n.Segment.Start; w.quiet == 0 && (start == 0 || source[start] != '_' && source[start-1] != '_') {
		w.explain(out, value)
	} else {
		out.WriteString(html.EscapeString(value))
	}
	if n.SoftLineBreak() || n.HardLineBreak() {
		w.say(" ")
		out.WriteString("\n")
	}
	return ast.WalkContinue, nil
}

func (w *writing) paragraph(out util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	w.say(" ")
	class, hasClass := n.AttributeString("class")
	switch {
	case w.asked(n):
		return ast.WalkSkipChildren, nil
	case !entering:
		out.WriteString("</p>\n")
		if hasClass {
			out.WriteString(w.book.lessonBar(w.page))
		}
	case hasClass:
		fmt.Fprintf(out, `<p class="%s">`, class)
	default:
		out.WriteString("<p>")
	}
	return ast.WalkContinue, nil
}

// tight writes the text of an item in a list without paragraphs.
func (w *writing) tight(out util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	w.say(" ")
	if !entering && n.NextSibling() != nil && n.FirstChild() != nil {
		out.WriteString("\n")
	}
	return ast.WalkContinue, nil
}

func (w *writing) emphasis(out util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	tag := "em"
	if node.(*ast.Emphasis).Level == 2 {
		tag = "strong"
	}
	if entering {
		w.quiet++
		out.WriteString("<" + tag + ">")
	} else {
		w.quiet--
		out.WriteString("</" + tag + ">")
	}
	return ast.WalkContinue, nil
}

// quote writes a note beside the text, such as a question to answer first.
func (w *writing) quote(out util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	class := "note"
	if w.where == "Predict" {
		class = "note predict"
	}
	if entering {
		out.WriteString(`<blockquote class="` + class + `">` + "\n")
	} else {
		out.WriteString("</blockquote>\n")
	}
	return ast.WalkContinue, nil
}
