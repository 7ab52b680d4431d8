// Package starter makes the folder in which a learner works, and carries it from
// one station of the course to the next.
package starter

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Write makes a learner's folder dir for a station of the course at root: the
// code before the station, stubs in the files that it adds, its tests and what
// they need, a module, and a workspace that has this tool. Where the station
// changes files that exist, nothing is prepared: the lesson shows what the
// compiler says then.
//
// It refuses a folder that has something in it, and one of the course's own.
func Write(root string, s course.Station, dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := refuse(root, dir); err != nil {
		return err
	}
	files, _, err := codeBefore(root, s)
	if err != nil {
		return err
	}
	h, err := handoutOf(root, s, unshipped(files))
	if err != nil {
		return err
	}
	for _, given := range []course.Files{h.stubs, h.shipped, h.tests, h.data} {
		maps.Copy(files, given)
	}
	module, err := moduleFiles(root, s, dir)
	if err != nil {
		return err
	}
	maps.Copy(files, module)
	addNotes(files, root, s)
	if err := writeFiles(dir, files); err != nil {
		return err
	}
	p, err := progress.Create(dir, s.Name)
	if err != nil {
		return err
	}
	p.Give(files)
	return p.Save()
}

// Solve puts a station's own code into a learner's folder: what it has there is
// overwritten, and code that the station has no longer is removed.
func Solve(root string, s course.Station, dir string) error {
	code, err := codeOf(root, s)
	if err != nil {
		return err
	}
	_, gone, err := codeBefore(root, s)
	if err != nil {
		return err
	}
	for name := range gone {
		if err := os.Remove(filepath.Join(dir, filepath.FromSlash(name))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return writeFiles(dir, code)
}

// codeBefore returns the code of the station before s: what s still has of it,
// or makes something of, and the files that are gone.
func codeBefore(root string, s course.Station) (kept, gone course.Files, err error) {
	kept, gone = course.Files{}, course.Files{}
	before, ok := s.Previous()
	if !ok {
		return kept, gone, nil
	}
	if kept, err = codeOf(root, before); err != nil {
		return nil, nil, err
	}
	code, err := codeOf(root, s)
	if err != nil {
		return nil, nil, err
	}
	for name, src := range kept {
		if _, still := code[name]; !still {
			gone[name] = src
			delete(kept, name)
		}
	}
	return kept, gone, nil
}

// refuse returns an error for a folder in which nothing may be put.
func refuse(root, dir string) error {
	if isCourse(root, dir) {
		return fmt.Errorf("%s belongs to the course: name a new folder, beside the clone or directly in it", dir)
	}
	if p, err := progress.Open(dir); err == nil && p.Dir() != dir {
		return fmt.Errorf("%s is inside %s, which start made: name a folder elsewhere", dir, p.Dir())
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file: name a new folder", dir)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() != ".git" { // a learner may keep a history
			return fmt.Errorf("%s is not empty, and start overwrites nothing: name a new folder, or go on in that one with \"go tool workshop next\"; \"go tool workshop start -solve STATION\" skips ahead in it", dir)
		}
	}
	return nil
}

// isCourse reports whether dir is the course's own.
func isCourse(root, dir string) bool {
	rel, err := filepath.Rel(real(root), real(dir))
	if err != nil || !filepath.IsLocal(rel) {
		return false // another drive, or outside
	}
	first, _, _ := strings.Cut(filepath.ToSlash(rel), "/")
	switch first {
	case ".", ".git", ".github", ".ci", ".devcontainer", "final", "testdata":
		return true
	}
	return slices.ContainsFunc(course.Stations, func(s course.Station) bool { return s.Step == first })
}

// real returns path without symbolic links in what exists of it.
func real(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	if parent := filepath.Dir(path); parent != path {
		return filepath.Join(real(parent), filepath.Base(path))
	}
	return path
}

// Stubs returns the names of the files that Write prepares with stubs, in the
// lesson's order.
func Stubs(root string, s course.Station) ([]string, error) {
	files, _, err := codeBefore(root, s)
	if err != nil {
		return nil, err
	}
	h, err := handoutOf(root, s, unshipped(files))
	if err != nil {
		return nil, err
	}
	names := h.stubs.Names()
	return names, diff.Order(root, s, names)
}
