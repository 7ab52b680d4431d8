package book

import (
	"fmt"
	"go/doc/comment"
	"html"
)

// text writes a doc comment.
func (r *reference) text(text string) {
	for _, block := range r.pkg.Parser().Parse(text).Content {
		r.block(block)
	}
}

// plain returns a doc comment as the page reads, without the brackets of its links.
func (r *reference) plain(text string) string { return string(r.pkg.Text(text)) }

func (r *reference) block(block comment.Block) {
	switch block := block.(type) {
	case *comment.Paragraph:
		r.out.WriteString("<p>")
		r.inline(block.Text)
		r.out.WriteString("</p>\n")
	case *comment.Heading:
		fmt.Fprintf(&r.out, `<h%d id="%s">`, r.level, block.DefaultID())
		r.inline(block.Text)
		fmt.Fprintf(&r.out, "</h%d>\n", r.level)
	case *comment.Code:
		r.out.WriteString(`<figure class="code go"><pre tabindex="0"><code>`)
		for _, line := range highlightGo(block.Text) {
			r.out.WriteString(line + "\n")
		}
		r.out.WriteString("</code></pre></figure>\n")
	case *comment.List:
		r.list(block)
	}
}

func (r *reference) list(list *comment.List) {
	tag := "ul"
	if len(list.Items) > 0 && list.Items[0].Number != "" {
		tag = "ol"
	}
	r.out.WriteString("<" + tag + ">")
	for _, item := range list.Items {
		r.out.WriteString("<li>")
		for _, block := range item.Content {
			r.block(block)
		}
		r.out.WriteString("</li>\n")
	}
	r.out.WriteString("</" + tag + ">\n")
}

func (r *reference) inline(texts []comment.Text) {
	for _, text := range texts {
		switch text := text.(type) {
		case comment.Plain:
			r.out.WriteString(html.EscapeString(string(text)))
		case comment.Italic:
			r.out.WriteString("<em>" + html.EscapeString(string(text)) + "</em>")
		case *comment.Link:
			r.link(text.URL, text.Text)
		case *comment.DocLink:
			r.link(r.docURL(text), text.Text)
		}
	}
}

func (r *reference) link(to string, texts []comment.Text) {
	fmt.Fprintf(&r.out, `<a href="%s">`, html.EscapeString(to))
	r.inline(texts)
	r.out.WriteString("</a>")
}

// docURL returns where a link to a declaration leads: to its place on the page, or, for
// a field, to that of its type.
func (r *reference) docURL(link *comment.DocLink) string {
	switch name := link.Name; {
	case link.ImportPath != "":
		return link.DefaultURL("https://pkg.go.dev")
	case link.Recv != "" && r.known[link.Recv+"."+name]:
		return "#" + link.Recv + "." + name
	case link.Recv != "":
		return "#" + link.Recv
	default:
		return "#" + name
	}
}
