package starter

import (
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// A Change is what a station does to a file of code that was there before.
type Change struct {
	File             string
	Gone             bool     // the whole file
	New, Edited, Cut []string // its declarations
}

// Changes returns what a station does to the files before it: what a learner
// will write into files that have no stubs.
func Changes(root string, s course.Station) ([]Change, error) {
	kept, gone, err := codeBefore(root, s)
	if err != nil {
		return nil, err
	}
	code, err := codeOf(root, s)
	if err != nil {
		return nil, err
	}
	names := append(gone.Names(), kept.Names()...)
	if err := diff.Order(root, s, names); err != nil {
		return nil, err
	}
	var changes []Change
	for _, name := range names {
		if _, ok := gone[name]; ok {
			changes = append(changes, Change{File: name, Gone: true})
			continue
		}
		if !course.IsCode(name) || string(kept[name]) == string(code[name]) {
			continue
		}
		c, err := changeOf(name, kept[name], code[name])
		if err != nil {
			return nil, err
		}
		if len(c.New)+len(c.Edited)+len(c.Cut) > 0 {
			changes = append(changes, c)
		}
	}
	return changes, nil
}

// changeOf returns how a file's declarations differ. Imports and the package
// clause follow from the rest.
func changeOf(name string, before, after []byte) (Change, error) {
	c := Change{File: name}
	old, err := source.Parse(name, before)
	if err != nil {
		return c, err
	}
	now, err := source.Parse(name, after)
	if err != nil {
		return c, err
	}
	for _, d := range now.Decls {
		switch twin := find(old, d.Name()); {
		case d.Kind == source.Import || d.Kind == source.Package:
		case twin == nil:
			c.New = append(c.New, d.Name())
		case twin.Text != d.Text:
			c.Edited = append(c.Edited, d.Name())
		}
	}
	for _, d := range old.Decls {
		if find(now, d.Name()) == nil && d.Kind != source.Import {
			c.Cut = append(c.Cut, d.Name())
		}
	}
	return c, nil
}

func find(file *source.File, name string) *source.Decl {
	i := slices.IndexFunc(file.Decls, func(d *source.Decl) bool { return d.Is(name) })
	if i < 0 {
		return nil
	}
	return file.Decls[i]
}
