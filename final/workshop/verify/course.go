// Package verify holds the lessons to the code: it compares all that a lesson
// quotes, counts, names or prints with what the course's code is and does, and
// rewrites what can be rewritten.
package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// A Course is the course that is looked at: its lessons and its code, read once
// and kept. It may be used concurrently.
type Course struct {
	Root string
	Long bool     // variants are tried at each station that they fit
	only []string // the lessons that are looked at; empty: all

	mu    sync.Mutex
	kept  map[string]course.Files // by station and module
	pages []*Page
}

// New returns the course at root. If lessons are given, only these are looked at:
// a station's name, a step's, which means all of its pages but the exercises, or a
// page's path below root.
func New(root string, lessons ...string) (*Course, error) {
	c := &Course{Root: root, kept: make(map[string]course.Files)}
	paths, err := pagePaths(root)
	if err != nil {
		return nil, err
	}
	for _, name := range lessons {
		c.only = append(c.only, named(name, paths)...)
	}
	c.pages, err = loadPages(root, paths, c.only)
	return c, err
}

// named returns the pages that a lesson's name means.
func named(name string, paths []string) []string {
	s, err := course.Find(name)
	switch {
	case err != nil:
		return []string{path.Clean(strings.ReplaceAll(name, `\`, "/"))}
	case s.Name == name:
		return slices.DeleteFunc([]string{s.Page(), mutantsOf(s)}, func(p string) bool { return p != s.Page() && !slices.Contains(paths, p) })
	}
	var mutants []string
	for _, s := range course.OfStep(s.Step) {
		mutants = append(mutants, mutantsOf(s))
	}
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool {
		return path.Base(p) == "EXERCISES.md" || !strings.HasPrefix(p, s.Step+"/") && !slices.Contains(mutants, p)
	})
}

// files returns the files of station s, with module as their module's path.
func (c *Course) files(s course.Station, module string) (course.Files, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := s.Name + " " + module
	if files, ok := c.kept[key]; ok {
		return files, nil
	}
	files, err := s.Files(c.Root, module)
	if err == nil {
		c.kept[key] = files
	}
	return files, err
}

// A code is the Go code of a station, by the folders of its packages.
type code map[string][]*source.File

// code reads the Go files of s; those of tests only if tests is true. Imports
// name the module of for, so that code of two stations can be compared.
func (c *Course) code(s, as course.Station, tests bool) (code, error) {
	files, err := c.files(s, as.Module())
	if err != nil {
		return nil, err
	}
	parsed := make(code)
	for _, name := range files.Names() {
		if path.Ext(name) != ".go" || source.IsTest(name) && !tests {
			continue
		}
		file, err := source.Parse(name, files[name])
		if err != nil {
			return nil, fmt.Errorf("station %s: %w", s.Name, err)
		}
		parsed[path.Dir(name)] = append(parsed[path.Dir(name)], file)
	}
	return parsed, nil
}

// before returns the code of the station before s, as if of its module; none for
// the first.
func (c *Course) before(s course.Station, tests bool) (code, error) {
	previous, ok := s.Previous()
	if !ok {
		return nil, nil
	}
	return c.code(previous, s, tests)
}

// find returns the declaration of that package called name; nil if there is
// none. A file may have lost it to another since, so file is only tried first.
func (c code) find(file, name string) *source.Decl {
	files := slices.Clone(c[path.Dir(file)])
	slices.SortStableFunc(files, func(a, b *source.File) int { return rank(a, file) - rank(b, file) })
	for _, f := range files {
		if inEach(name) && f.Name != file {
			continue
		}
		if d, err := f.Lookup(name); err == nil {
			return d
		}
	}
	return nil
}

func rank(f *source.File, first string) int {
	if f.Name == first {
		return 0
	}
	return 1
}

// inEach reports whether each file has a declaration of that name.
func inEach(name string) bool { return name == string(source.Package) || name == string(source.Import) }

// twin returns the declaration that d was before, or nil: one that shares a name
// with it.
func (c code) twin(d *source.Decl) *source.Decl {
	for _, name := range d.Names {
		if found := c.find(d.File, name); found != nil {
			return found
		}
	}
	return nil
}
