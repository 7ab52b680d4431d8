package verify

import (
	"path"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// completeTo is the last station whose lesson quotes all of its code; later
// lessons show what is essential.
const completeTo = "5f"

// checkComplete checks that a reader who types what a lesson quotes has all of the
// code.
func (c *Course) checkComplete(p *Page, f *Findings) error {
	s := *p.Station
	if last, err := course.Find(completeTo); err == nil && course.Index(s) > course.Index(last) {
		return nil
	}
	now, err := c.code(s, s, false)
	if err != nil {
		return err
	}
	before, err := c.before(s, false)
	if err != nil {
		return err
	}
	quotes := c.quotesOf(p, s)
	for d := range now.decls() {
		if room, _, _ := strings.Cut(d.File, "/"); room != "rpc" && room != "cmd" {
			continue
		}
		old := before.twin(d)
		if old != nil && old.Text == d.Text {
			continue
		}
		lines := quotes[keyOf(d)]
		switch {
		case len(lines) == 0 && old == nil:
			f.page(p, 0, "%s of %s is new at %s and not quoted: add ```go type %s %[1]s", d.Name(), d.File, s.Name, p.refTo(s, d.File))
		case len(lines) == 0:
			f.page(p, 0, "%s of %s changes at %s and is not quoted: add ```diff type %s %[1]s", d.Name(), d.File, s.Name, p.refTo(s, d.File))
		case len(lines) > 1:
			f.page(p, lines[1], "%s of %s is quoted in line %d already: quote it once", d.Name(), d.File, lines[0])
		}
	}
	return nil
}

// keyOf returns what a declaration is recognised by within a station.
func keyOf(d *source.Decl) string { return path.Dir(d.File) + "." + d.Name() }

// quotesOf returns the lines of the page's blocks that quote each declaration of s.
func (c *Course) quotesOf(p *Page, s course.Station) map[string][]int {
	lines := make(map[string][]int)
	for _, b := range p.Blocks {
		if !isQuote(b) || b.Word(1) == signatureLabel {
			continue
		}
		q, err := c.quote(p, b)
		if err != nil || q.file.station == nil || q.file.station.Name != s.Name {
			continue
		}
		for _, d := range q.decls {
			lines[keyOf(d)] = append(lines[keyOf(d)], b.Line)
		}
	}
	return lines
}
