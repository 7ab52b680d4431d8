package starter

import (
	"bytes"
	"maps"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Update plans what the course has changed in a learner's folder since it was made, at
// the station where the learner is: the tests, what they read, and the files of the
// module. It is no move to another station, and leaves all code as it is. A test that
// the learner has changed is saved; what else the learner has changed stays.
func Update(root string, p *progress.Progress) (*Move, error) {
	at, err := course.Find(p.Station)
	if err != nil {
		return nil, err
	}
	h, err := handoutOf(root, at, nil, nil)
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
	return m, m.refreshModule(root)
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
