package verify

import (
	"fmt"
	"go/scanner"
	"go/token"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/patch"
	"example.com/rpc-from-scratch/final/workshop/source"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A desk is a folder that start made, while a lesson is typed into it.
type desk struct {
	c       *Course
	p       *Page
	dir     string
	given   code         // the course's code there, as start gives it
	files   course.Files // the code, as it is on the disk
	station course.Files // all that the station has in the end
	types   *typeChecker
}

func newDesk(c *Course, p *Page, dir string) (*desk, error) {
	s := *p.Station
	d := &desk{c: c, p: p, dir: dir, files: course.Files{}}
	if err := starter.Write(c.Root, s, dir); err != nil {
		return nil, err
	}
	var err error
	if d.station, err = c.files(s, starter.Module); err != nil {
		return nil, err
	}
	names, err := course.Walk(dir, nil)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if course.IsCode(name) {
			if d.files[name], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return nil, err
			}
		}
	}
	if d.given, err = parsed(d.files); err != nil {
		return nil, err
	}
	d.types, err = newTypeChecker(dir, d.station)
	return d, err
}

// parsed returns the declarations of files, by package.
func parsed(files course.Files) (code, error) {
	all := make(code)
	for _, name := range files.Names() {
		if path.Ext(name) != ".go" || source.IsTest(name) {
			continue
		}
		f, err := source.Parse(name, files[name])
		if err != nil {
			return nil, err
		}
		all[path.Dir(name)] = append(all[path.Dir(name)], f)
	}
	return all, nil
}

// typeIn types what a block shows.
func (d *desk) typeIn(b *lesson.Block) error {
	if isBridge(b) && b.Word(0) == "diff" {
		text, err := patch.Apply(string(d.files[b.Word(2)]), b.Body)
		if err != nil {
			return fmt.Errorf("%s: %w", b.Word(2), err)
		}
		d.files[b.Word(2)] = []byte(text)
		return d.save(b.Word(2))
	}
	if isBridge(b) {
		file, err := source.Parse(b.Word(2), []byte("package bridge\n\n"+b.Body))
		if err != nil {
			return err
		}
		return d.put(b.Word(2), file.Decls[1:])
	}
	q, err := d.c.quote(d.p, b)
	if err != nil {
		return err
	}
	for _, decl := range q.decls {
		if d.p.Station.Ships(q.file.name, decl.Name()) {
			return fmt.Errorf("start and next put %s of %s there: label its block read", decl.Name(), q.file.name)
		}
	}
	if err := d.put(q.file.name, q.decls); err != nil {
		return err
	}
	return d.remove(q.file.name, q.gone)
}

// put writes declarations into a file: each in the place of that which it changes,
// or at the end. Imports are an editor's work.
func (d *desk) put(name string, decls []*source.Decl) error {
	if _, ok := d.files[name]; !ok {
		d.files[name] = []byte("package " + path.Base(path.Dir(name)) + "\n")
	}
	for _, decl := range decls {
		if decl.Kind == source.Import {
			continue
		}
		at, err := d.cut(name, decl)
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimRight(string(d.files[name]), "\n"), "\n")
		if at < 0 || at > len(lines) {
			at = len(lines)
		}
		lines = slices.Insert(lines, at, strings.Split("\n"+decl.Text, "\n")...)
		d.files[name] = []byte(strings.TrimLeft(strings.Join(lines, "\n"), "\n") + "\n")
	}
	return d.save(name)
}

// cut takes the declarations that share a name with decl out of its package, and
// returns the line of name where the first one stood; -1 if there was none.
func (d *desk) cut(name string, decl *source.Decl) (at int, err error) {
	at = -1
	for _, file := range d.files.Names() {
		if path.Dir(file) != path.Dir(name) || decl.Kind == source.Package && file != name {
			continue
		}
		f, err := source.Parse(file, d.files[file])
		if err != nil {
			return -1, err
		}
		lines := strings.Split(f.Text, "\n")
		for _, old := range slices.Backward(f.Decls) {
			if !slices.ContainsFunc(decl.Names, old.Is) {
				continue
			}
			lines = slices.Delete(lines, old.Line-1, old.End)
			if file == name {
				at = old.Line - 1
			}
		}
		if len(lines) < strings.Count(f.Text, "\n")+1 {
			d.files[file] = []byte(strings.Join(lines, "\n"))
		}
	}
	return at, nil
}

// remove deletes declarations of a file.
func (d *desk) remove(name string, names []string) error {
	for _, gone := range names {
		f, err := source.Parse(name, d.files[name])
		if err != nil {
			return err
		}
		old, err := f.Lookup(gone)
		if err != nil {
			return err
		}
		lines := strings.Split(f.Text, "\n")
		d.files[name] = []byte(strings.Join(slices.Delete(lines, old.Line-1, old.End), "\n"))
	}
	return d.save(name)
}

// save lets the files of the package import what they use, and writes all that
// have changed.
func (d *desk) save(name string) error {
	known := importPaths(d.station)
	for _, file := range d.files.Names() {
		if path.Dir(file) != path.Dir(name) {
			continue
		}
		text, err := source.FixImports(file, d.files[file], known)
		if err != nil {
			return err
		}
		d.files[file] = text
	}
	return d.write()
}

// write writes all of the code.
func (d *desk) write() error {
	for name, text := range d.files {
		if err := os.WriteFile(filepath.Join(d.dir, filepath.FromSlash(name)), text, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// compare returns where the folder's code differs from the station's.
func (d *desk) compare() (found []string, err error) {
	mine, err := parsed(d.files)
	if err != nil {
		return nil, err
	}
	want, err := parsed(d.station)
	if err != nil {
		return nil, err
	}
	for decl := range want.decls() {
		switch typed := mine.find(decl.File, decl.Name()); {
		case typed == nil:
			found = append(found, fmt.Sprintf("%s of %s is missing in the end: no block has the reader write it", decl.Name(), decl.File))
		case typed.Text != decl.Text && !d.remarks(typed, decl):
			found = append(found, fmt.Sprintf("%s of %s is not the station's in the end: a bridge stays, or a change is not shown", decl.Name(), decl.File))
		}
	}
	for decl := range mine.decls() {
		if want.find(decl.File, decl.Name()) == nil {
			found = append(found, fmt.Sprintf("%s of %s is left over in the end: take it away with a diff block, or with <!-- now: delete %[2]s %[1]s -->", decl.Name(), decl.File))
		}
	}
	return append(found, d.hiddenImports(want)...), nil
}

// remarks reports whether two versions of a declaration differ in comments alone, and
// the page shows the change for reading: a reader need not type it.
func (d *desk) remarks(typed, want *source.Decl) bool {
	shown := slices.ContainsFunc(d.p.Blocks, func(b *lesson.Block) bool {
		return b.Word(0) == "diff" && b.Word(1) == "read" && strings.HasSuffix(b.Word(2), want.File) && slices.ContainsFunc(b.Rest(3), want.Is)
	})
	return shown && withoutComments(typed.Text) == withoutComments(want.Text)
}

// withoutComments returns the tokens of a piece of Go, a line each.
func withoutComments(text string) string {
	var s scanner.Scanner
	fset := token.NewFileSet()
	s.Init(fset.AddFile("", fset.Base(), len(text)), []byte(text), nil, 0)
	var b strings.Builder
	for {
		_, tok, lit := s.Scan()
		if tok == token.EOF {
			return b.String()
		}
		b.WriteString(tok.String() + " " + lit + "\n")
	}
}

// hiddenImports returns those that are new at the station and that the page shows
// nowhere.
func (d *desk) hiddenImports(want code) (found []string) {
	for _, folder := range slices.Sorted(maps.Keys(want)) {
		for _, file := range want[folder] {
			had := importsOf(d.given, file.Name)
			for _, path := range file.Imports {
				if !slices.Contains(had, path) && !d.shows(file.Name, path) {
					found = append(found, fmt.Sprintf("%s imports %q from here on: quote its import, or name it in the text", file.Name, path))
				}
			}
		}
	}
	return found
}

// importsOf returns the paths that the code's file of that name imports.
func importsOf(c code, name string) []string {
	for _, f := range c[path.Dir(name)] {
		if f.Name == name {
			return f.Imports
		}
	}
	return nil
}

// shows reports whether the page quotes a file's imports, or names the path.
func (d *desk) shows(file, path string) bool {
	for _, b := range d.p.Blocks {
		if isQuote(b) && strings.HasSuffix(b.Word(2), file) && (len(b.Rest(3)) == 0 || slices.Contains(b.Rest(3), string(source.Import))) {
			return true
		}
	}
	return slices.ContainsFunc(d.p.Spans, func(s lesson.Span) bool {
		return s.Text == path || s.Text == fmt.Sprintf("%q", path) || s.Text == fmt.Sprintf("import %q", path)
	})
}
