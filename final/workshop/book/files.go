package book

import (
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// shown are the ends of the names of files that pages are made from; others, such
// as programs that somebody has built here, have none.
var shown = []string{".go", ".md", ".txt", ".txtar", ".diff", ".py", ".proto", ".thrift", ".sh", ".json", ".mod", ".work", ".mjs", ".svg", ".html", ".css", ".yml"}

// textFiles returns the course's files below root that pages can show.
func textFiles(root string) ([]string, error) {
	learners := map[string]bool{}
	names, err := course.Walk(root, func(name string) bool {
		base := path.Base(name)
		if base == progress.File {
			learners[path.Dir(name)] = true
		}
		return strings.HasPrefix(base, ".") && base != ".ci" && base != ".github" || base == "fuzz"
	})
	names = slices.DeleteFunc(names, func(name string) bool {
		for dir := range learners {
			if dir == "." || strings.HasPrefix(name, dir+"/") {
				return true
			}
		}
		return !slices.Contains(shown, path.Ext(name)) && name != ".ci/run"
	})
	slices.Sort(names)
	return names, err
}

// read returns the text of a file below the root.
func (b *Book) read(name string) (string, error) {
	data, err := os.ReadFile(filepath.Join(b.Root, filepath.FromSlash(name)))
	return strings.ReplaceAll(string(data), "\r\n", "\n"), err
}

// addSources adds a page for each file that readers may want to see whole: the
// code of the stations and of the framework, and whatever pages link to.
func (b *Book) addSources(names []string) error {
	wanted := map[string]bool{}
	for _, p := range b.Pages {
		for _, to := range p.links() {
			wanted[to] = true
		}
	}
	seen := map[string]*Page{}
	for _, name := range names {
		if path.Ext(name) == ".md" || !wanted[name] && !isSource(name) {
			continue
		}
		b.folders[path.Dir(name)] = append(b.folders[path.Dir(name)], name)
		text, err := b.read(name)
		if err != nil {
			return err
		}
		same := path.Base(name) + "\n" + text
		if _, isStep := stepOf(name); isStep && seen[same] != nil {
			b.sources[name] = seen[same] // it has not changed since an earlier station
			continue
		}
		p := &Page{Source: name, Path: name + ".html", Title: name, Label: path.Base(name), Kind: Code, Station: stationOf(name)}
		seen[same] = p
		b.sources[name] = p
		b.Pages = append(b.Pages, p)
	}
	for _, s := range course.Stations[1:] {
		b.Pages = append(b.Pages, changesPage(&s))
	}
	b.Pages = append(b.Pages, wholeWay())
	b.addFolders(names, wanted)
	b.linkKinds()
	return nil
}

// stepOf returns the folder of the step that a file belongs to.
func stepOf(name string) (step string, ok bool) {
	step, _, _ = strings.Cut(name, "/")
	return step, len(course.OfStep(step)) > 0
}

// framework are the folders of final whose code readers see whole; of the others, they
// see the files that pages link to.
var framework = []string{"rpc/", "codec/", "health/", "introspect/", "inventory/", "orders/", "cmd/", "middleware/",
	"transport/", "tracing/", "discovery/", "internal/wire/", "internal/values/", "internal/durable/"}

// isSource reports whether a file is part of a station or of the framework.
func isSource(name string) bool {
	top, rest, _ := strings.Cut(name, "/")
	_, isStep := stepOf(name)
	switch {
	case isStep, strings.HasPrefix(name, captures):
		return path.Ext(name) != ".mod"
	case top != "final":
		return false
	}
	for _, folder := range framework {
		if strings.HasPrefix(rest, folder) {
			return path.Ext(name) == ".go" && !strings.HasSuffix(name, "_test.go") && !strings.HasSuffix(name, ".pb.go")
		}
	}
	return false
}

// addFolders adds a list of files for each folder that has some in the book, or
// that a page links to, and for the folders above.
func (b *Book) addFolders(names []string, wanted map[string]bool) {
	all := map[string]bool{}
	up := func(dir string) {
		for ; dir != "."; dir = path.Dir(dir) {
			all[dir] = true
		}
	}
	for dir := range b.folders {
		up(dir)
	}
	for _, name := range names {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if wanted[dir] {
				up(dir)
			}
		}
	}
	for dir := range all {
		if parent := path.Dir(dir); parent != "." {
			b.folders[parent] = append(b.folders[parent], dir+"/")
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(all)) {
		slices.Sort(b.folders[dir])
		p := &Page{Path: dir + "/files.html", Title: dir + "/", Label: path.Base(dir) + "/", Kind: Folder, Source: dir, Station: stationOf(dir + "/")}
		b.sources[dir] = p
		b.Pages = append(b.Pages, p)
	}
}

// target returns the page that shows a path below the root: of Markdown, of a
// file, or of a folder; nil if there is none.
func (b *Book) target(name string) *Page {
	for _, source := range []string{name, path.Join(name, "README.md")} {
		if p := b.bySource[source]; p != nil {
			return p
		}
	}
	return b.sources[name]
}

// sourceOf returns the page of a station's file; nil if there is none.
func (b *Book) sourceOf(s course.Station, name string) *Page {
	place, ok := s.Place(b.Root, name)
	if !ok {
		return nil
	}
	return b.sources[place]
}

// stationsWith returns the stations that have the file of a page as it is.
func (b *Book) stationsWith(p *Page) []course.Station {
	name := ""
	for _, s := range course.Stations {
		if below, ok := strings.CutPrefix(p.Source, s.Folder+"/"); ok && (name == "" || len(below) < len(name)) {
			name = below
		}
	}
	var found []course.Station
	for _, s := range course.Stations {
		if name != "" && b.sourceOf(s, name) == p {
			found = append(found, s)
		}
	}
	return found
}

// anchors are the names of the declarations in the file that a page shows.
func (b *Book) anchors(p *Page) map[string]int {
	text, err := b.read(p.Source)
	if err != nil {
		return nil
	}
	found := map[string]int{}
	for _, d := range declarationsOf(p.Source, text) {
		found[d.Name] = d.Line
	}
	return found
}
