package starter

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// CatchUp plans the way of a learner to a station that is not before the present
// one: our code before it takes the
// place of the learner's, and what start gives for the station is added. What the
// learner has written is kept: all that our code takes the place of, and what does
// not go with it.
func CatchUp(root string, p *progress.Progress, to course.Station) (*Move, error) {
	from, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	if course.Index(to) < course.Index(from) {
		return nil, fmt.Errorf("you are at %s, which is after %s: start %s in another folder, with \"go tool workshop start %[2]s DIR\"", from.Name, to.Name, to.Name)
	}
	code, gone, err := codeBefore(root, to)
	if err != nil {
		return nil, err
	}
	h, err := handoutOf(root, to, code, gone)
	if err != nil {
		return nil, err
	}
	m := newMove(p, from, to)
	m.solved = []string{}
	for i := course.Index(from); i < course.Index(to); i++ {
		m.solved = append(m.solved, course.Stations[i].Name)
	}
	m.Stubs = slices.DeleteFunc(h.stubs.Names(), isProgram)
	if err := diff.Order(root, to, m.Stubs); err != nil {
		return nil, err
	}
	for _, added := range []course.Files{h.stubs, h.data} {
		for name, text := range added {
			code[name] = text
		}
	}
	return m, m.putIn(root, code, h.tests)
}

// Finish plans what is left to a learner at the last station: our code takes the
// place of the learner's, as CatchUp does it.
func Finish(root string, p *progress.Progress) (*Move, error) {
	at, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	code, err := codeOf(root, at)
	if err != nil {
		return nil, err
	}
	h, err := handoutOf(root, at, nil, nil)
	if err != nil {
		return nil, err
	}
	m := newMove(p, at, at)
	m.solved, m.Last = []string{at.Name}, true
	return m, m.putIn(root, code, h.tests)
}

// putIn puts code and tests into the folder.
func (m *Move) putIn(root string, code, tests course.Files) error {
	have, err := learnersFiles(m.dir, func(name string) bool { return path.Ext(name) == ".go" })
	if err != nil {
		return err
	}
	before, err := handoutOf(root, m.From, nil, nil)
	if err != nil {
		return err
	}
	addNotes(before.tests, root, m.From)
	addNotes(tests, root, m.To)
	for _, name := range code.Names() {
		mine, err := readLF(m.path(name))
		if err != nil {
			return err
		}
		if mine == nil || !bytes.Equal(mine, code[name]) {
			m.replace(name, mine != nil && !m.isGiven(name, mine), code[name], true)
		}
		delete(have, name)
	}
	if err := m.clear(root, have); err != nil {
		return err
	}
	if err := m.replaceTests(before.tests, tests); err != nil {
		return err
	}
	for name := range before.tests {
		delete(have, name)
	}
	for name := range tests {
		delete(have, name)
	}
	given := course.Files{}
	for _, files := range []course.Files{code, tests} {
		for name, text := range files {
			given[name] = text
		}
	}
	m.setAside(misfits(given, have))
	return nil
}

// clear takes files of code out of the folder that the course has had before the
// station, and has no longer. What it takes is deleted from have.
func (m *Move) clear(root string, have course.Files) error {
	for _, s := range course.Stations[:course.Index(m.To)] {
		code, err := codeOf(root, s)
		if err != nil {
			return err
		}
		for _, name := range have.Names() {
			ours, ok := code[name]
			if !ok {
				continue
			}
			unchanged := m.isGiven(name, have[name]) || bytes.Equal(have[name], ours)
			if unchanged {
				m.remove = append(m.remove, name)
			} else {
				m.Saved = append(m.Saved, Backup{Name: name, Why: "the course has no such file any more"})
			}
			delete(have, name)
		}
	}
	return nil
}

// setAside saves the learner's own files that do not go with our code.
func (m *Move) setAside(why map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(why)) {
		m.Saved = append(m.Saved, Backup{Name: name, Why: "it does not compile with our code: " + why[name]})
	}
}
