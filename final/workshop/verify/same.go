package verify

import (
	"path"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// checkSame checks that a declaration that stands in two stations is the same in
// both, unless the lesson of the later names it: a mend goes everywhere.
func (c *Course) checkSame(p *Page, f *Findings) error {
	s := *p.Station
	now, err := c.code(s, s, true)
	if err != nil {
		return err
	}
	before, err := c.before(s, true)
	if err != nil {
		return err
	}
	quoted := c.quotesOf(p, s)
	for d := range now.decls() {
		old := before.twin(d)
		if old == nil || old.Text == d.Text || belongs(d.File) || len(quoted[keyOf(d)]) > 0 || p.names(d) {
			continue
		}
		f.page(p, 0, "%s of %s is not what it was before %s, and the lesson does not name it: make the two the same, or say why it changes",
			d.Name(), d.File, s.Name)
	}
	return nil
}

// belongs reports whether a file is one that each station has of its own.
func belongs(file string) bool {
	return course.IsNaive(file) || path.Base(file) == "limits_test.go"
}

// names reports whether the page's own words name d, in code type.
func (p *Page) names(d *source.Decl) bool {
	for _, span := range p.Spans {
		if p.RegionAt(span.Line) != nil {
			continue // which sync writes
		}
		word := strings.TrimSuffix(span.Text, "()")
		for _, name := range d.Names {
			_, method, isMethod := strings.Cut(name, ".")
			if word == name || isMethod && word == method {
				return true
			}
		}
	}
	return false
}
