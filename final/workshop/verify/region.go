package verify

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/seam"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// checkRegions checks that what sync writes is what it would write now.
func (c *Course) checkRegions(p *Page, f *Findings) error {
	for _, r := range p.Regions {
		switch body, err := c.region(p, r); {
		case err != nil:
			f.page(p, r.Line, "%v", err)
		case body != r.Body:
			f.page(p, r.Line, "out of date: run go tool workshop sync %s", p.Path)
		}
	}
	return nil
}

// region returns what a region has to hold.
func (c *Course) region(p *Page, r *lesson.Region) (string, error) {
	switch {
	case len(r.Words) == 2 && r.Words[0] == "changed":
		s, err := course.Find(r.Words[1])
		if err != nil {
			return "", err
		}
		return c.changedRegion(s)
	case r.Words[0] == seam.Region && p.Station != nil:
		return seam.Text(c.Root, *p.Station, r.Words[1:])
	case len(r.Words) == 1 && r.Words[0] == "steps":
		return stationsRegion(p, course.Stations), nil
	case len(r.Words) == 1 && r.Words[0] == "checkpoints" && p.Station != nil:
		return stationsRegion(p, course.OfStep(p.Station.Step)), nil
	}
	return "", fmt.Errorf("no region is called %q: there are <!-- changed STATION -->, <!-- steps --> and, in a step, <!-- checkpoints --> and <!-- seams NAME... -->",
		strings.Join(r.Words, " "))
}

// changedRegion tells what s changes: the commands that show it, the files with
// their lines, and what happened to each declaration that was there before.
func (c *Course) changedRegion(s course.Station) (string, error) {
	previous, ok := s.Previous()
	if !ok {
		return "", fmt.Errorf("station %s is the first: nothing has changed", s.Name)
	}
	d, err := diff.Between(c.Root, previous, s)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "    go tool workshop diff %s %s\n", previous.Name, s.Name)
	fmt.Fprintf(&b, "    git diff --no-index %s     at the root\n\n", strings.Join(foldersOf(previous, s), " "))
	writeFiles(&b, d)
	changed, gone, err := c.changedNames(s)
	if err != nil {
		return "", err
	}
	writeNames(&b, "Changed", changed)
	writeNames(&b, "Gone", gone)
	return "\n" + b.String() + "\n", nil
}

// foldersOf returns the folders that differ between two stations: two steps, or
// what a checkpoint stands in and its counterpart.
func foldersOf(a, b course.Station) []string {
	if a.IsCheckpoint() || b.IsCheckpoint() {
		return []string{a.Folder + "/rpc", b.Folder + "/rpc"}
	}
	return []string{a.Folder, b.Folder}
}

func writeFiles(b *strings.Builder, d *diff.Diff) {
	b.WriteString("| file | lines added | lines removed |\n|---|---|---|\n")
	for _, tests := range []bool{false, true} {
		added, removed := 0, 0
		for _, f := range d.Files {
			if f.IsTest != tests {
				continue
			}
			added, removed = added+f.Added, removed+f.Deleted
			if !tests {
				fmt.Fprintf(b, "| `%s`%s | %d | %d |\n", f.Name, remark(f), f.Added, f.Deleted)
			}
		}
		what := "all code"
		if tests {
			what = "tests"
		}
		if added+removed > 0 {
			fmt.Fprintf(b, "| %s | %d | %d |\n", what, added, removed)
		}
	}
}

func remark(f diff.File) string {
	switch {
	case f.IsNew():
		return ", new"
	case f.IsGone():
		return ", gone"
	}
	return ""
}

func writeNames(b *strings.Builder, what string, names []string) {
	if len(names) == 0 {
		return
	}
	fmt.Fprintf(b, "\n%s: ", what)
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
	}
	b.WriteString(".\n")
}

// changedNames returns the declarations of code, not of tests, that s changes or
// has no more.
func (c *Course) changedNames(s course.Station) (changed, gone []string, err error) {
	now, err := c.code(s, s, false)
	if err != nil {
		return nil, nil, err
	}
	before, err := c.before(s, false)
	if err != nil {
		return nil, nil, err
	}
	for d := range before.decls() {
		switch new := now.twin(d); {
		case new == nil:
			gone = append(gone, placed(d))
		case new.Text != d.Text:
			changed = append(changed, placed(new))
		}
	}
	return changed, gone, nil
}

// placed returns a declaration's name in code type, with its package unless that
// is rpc: both have a Server.
func placed(d *source.Decl) string {
	if folder := path.Dir(d.File); folder != "rpc" {
		return fmt.Sprintf("`%s` of `%s`", d.Name(), folder)
	}
	return "`" + d.Name() + "`"
}

// decls yields the declarations of c in a fixed order: no package clauses and no
// imports, since these follow from the rest.
func (c code) decls() func(yield func(*source.Decl) bool) {
	return func(yield func(*source.Decl) bool) {
		var folders []string
		for folder := range c {
			folders = append(folders, folder)
		}
		slices.Sort(folders)
		for _, folder := range folders {
			for _, file := range c[folder] {
				for _, d := range file.Decls {
					if !inEach(d.Name()) && !yield(d) {
						return
					}
				}
			}
		}
	}
}

// stationsRegion is a table of stations.
func stationsRegion(p *Page, stations []course.Station) string {
	var b strings.Builder
	b.WriteString("\n| | what it adds | minutes | path | compare |\n|---|---|---|---|---|\n")
	for _, s := range stations {
		compare := ""
		if previous, ok := s.Previous(); ok {
			compare = fmt.Sprintf("`go tool workshop diff %s %s`", previous.Name, s.Name)
		}
		way := "core"
		if s.Side {
			way = "side trip"
		}
		fmt.Fprintf(&b, "| [%s %s](%s) | %s | %d | %s | %s |\n", s.Name, s.Title, relative(p.Folder(), path.Dir(s.Page())), s.Adds, s.Minutes, way, compare)
	}
	return b.String() + "\n"
}

// relative returns the path of a link from one folder below the root to another.
func relative(from, to string) string {
	rel, err := filepath.Rel(filepath.FromSlash(from), filepath.FromSlash(to))
	if err != nil {
		return path.Clean(to)
	}
	return filepath.ToSlash(rel)
}
