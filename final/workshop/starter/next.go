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
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Next plans the move of a learner to the station after the present one.
func Next(root string, p *progress.Progress) (*Move, error) {
	from, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	to, ok := from.Next()
	if !ok {
		return nil, fmt.Errorf("%s is the last: go on with the tour of the whole framework, %s", from.Name, Tour(root))
	}
	m := newMove(p, from, to)
	have, err := learnersCode(p.Dir())
	if err != nil {
		return nil, err
	}
	if err := parses(have); err != nil {
		return nil, err
	}
	before, err := handoutOf(root, from, have)
	if err != nil {
		return nil, err
	}
	ours, err := m.courses(root, have)
	if err != nil {
		return nil, err
	}
	now, err := handoutOf(root, to, have)
	if err != nil {
		return nil, err
	}
	addNotes(before.tests, root, from)
	addNotes(now.tests, root, to)
	m.addCode(now)
	if err := m.ship(root, now, ours); err != nil {
		return nil, err
	}
	if err := diff.Order(root, to, m.Stubs); err != nil {
		return nil, err
	}
	return m, m.replaceTests(before.tests, now.tests)
}

func newMove(p *progress.Progress, from, to course.Station) *Move {
	return &Move{From: from, To: to, dir: p.Dir(), given: p.Given, write: course.Files{}}
}

// parses returns an error that names the first of the learner's files that is no
// Go: what it declares could only be guessed.
func parses(have course.Files) error {
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if !course.IsCode(name) {
			continue
		}
		if _, err := parser.ParseFile(token.NewFileSet(), name, have[name], parser.SkipObjectResolution); err != nil {
			return fmt.Errorf("%w: fix it first, or put our code in its place with \"go tool workshop next -solve\"", err)
		}
	}
	return nil
}

// addCode adds the station's stubs and the data that its code embeds.
func (m *Move) addCode(h handout) {
	for _, name := range h.stubs.Names() {
		switch {
		case exists(m.path(name)):
			m.Kept = append(m.Kept, name)
		case hasDeclarations(h.stubs[name]):
			m.write[name] = h.stubs[name]
			m.Stubs = append(m.Stubs, name)
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
func (m *Move) replaceTests(before, now course.Files) error {
	all := maps.Clone(before)
	maps.Copy(all, now)
	for _, name := range all.Names() {
		mine, err := readLF(m.path(name))
		if err != nil {
			return err
		}
		was, had := before[name]
		is, has := now[name]
		changed := mine != nil && !(had && bytes.Equal(mine, was)) && !m.isGiven(name, mine)
		same := had && has && bytes.Equal(was, is) && m.solved == nil
		switch {
		case has && mine != nil && bytes.Equal(mine, is), !has && mine == nil:
		case changed && (same || isNote(name)): // the learner's stays
		default:
			m.replace(name, changed, is, has)
		}
	}
	return nil
}

// replace puts text in the place of a file, or nothing if there is none. What is
// the learner's is saved.
func (m *Move) replace(name string, learners bool, text []byte, has bool) {
	if learners {
		m.Saved = append(m.Saved, Backup{Name: name})
	}
	if has {
		m.write[name] = text
	} else if !learners {
		m.remove = append(m.remove, name)
	}
}

// ignored reports whether go does not look at files and folders of that name. Some
// editors keep a file such as .#server.go while another one is not saved.
func ignored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata"
}

// learnersCode reads the code in a learner's folder.
func learnersCode(dir string) (course.Files, error) { return learnersFiles(dir, course.IsCode) }

// learnersFiles reads the files of a learner's module whose names is accepts.
func learnersFiles(dir string, is func(name string) bool) (course.Files, error) {
	local := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	names, err := course.Walk(dir, func(name string) bool {
		return ignored(path.Base(name)) || exists(filepath.Join(local(name), "go.mod"))
	})
	if err != nil {
		return nil, err
	}
	files := course.Files{}
	for _, name := range names {
		if !is(name) {
			continue
		}
		text, err := readLF(local(name))
		if err != nil {
			return nil, err
		}
		if text != nil {
			files[name] = text
		}
	}
	return files, nil
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
