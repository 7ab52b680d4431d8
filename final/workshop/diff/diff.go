// Package diff shows what one station of the course changes to become another,
// as a learner wants to read it: without the noise of renamed modules, in the
// lesson's order, with the functions around what changed.
package diff

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// A Diff is what changed between two stations.
type Diff struct {
	From, To course.Station
	Files    []File // those that differ, in reading order

	same []string // the names of the others, without the article's way
}

// A File is one that differs.
type File struct {
	Name           string // below the module: "rpc/server.go"
	Added, Deleted int    // lines; 0 if the file is no text
	IsTest         bool   // it tests the code: a Go test, its helpers, a script

	from, to string // labels; "/dev/null" for where the file is not
	binary   bool
	lines    []line
	hunks    []hunk
}

// Between compares two stations of the course at root. Where they stand, in a
// step's folder or a checkpoint's, makes no difference, nor does their modules'
// path. The article's way is left out: each station has its own.
func Between(root string, from, to course.Station) (*Diff, error) {
	before, err := from.Files(root, from.Module())
	if err != nil {
		return nil, err
	}
	after, err := to.Files(root, from.Module())
	if err != nil {
		return nil, err
	}
	return compareFiles(root, from, to, before, after)
}

// Of returns what a station changes of the one before it. The first is compared
// with nothing.
func Of(root string, s course.Station) (*Diff, error) {
	if before, ok := s.Previous(); ok {
		return Between(root, before, s)
	}
	files, err := s.Files(root, s.Module())
	if err != nil {
		return nil, err
	}
	return compareFiles(root, course.Station{Name: "nothing"}, s, nil, files)
}

func compareFiles(root string, from, to course.Station, before, after course.Files) (*Diff, error) {
	all := maps.Clone(after)
	maps.Copy(all, before)
	d := &Diff{From: from, To: to}
	names := all.Names()
	if err := Order(root, to, names); err != nil {
		return nil, err
	}
	for _, name := range names {
		old, was := before[name]
		now, is := after[name]
		switch {
		case course.IsNaive(name):
			continue
		case was == is && string(old) == string(now):
			d.same = append(d.same, name)
			continue
		}
		f := newFile(name, old, now)
		f.from, f.to = path.Join(from.Name, name), path.Join(to.Name, name)
		if !was {
			f.from = "/dev/null"
		}
		if !is {
			f.to = "/dev/null"
		}
		d.Files = append(d.Files, f)
	}
	return d, nil
}

// Code returns how many lines of code f adds: no blank ones, and no comments.
func (f File) Code() int {
	n := 0
	for _, l := range f.lines {
		text := strings.TrimSpace(l.text)
		if l.op == added && text != "" && !strings.HasPrefix(text, "//") {
			n++
		}
	}
	return n
}

func newFile(name string, old, now []byte) File {
	f := File{Name: name, IsTest: course.IsTest(name)}
	if course.IsBinary(old) || course.IsBinary(now) {
		f.binary = true
		return f
	}
	before, after := string(old), string(now)
	decls := declarations{declarationsOf(name, before), declarationsOf(name, after)}
	f.lines = compare(sections(before, decls.old), sections(after, decls.new))
	f.hunks = hunks(f.lines, decls, context)
	for _, l := range f.lines {
		switch l.op {
		case added:
			f.Added++
		case deleted:
			f.Deleted++
		}
	}
	return f
}

// Only keeps the files that names stand for: a path below the module, the end
// of one, or a folder. It returns an error for a name that stands for none.
func (d *Diff) Only(names ...string) error {
	keep := map[string]bool{}
	for _, name := range names {
		clean := path.Clean(filepath.ToSlash(name))
		found := false
		for _, f := range d.Files {
			if means(clean, f.Name) {
				keep[f.Name], found = true, true
			}
		}
		if !found {
			wrong := "neither %[2]s nor %[3]s has a file %[1]s"
			switch {
			case course.IsNaive(clean):
				wrong = "diff leaves out %[1]s, the article's way"
			case slices.ContainsFunc(d.same, func(file string) bool { return means(clean, file) }):
				wrong = "%[1]s is the same in %[2]s and %[3]s"
			}
			return fmt.Errorf(wrong+": \"go tool workshop diff -name-only %[2]s %[3]s\" lists the files that differ", name, d.From.Name, d.To.Name)
		}
	}
	d.Files = slices.DeleteFunc(d.Files, func(f File) bool { return !keep[f.Name] })
	return nil
}

// means reports whether name stands for file.
func means(name, file string) bool {
	return file == name || strings.HasSuffix(file, "/"+name) || strings.HasPrefix(file, name+"/")
}

// All returns the diff of each station from the one before it, by the name of
// its file in testdata/diffs: "4b-5a.diff".
func All(root string) (map[string][]byte, error) {
	diffs := map[string][]byte{}
	for _, s := range course.Stations[1:] {
		d, err := Of(root, s)
		if err != nil {
			return nil, err
		}
		diffs[d.From.Name+"-"+d.To.Name+".diff"] = []byte(d.String())
	}
	return diffs, nil
}
