package verify

import (
	"os"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// typeLabel is the label of code that a reader types.
const typeLabel = "type"

// checkTouched notes each function that a lesson has its reader type and that no wrong
// variant of the station changes: nothing shows that a test would notice a mistake in it.
func (c *Course) checkTouched(all []variant, f *Findings) {
	for _, p := range c.lessons() {
		i := slices.IndexFunc(course.Stations, func(s course.Station) bool { return s.Name == p.Station.Name })
		touched := make(map[string]bool)
		for _, v := range all {
			if !v.right && v.fits(i) {
				c.addTouched(*p.Station, v, touched)
			}
		}
		for _, b := range p.Blocks {
			if !isQuote(b) || b.Word(1) != typeLabel {
				continue
			}
			q, err := c.quote(p, b)
			if err != nil || q.file.station == nil || q.file.station.Name != p.Station.Name {
				continue // checkCode says what is wrong with it
			}
			for _, d := range q.decls {
				if d.Kind == source.Func && !touched[keyOf(d)] && (change{file: d.File}).fits(*p.Station) {
					f.page(p, b.Line, "no wrong variant changes %s of %s: add one to %s", d.Name(), d.File, mutantsOf(*p.Station))
				}
			}
		}
	}
}

// addTouched adds the declarations of s that v changes.
func (c *Course) addTouched(s course.Station, v variant, touched map[string]bool) {
	for _, ch := range v.changes {
		file := filepath.Join(c.Root, filepath.FromSlash(s.Folder), filepath.FromSlash(ch.file))
		text, err := ch.of(file)
		if err != nil {
			continue // tryVariant says that it does not apply
		}
		old, err := os.ReadFile(file)
		if err != nil {
			continue // a new file changes no declaration
		}
		for _, d := range changedDecls(ch.file, old, []byte(text)) {
			touched[keyOf(d)] = true
		}
	}
}

// changedDecls returns the declarations of old that changed does not have as they are.
func changedDecls(name string, old, changed []byte) []*source.Decl {
	before, err := source.Parse(name, old)
	if err != nil {
		return nil
	}
	after, err := source.Parse(name, changed)
	if err != nil {
		return nil // the variant does not compile, which a run of it says
	}
	return slices.DeleteFunc(slices.Clone(before.Decls), func(d *source.Decl) bool {
		now, err := after.Lookup(d.Name())
		return err == nil && now.Text == d.Text
	})
}
