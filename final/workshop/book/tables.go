package book

import (
	"fmt"
	"html"
	"strings"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"
)

// table writes a table into a box of its own, which scrolls where it is too wide.
func (w *writing) table(out util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		fmt.Fprintf(out, `<div class="table" tabindex="0" role="group" aria-label="Table: %s"><table>`+"\n", html.EscapeString(w.where))
		return ast.WalkContinue, nil
	}
	out.WriteString("</table></div>\n")
	return ast.WalkContinue, nil
}

func (w *writing) tableHead(out util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		out.WriteString("<thead><tr>\n")
		return ast.WalkContinue, nil
	}
	out.WriteString("</tr></thead>\n")
	if n.NextSibling() != nil {
		out.WriteString("<tbody>\n")
	}
	return ast.WalkContinue, nil
}

// tableCell writes a cell; one without a text in the head is no heading.
func (w *writing) tableCell(out util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
	tag, attributes := "td", ""
	if n.Parent().Kind() == extast.KindTableHeader && n.ChildCount() > 0 {
		tag, attributes = "th", ` scope="col"`
	}
	if w.isNumbers(n) {
		attributes += ` class="num"`
	}
	if entering {
		if first := n.PreviousSibling() == nil && w.page.Source == glossaryPage && tag == "td"; first {
			name := w.page.doc.plain(n)
			attributes += ` id="` + termID(name) + `"`
			w.sections = append(w.sections, section{id: termID(name), heading: name})
		}
		out.WriteString("<" + tag + attributes + ">")
	} else {
		w.say(w.afterCell(n))
		out.WriteString("</" + tag + ">\n")
	}
	return ast.WalkContinue, nil
}

// afterCell returns what separates a cell from the next in the search. A row of the glossary
// is a term, its step and its meaning: "05: to finish the calls". The term is the heading.
func (w *writing) afterCell(n ast.Node) string {
	before := n.PreviousSibling()
	switch {
	case w.page.Source != glossaryPage || n.Parent().Kind() == extast.KindTableHeader:
	case before == nil:
		w.sections[len(w.sections)-1].text = ""
	case before.PreviousSibling() == nil:
		return ": "
	}
	return " "
}

// isNumbers reports whether all cells of a column have numbers.
func (w *writing) isNumbers(cell ast.Node) bool {
	column := 0
	for n := cell.PreviousSibling(); n != nil; n = n.PreviousSibling() {
		column++
	}
	head := cell.Parent().Parent().FirstChild()
	for row := head.NextSibling(); row != nil; row = row.NextSibling() {
		n := row.FirstChild()
		for i := 0; i < column && n != nil; i++ {
			n = n.NextSibling()
		}
		if n == nil || !isNumber(w.page.doc.plain(n)) {
			return false
		}
	}
	return head.NextSibling() != nil
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.,+-−%×") == ""
}
