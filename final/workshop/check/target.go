package check

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// A Target is a folder whose code can be checked.
type Target struct {
	Root     string             // the course's
	Dir      string             // the folder with rpc/ in it, absolute
	Station  course.Station     // whose tests it has
	Progress *progress.Progress // nil in the course's own folders, where nothing is written
}

// Find returns what dir belongs to: a learner's folder, or a step's or
// checkpoint's own.
func Find(dir string) (Target, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Target{}, err
	}
	root, rootErr := course.Root(dir)
	p, err := progress.Open(dir)
	switch {
	case err == nil:
		return ofLearner(root, rootErr, p)
	case rootErr == nil && errors.Is(err, progress.ErrNone):
		return ofCourse(root, dir)
	}
	return Target{}, err
}

func ofLearner(root string, rootErr error, p *progress.Progress) (Target, error) {
	if rootErr != nil {
		return Target{}, fmt.Errorf("%s: its go.work names no clone of the course (was the clone moved?): fix the line that ends in final/workshop", p.Dir())
	}
	s, err := course.Find(p.Station)
	return Target{Root: root, Dir: p.Dir(), Station: s, Progress: p}, err
}

// ofCourse returns the station whose folder dir is, or is in. Checkpoints come
// before the step that they stand in.
func ofCourse(root, dir string) (Target, error) {
	rel, err := filepath.Rel(root, dir)
	if err != nil {
		return Target{}, err
	}
	rel = filepath.ToSlash(rel)
	found := -1
	for i, s := range course.Stations {
		within := rel == s.Folder || strings.HasPrefix(rel, s.Folder+"/")
		if within && (found < 0 || len(s.Folder) > len(course.Stations[found].Folder)) {
			found = i
		}
	}
	if found < 0 {
		return Target{}, fmt.Errorf("%s is neither a step nor a folder that start made: go into one, or name one", dir)
	}
	s := course.Stations[found]
	return Target{Root: root, Dir: filepath.Join(root, filepath.FromSlash(s.Folder)), Station: s}, nil
}
