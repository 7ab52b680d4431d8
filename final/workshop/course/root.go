package course

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/mod/modfile"
)

// ErrNoRoot is returned where neither the folder nor what is above it belongs to
// the course.
var ErrNoRoot = errors.New("this folder is neither in a clone of the course nor in a folder that start made: go into one first")

// Root returns the course's root, with the steps in it: that of the clone around
// dir, or, in a folder made by start, that of the clone which its go.work names.
func Root(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if root, ok := rootOf(filepath.Join(dir, "go.work")); ok {
			return root, nil
		}
		if dir == filepath.Dir(dir) {
			return "", ErrNoRoot
		}
	}
}

// rootOf finds the tool's own module in a go.work: it stands in the course's
// final/workshop.
func rootOf(file string) (string, bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", false
	}
	work, err := modfile.ParseWork(file, data, nil)
	if err != nil {
		return "", false
	}
	for _, use := range work.Use {
		dir := filepath.FromSlash(use.Path)
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(filepath.Dir(file), dir)
		}
		root := filepath.Dir(filepath.Dir(dir))
		if filepath.Base(dir) == "workshop" && isRoot(root) {
			return root, true
		}
	}
	return "", false
}

func isRoot(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, Stations[0].Step, "go.mod"))
	return err == nil
}
