package book

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// A document is a page's Markdown, parsed.
type document struct {
	path   string
	source []byte
	tree   ast.Node
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.Table))

// readDocument parses the file at name below root.
func readDocument(root, name string) (*document, error) {
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	return parseDocument(name, strings.ReplaceAll(string(data), "\r\n", "\n")), err
}

func parseDocument(name, content string) *document {
	d := &document{path: name, source: []byte(content)}
	d.tree = markdown.Parser().Parse(text.NewReader(d.source))
	return d
}

// title returns the text of the page's first heading.
func (d *document) title() string {
	for n := d.tree.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok {
			return d.plain(h)
		}
	}
	return path.Base(d.path)
}

// plain returns a node's text without its markup.
func (d *document) plain(n ast.Node) string { return lesson.Plain(n, d.source) }

// links returns the paths below the root that a page links to.
func (p *Page) links() []string {
	if p.doc == nil {
		return nil
	}
	var found []string
	ast.Walk(p.doc.tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		var to string
		switch n := n.(type) {
		case *ast.Link:
			to = string(n.Destination)
		case *ast.Image:
			to = string(n.Destination)
		}
		if name, _, ok := p.resolve(to); ok && entering {
			found = append(found, name)
		}
		return ast.WalkContinue, nil
	})
	return found
}

// resolve returns the path below the root and the anchor that a link of the page
// means; ok is false if it leads out of the course, or to the page itself.
func (p *Page) resolve(link string) (name, anchor string, ok bool) {
	to, err := url.Parse(link)
	if err != nil || to.Scheme != "" || to.Host != "" || to.Path == "" {
		return "", "", false
	}
	return path.Join(path.Dir(p.Source), to.Path), to.Fragment, true
}

// rel returns the link that leads from one file of the book to another.
func rel(from, to string) string {
	dir := strings.Split(path.Dir(from), "/")
	if dir[0] == "." {
		dir = nil
	}
	target := strings.Split(to, "/")
	for len(dir) > 0 && len(target) > 1 && dir[0] == target[0] {
		dir, target = dir[1:], target[1:]
	}
	return strings.Repeat("../", len(dir)) + strings.Join(target, "/")
}
