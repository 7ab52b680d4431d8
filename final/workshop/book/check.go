package book

import (
	"bytes"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// A Problem is something wrong with a page of the book.
type Problem struct {
	Source string // the file of the course that the page is made from, or the page's own path
	Text   string
}

// Check makes all pages, and returns what is wrong with them: pages that cannot be made,
// links that lead nowhere, and HTML whose elements end in the wrong place.
func (b *Book) Check() ([]Problem, error) {
	files, err := assetFiles()
	if err != nil {
		return nil, err
	}
	var problems []Problem
	for _, p := range b.Pages {
		r, err := b.Render(p)
		if err != nil {
			problems = append(problems, Problem{b.origin(p.Path), fmt.Sprintf("no page for the book: %v", err)})
			continue
		}
		files[p.Path] = r.HTML
	}
	if problems != nil {
		return problems, nil // the links to these pages would be wrong, too
	}
	return b.problems(files), nil
}

// problems returns what is wrong with the pages among the book's files.
func (b *Book) problems(files map[string][]byte) []Problem {
	pages := lookAt(files)
	var problems []Problem
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		add := func(format string, args ...any) {
			problems = append(problems, Problem{b.origin(name), "in the book, " + name + ": " + fmt.Sprintf(format, args...)})
		}
		p := pages[name]
		for _, id := range p.twice {
			add("several elements have the id %s", id)
		}
		for _, link := range p.links {
			if wrong := wrongLink(files, pages, name, link); wrong != "" {
				add("the link to %s: %s", link, wrong)
			}
		}
		if wrong := wrongNesting(string(files[name])); wrong != "" {
			add("%s", wrong)
		}
		if !utf8.Valid(files[name]) {
			add("not UTF-8")
		}
	}
	return problems
}

// origin returns the file that the page at a path of the book is made from.
func (b *Book) origin(name string) string {
	i := slices.IndexFunc(b.Pages, func(p *Page) bool { return p.Path == name })
	if i < 0 || b.Pages[i].Source == "" {
		return name
	}
	return b.Pages[i].Source
}

// lookAt looks at all pages among files.
func lookAt(files map[string][]byte) map[string]seen {
	pages := map[string]seen{}
	for name, data := range files {
		if path.Ext(name) == ".html" {
			pages[name] = look(data)
		}
	}
	return pages
}

// A seen page is what the check wants to know of one.
type seen struct {
	ids   map[string]bool
	twice []string // ids
	links []string
	loads []string // other files that the browser reads
}

// look reads the elements of a page.
func look(page []byte) seen {
	p := seen{ids: map[string]bool{}}
	for z := html.NewTokenizer(bytes.NewReader(page)); z.Next() != html.ErrorToken; {
		name, more := z.TagName()
		isLink := string(name) == "a"
		for more {
			var key, value []byte
			key, value, more = z.TagAttr()
			p.attribute(isLink, string(key), string(value))
		}
	}
	return p
}

func (p *seen) attribute(isLink bool, key, value string) {
	switch {
	case key == "id":
		if p.ids[value] {
			p.twice = append(p.twice, value)
		}
		p.ids[value] = true
	case key == "href" && isLink:
		p.links = append(p.links, value)
	case key == "href" || key == "src":
		p.loads = append(p.loads, value)
	}
}

// wrongLink says what is wrong with a link of a page; "" if nothing is.
func wrongLink(files map[string][]byte, pages map[string]seen, name, link string) string {
	to, err := url.Parse(link)
	switch {
	case err != nil:
		return err.Error()
	case to.Scheme == "https" || to.Scheme == "http":
		return ""
	case to.Scheme != "":
		return "it leads out of the book"
	}
	target := name
	if to.Path != "" {
		target = path.Join(path.Dir(name), to.Path)
	}
	if files[target] == nil {
		return "there is no such file"
	}
	if to.Fragment != "" && !pages[target].ids[to.Fragment] {
		return "there is no such place"
	}
	return ""
}

// void are elements without an end.
var void = setOf("br", "hr", "img", "input", "link", "meta")

// blocks may not be inside of a paragraph.
var blocks = setOf("p", "div", "figure", "pre", "table", "ul", "ol", "details", "h1", "h2", "h3", "h4", "blockquote", "nav")

// wrongNesting returns the first element of a page that is where it must not be; "" if
// there is none.
func wrongNesting(page string) string {
	var open []string
	within := func(name string) bool {
		for _, o := range open {
			if o == name {
				return true
			}
		}
		return false
	}
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			return strings.Join(open, " ") // nothing, if all is closed
		case html.StartTagToken:
			name, _ := z.TagName()
			tag := string(name)
			switch {
			case within("p") && blocks[tag], within("a") && tag == "a", within("button") && tag == "a", within("pre") && blocks[tag]:
				return "<" + tag + "> within " + strings.Join(open, " ")
			case tag == "li" && open[len(open)-1] != "ul" && open[len(open)-1] != "ol", tag == "summary" && open[len(open)-1] != "details":
				return "<" + tag + "> within " + strings.Join(open, " ")
			case !void[tag]:
				open = append(open, tag)
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				return "</" + string(name) + "> within " + strings.Join(open, " ")
			}
			open = open[:len(open)-1]
		}
	}
}
