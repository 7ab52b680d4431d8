package starter

import (
	"bytes"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/internal/durable"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// A Move is a learner's way from one station to the next, and what it does to
// the learner's folder. It edits no code of the learner's.
type Move struct {
	To    course.Station
	Stubs []string // files of code that it adds
	Kept  []string // files that it would have added, but the learner has them
	Saved []string // tests that the learner has changed: they go to FILE.mine, and the course's take their place

	dir    string
	write  course.Files
	remove []string
}

// Next plans the move of a learner to the station after the present one.
func Next(root string, p *progress.Progress) (*Move, error) {
	from, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	to, ok := from.Next()
	if !ok {
		return nil, fmt.Errorf("%s is the last: go on with the tour of the whole framework, %s",
			from.Name, filepath.Join(root, "final", "README.md"))
	}
	m := &Move{To: to, dir: p.Dir(), write: course.Files{}}
	have, err := learnersCode(p.Dir())
	if err != nil {
		return nil, err
	}
	if err := parses(have); err != nil {
		return nil, err
	}
	before, err := handoutOf(root, from, have, nil)
	if err != nil {
		return nil, err
	}
	now, err := handoutOf(root, to, have, nil)
	if err != nil {
		return nil, err
	}
	before.tests[noteName], now.tests[noteName] = note(root, from), note(root, to)
	m.addCode(now)
	if err := diff.Order(root, to, m.Stubs); err != nil {
		return nil, err
	}
	return m, m.replaceTests(before.tests, now.tests)
}

// parses returns an error that names the first of the learner's files that is no
// Go: what it declares could only be guessed.
func parses(have course.Files) error {
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !course.IsCode(name) {
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), name, have[name], parser.SkipObjectResolution); err != nil {
			return fmt.Errorf("%w: mend it first", err)
		}
	}
	return nil
}

// Do carries the move out.
func (m *Move) Do(p *progress.Progress) error {
	for _, name := range m.Saved {
		// On the disk before anything takes the name: it is the learner's own work.
		if err := durable.Rename(m.path(name), m.free(name)); err != nil {
			return err
		}
	}
	for _, name := range m.remove {
		if err := os.Remove(m.path(name)); err != nil {
			return err
		}
	}
	if err := writeFiles(m.dir, m.write); err != nil {
		return err
	}
	p.Station, p.ToDo = m.To.Name, nil
	p.RecordMistake("", nil)
	return p.Save()
}

// addCode adds the station's stubs and the data that its code embeds.
func (m *Move) addCode(h handout) {
	for _, name := range h.stubs.Names() {
		switch {
		case exists(m.path(name)):
			m.Kept = append(m.Kept, name)
		case hasDeclarations(h.stubs[name]):
			m.write[name] = h.stubs[name]
			if !isProgram(name) {
				m.Stubs = append(m.Stubs, name)
			}
		}
	}
	for _, name := range h.data.Names() {
		if exists(m.path(name)) {
			m.Kept = append(m.Kept, name)
			continue
		}
		m.write[name] = h.data[name]
	}
}

// replaceTests puts the station's tests in the place of those before. What the
// learner has changed is recognised by its difference from what was given.
func (m *Move) replaceTests(given, now course.Files) error {
	all := maps.Clone(given)
	maps.Copy(all, now)
	for _, name := range all.Names() {
		mine, err := readLF(m.path(name))
		if err != nil {
			return err
		}
		was, had := given[name]
		is, has := now[name]
		changed := mine != nil && !(had && bytes.Equal(mine, was))
		switch {
		case has && had && bytes.Equal(was, is) && mine != nil: // nothing new: the learner's stays, changed or not
		case has && bytes.Equal(mine, is):
		case !has && mine == nil:
		case name == noteName && changed: // the learner's own notes
		default:
			if changed {
				m.Saved = append(m.Saved, name)
			}
			if has {
				m.write[name] = is
			} else if !changed {
				m.remove = append(m.remove, name)
			}
		}
	}
	return nil
}

func (m *Move) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

// free returns a path for what a learner has changed that is not taken: go does
// not look at a name that ends so.
func (m *Move) free(name string) string {
	path := m.path(name) + ".mine"
	for n := 2; exists(path); n++ {
		path = fmt.Sprintf("%s.mine%d", m.path(name), n)
	}
	return path
}

// learnersCode reads the code in a learner's folder.
func learnersCode(dir string) (course.Files, error) {
	files := course.Files{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if file != dir && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		if name := filepath.ToSlash(rel); course.IsCode(name) {
			files[name], err = os.ReadFile(file)
		}
		return err
	})
	return files, err
}

// hasDeclarations reports whether a stub says anything that the learner's
// package does not say already.
func hasDeclarations(stub []byte) bool {
	return slices.ContainsFunc(bytes.Split(stub, []byte("\n")), func(line []byte) bool {
		for _, word := range []string{"func ", "type ", "var ", "const "} {
			if bytes.HasPrefix(line, []byte(word)) {
				return true
			}
		}
		return false
	})
}

// readLF reads a file, with a newline alone at each line's end; nil if there is
// none.
func readLF(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if data == nil {
		data = []byte{}
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), err
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}
