package verify

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// A Page is a lesson, or another text of the course.
type Page struct {
	*lesson.Lesson
	Station *course.Station // whose lesson it is, the last of its step; nil: no station's
}

// IsExercises reports whether the page holds a step's exercises, whose code
// without a source is a solution.
func (p *Page) IsExercises() bool { return path.Base(p.Path) == "EXERCISES.md" }

// IsLesson reports whether the page is a step's lesson.
func (p *Page) IsLesson() bool { return p.Station != nil && !p.IsExercises() }

// Folder returns the page's folder below the root, with slashes.
func (p *Page) Folder() string { return path.Dir(p.Path) }

// folders hold pages at any depth.
var folders = []string{"final/workshop/tour", "final/workshop/bridge", "final/workshop/museum", "final/workshop/guide", "final/workshop/hints"}

// singles are pages that stand alone.
var singles = []string{"README.md", "final/README.md", "final/PROTOCOL.md", "final/bench/README.md",
	"final/workshop/README.md", "final/workshop/INSTRUCTOR.md"}

// loadPages reads the pages of the course, or those named.
func loadPages(root string, only []string) ([]*Page, error) {
	paths, err := pagePaths(root)
	if err != nil {
		return nil, err
	}
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
		if !s.IsCheckpoint() {
			paths = append(paths, s.Step+"/README.md", s.Step+"/EXERCISES.md")
		}
	}
	paths = append(paths, singles...)
	paths = slices.DeleteFunc(paths, func(name string) bool { return !exists(root, name) })
	for _, folder := range folders {
		err := fs.WalkDir(os.DirFS(root), folder, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == folder {
				return fs.SkipDir
			}
			if err == nil && path.Ext(name) == ".md" && !d.IsDir() {
				paths = append(paths, name)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return paths, nil
}

func exists(root, name string) bool {
	_, err := os.Stat(filepath.Join(root, filepath.FromSlash(name)))
	return err == nil
}

// stationOf returns the last station of the step that a page belongs to.
func stationOf(name string) *course.Station {
	step, _, _ := strings.Cut(name, "/")
	i := slices.IndexFunc(course.Stations, func(s course.Station) bool { return s.Step == step && !s.IsCheckpoint() })
	if i < 0 {
		return nil
	}
	return &course.Stations[i]
}

// checkpointTitle is that of the part of a lesson that tells a checkpoint:
// "5a: identity".
var checkpointTitle = regexp.MustCompile(`^(\d[a-z]): `)

// station returns the station that a section tells of: the checkpoint whose part
// it is in, else the last of the step; nil on a page that is no step's.
func (p *Page) station(s *lesson.Section) *course.Station {
	if p.Station == nil {
		return nil
	}
	var name string
	s.Within(func(s *lesson.Section) bool {
		match := checkpointTitle.FindStringSubmatch(s.Title)
		if match != nil {
			name = match[1]
		}
		return match != nil
	})
	for i, known := range course.Stations {
		if known.Name == name && known.Step == p.Station.Step {
			return &course.Stations[i]
		}
	}
	return p.Station
}
