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
	return catchUp(root, p, to, false)
}

// SolveAndNext is CatchUp to the station after the present one, but the files stay
// that the present one leaves alone: the learner has finished with them before.
func SolveAndNext(root string, p *progress.Progress, to course.Station) (*Move, error) {
	return catchUp(root, p, to, true)
}

func catchUp(root string, p *progress.Progress, to course.Station, keep bool) (*Move, error) {
	from, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	if course.Index(to) < course.Index(from) {
		return nil, fmt.Errorf("you are at %s, which is after %s: start %s in another folder, with \"go tool workshop start %[2]s DIR\"", from.Name, to.Name, to.Name)
	}
	code, _, err := codeBefore(root, to)
	if err != nil {
		return nil, err
	}
	m := newMove(p, from, to)
	if keep {
		if err := m.keepUntouched(root, p, code); err != nil {
			return nil, err
		}
	}
	h, err := handoutOf(root, to, unshipped(code))
	if err != nil {
		return nil, err
	}
	m.solved = []string{}
	for i := course.Index(from); i < course.Index(to); i++ {
		m.solved = append(m.solved, course.Stations[i].Name)
	}
	m.Stubs = h.stubs.Names()
	m.Shipped = shipments(to, h)
	if err := diff.Order(root, to, m.Stubs); err != nil {
		return nil, err
	}
	for _, added := range []course.Files{h.stubs, h.shipped, h.data} {
		for name, text := range added {
			code[name] = text
		}
	}
	return m, m.putIn(root, code, h.tests)
}

// keepUntouched puts the learner's files in the place of ours in code, where m.From
// has the same text as the station before it, which the learner has finished. A file
// that does not compile with our others gives its place away all the same.
func (m *Move) keepUntouched(root string, p *progress.Progress, code course.Files) error {
	previous, ok := m.From.Previous()
	if !ok || !p.IsFinished(previous.Name) {
		return nil
	}
	before, err := codeOf(root, previous)
	if err != nil {
		return err
	}
	for _, name := range code.Names() {
		ours := code[name]
		mine, err := readLF(m.path(name))
		if err != nil {
			return err
		}
		if !course.IsCode(name) || mine == nil || bytes.Equal(mine, ours) || !bytes.Equal(before[name], ours) {
			continue
		}
		code[name] = mine
		if !compiles(code, path.Dir(name)) {
			code[name] = ours
			continue
		}
		m.Stay = append(m.Stay, name)
	}
	return nil
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
	h, err := handoutOf(root, at, nil)
	if err != nil {
		return nil, err
	}
	m := newMove(p, at, at)
	m.solved, m.Last = []string{at.Name}, true
	if err := m.keepUntouched(root, p, code); err != nil {
		return nil, err
	}
	return m, m.putIn(root, code, h.tests)
}

// putIn puts code and tests into the folder.
func (m *Move) putIn(root string, code, tests course.Files) error {
	have, err := learnersFiles(m.dir, func(name string) bool { return path.Ext(name) == ".go" })
	if err != nil {
		return err
	}
	before, err := handoutOf(root, m.From, nil)
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
