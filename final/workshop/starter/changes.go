package starter

import (
	"path"
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
// will write into files that have no stubs. What next ships is none of it.
func Changes(root string, s course.Station) ([]Change, error) {
	kept, gone, err := codeBefore(root, s)
	if err != nil {
		return nil, err
	}
	code, err := codeOf(root, s)
	if err != nil {
		return nil, err
	}
	names := append(gone.Names(), unshipped(kept).Names()...)
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

// ChangesIn is Changes for a learner's folder, where code may be in other files
// than ours: what a learner has moved is named where it is now.
func ChangesIn(root string, s course.Station, dir string) ([]Change, error) {
	changes, err := Changes(root, s)
	if err != nil {
		return nil, err
	}
	have, err := learnersCode(dir)
	if err != nil {
		return nil, err
	}
	var found []Change
	add := func(file string, list func(*Change) *[]string, name string) {
		i := slices.IndexFunc(found, func(c Change) bool { return c.File == file })
		if i < 0 {
			i = len(found)
			found = append(found, Change{File: file})
		}
		names := list(&found[i])
		*names = append(*names, name)
	}
	for _, c := range changes {
		if c.Gone {
			if _, ok := have[c.File]; ok {
				found = append(found, c)
			}
			continue
		}
		for _, name := range c.New {
			add(fileWith(have, c.File, name), func(c *Change) *[]string { return &c.New }, name)
		}
		for _, name := range c.Edited {
			add(fileWith(have, c.File, name), func(c *Change) *[]string { return &c.Edited }, name)
		}
		for _, name := range c.Cut {
			add(fileWith(have, c.File, name), func(c *Change) *[]string { return &c.Cut }, name)
		}
	}
	return found, nil
}

// Untouched returns what a station changes, but is in a learner's folder as we had it
// at the station before.
func Untouched(root string, s course.Station, dir string) ([]Change, error) {
	changes, err := ChangesIn(root, s, dir)
	if err != nil {
		return nil, err
	}
	before, _, err := codeBefore(root, s)
	if err != nil {
		return nil, err
	}
	have, err := learnersCode(dir)
	if err != nil {
		return nil, err
	}
	var found []Change
	for _, c := range changes {
		same := slices.DeleteFunc(c.Edited, func(name string) bool {
			mine, old := declIn(have, c.File, name), declIn(before, fileWith(before, c.File, name), name)
			return mine == nil || old == nil || mine.Text != old.Text
		})
		if len(same) > 0 {
			found = append(found, Change{File: c.File, Edited: same})
		}
	}
	return found, nil
}

// declIn returns a declaration of a file, nil if it has none of that name.
func declIn(files course.Files, file, name string) *source.Decl {
	if parsed, err := source.Parse(file, files[file]); err == nil {
		return find(parsed, name)
	}
	return nil
}

// fileWith returns the file of a learner's package that declares name: ours if it
// does, or if none does.
func fileWith(have course.Files, ours, name string) string {
	if declares(have, ours, name) {
		return ours
	}
	for _, file := range have.Names() {
		if path.Dir(file) == path.Dir(ours) && declares(have, file, name) {
			return file
		}
	}
	return ours
}

func declares(have course.Files, file, name string) bool {
	return len(have[file]) > 0 && names(have[file])[name]
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
