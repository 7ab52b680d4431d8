package verify

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// A Page is a lesson, or another text of the course.
type Page struct {
	*lesson.Lesson
	Station *course.Station // whose lesson it is; of a step's other pages, the step's last; nil: no step's
}

// IsExercises reports whether the page holds a step's exercises, whose code
// without a source is a solution.
func (p *Page) IsExercises() bool { return path.Base(p.Path) == "EXERCISES.md" }

// IsLesson reports whether the page is a station's lesson.
func (p *Page) IsLesson() bool { return p.Station != nil && p.Path == p.Station.Page() }

// IsEntrance reports whether a step's checkpoints are reached from the page.
func (p *Page) IsEntrance() bool { return p.Station != nil && p.Path == p.Station.Entrance() }

// IsTold reports whether the page is a lesson, or tells beside the lessons what a
// step is about.
func (p *Page) IsTold() bool { return p.Station != nil && !p.IsExercises() }

// Folder returns the page's folder below the root, with slashes.
func (p *Page) Folder() string { return path.Dir(p.Path) }

// Base returns the folder in which the page's commands run and from which its
// paths count: the step's, also for the lesson of a checkpoint.
func (p *Page) Base() string {
	if p.Station != nil {
		return p.Station.Step
	}
	return p.Folder()
}

// folders hold pages at any depth.
var folders = []string{"final/workshop/tour", "final/workshop/bridge", "final/workshop/museum", "final/workshop/guide", "final/workshop/hints", mutantsFolder}

// singles are pages that stand alone.
var singles = []string{"README.md", "final/README.md", "final/PROTOCOL.md", "final/bench/README.md",
	"final/workshop/README.md", "final/workshop/INSTRUCTOR.md"}

// loadPages reads the pages of the course, or those named.
func loadPages(root string, paths, only []string) ([]*Page, error) {
	var pages []*Page
	var errs []error
	for _, name := range paths {
		if len(only) > 0 && !slices.Contains(only, name) {
			continue
		}
		l, err := lesson.Load(root, name)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		pages = append(pages, &Page{Lesson: l, Station: stationOf(name)})
	}
	for _, name := range only {
		if !slices.Contains(paths, name) {
			errs = append(errs, errors.New("no lesson "+name+": name a station, or a page's path below the root"))
		}
	}
	return pages, errors.Join(errs...)
}

// pagePaths returns the pages that there are.
func pagePaths(root string) ([]string, error) {
	var paths []string
	for _, s := range course.Stations {
		paths = append(paths, s.Page())
		if s.IsCheckpoint() {
			continue
		}
		more, err := fs.Glob(os.DirFS(root), s.Step+"/*.md")
		if err != nil {
			return nil, err
		}
		for _, name := range more {
			if name != s.Page() {
				paths = append(paths, name)
			}
		}
	}
	paths = append(paths, singles...)
	paths = slices.DeleteFunc(paths, func(name string) bool { return !exists(root, name) })
	for _, folder := range folders {
		names, err := course.Walk(filepath.Join(root, filepath.FromSlash(folder)), nil)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, name := range names {
			if path.Ext(name) == ".md" {
				paths = append(paths, path.Join(folder, name))
			}
		}
	}
	return paths, nil
}

func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

// stationOf returns the station whose lesson a page is, or the last of the step
// that it belongs to.
func stationOf(name string) *course.Station {
	step, _, _ := strings.Cut(name, "/")
	i := slices.IndexFunc(course.Stations, func(s course.Station) bool { return s.Page() == name })
	if i < 0 {
		i = slices.IndexFunc(course.Stations, func(s course.Station) bool { return s.Step == step && !s.IsCheckpoint() })
	}
	if i < 0 {
		return nil
	}
	return &course.Stations[i]
}
