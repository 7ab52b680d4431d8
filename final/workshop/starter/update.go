package starter

import (
	"bytes"
	"maps"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Update plans what the course has changed in a learner's folder since it was made, at
// the station where the learner is: the tests, what they read, the files of the module,
// and of the code what the course has put there for the station and the learner has not
// touched. It is no move to another station. A test that the learner has changed is
// saved; what else the learner has changed stays.
func Update(root string, p *progress.Progress) (*Move, error) {
	at, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	h, err := handoutOf(root, at, nil)
	if err != nil {
		return nil, err
	}
	addNotes(h.tests, root, at)
	m := newMove(p, at, at)
	m.update, m.shipped = true, h.tests
	for _, name := range slices.Sorted(maps.Keys(p.Given)) {
		if course.IsTest(name) && h.tests[name] == nil {
			if err := m.refresh(name, nil); err != nil {
				return nil, err
			}
		}
	}
	for _, name := range h.tests.Names() {
		if err := m.refresh(name, h.tests[name]); err != nil {
			return nil, err
		}
	}
	if err := m.refreshCode(root); err != nil {
		return nil, err
	}
	return m, m.refreshModule(root)
}

// refreshCode plans to make the code that the course ships, and its stubs, what it has
// now, where they are as they were given. What the learner has made of a shipped file
// stays: it is among Kept if the course has another version than it gave.
func (m *Move) refreshCode(root string) error {
	now, err := m.codeToGive(root)
	if err != nil {
		return err
	}
	for name := range m.given {
		if course.IsShipped(name) && now[name] == nil {
			now[name] = nil // which is gone, or the learner's still
		}
	}
	for _, name := range now.Names() {
		text := now[name]
		mine, err := readLF(m.path(name))
		if err != nil {
			return err
		}
		_, wasGiven := m.given[name]
		switch {
		case mine == nil && (wasGiven || text == nil): // the learner has deleted it
		case mine != nil && text != nil && bytes.Equal(mine, text):
			m.shipped[name] = text
		case mine == nil || m.isGiven(name, mine):
			m.replace(name, false, text, text != nil)
		case course.IsShipped(name) && text != nil && !m.isGiven(name, text):
			m.Kept = append(m.Kept, name)
		}
	}
	return nil
}

// codeToGive returns what start and next put of code into a folder at the station: the
// shipped files, also those of the stations before, and the stubs.
func (m *Move) codeToGive(root string) (course.Files, error) {
	have, err := learnersCode(m.dir)
	if err != nil {
		return nil, err
	}
	whole, err := handoutOf(root, m.To, nil)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(have, func(name string, mine []byte) bool { // what may be renewed is no reason to leave anything out
		return m.isGiven(name, mine) && (course.IsShipped(name) || whole.stubs[name] != nil)
	})
	h, err := handoutOf(root, m.To, have)
	if err != nil {
		return nil, err
	}
	now, err := codeOf(root, m.To)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(now, func(name string, _ []byte) bool { return !course.IsShipped(name) })
	for _, given := range []course.Files{h.shipped, h.stubs} {
		for _, name := range given.Names() {
			if delete(now, name); hasDeclarations(given[name]) {
				now[name] = given[name]
			}
		}
	}
	return now, nil
}

// refresh plans to make a file what the course has now, nil if it has none any more.
func (m *Move) refresh(name string, text []byte) error {
	mine, err := readLF(m.path(name))
	if err != nil {
		return err
	}
	changed := mine != nil && !m.isGiven(name, mine)
	switch {
	case mine == nil && text == nil, mine != nil && text != nil && bytes.Equal(mine, text):
	case changed && isNote(name):
	case changed && text == nil: // nothing takes its place
	default:
		m.replace(name, changed, text, text != nil)
	}
	return nil
}

// refreshModule plans to make go.mod and what is with it what the course has now, where
// it is as it was given.
func (m *Move) refreshModule(root string) error {
	files, err := moduleFiles(root, m.To, m.dir)
	if err != nil {
		return err
	}
	for _, name := range files.Names() {
		mine, err := readLF(m.path(name))
		if err != nil {
			return err
		}
		if mine == nil || m.isGiven(name, mine) && !bytes.Equal(mine, files[name]) {
			m.write[name] = files[name]
		}
	}
	return nil
}

// Written returns the names of the files that the move writes.
func (m *Move) Written() []string { return m.write.Names() }

// Removed returns the names of the files that the move deletes.
func (m *Move) Removed() []string { return m.remove }
