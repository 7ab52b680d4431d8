package starter

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"example.com/rpc-from-scratch/final/internal/durable"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// A Move is a learner's way to a station, and what it does to the learner's
// folder. It edits no file of the learner's: one that gives its place away is
// kept under another name.
type Move struct {
	From, To course.Station
	Stubs    []string // files of code that it adds
	Shipped  []Shipment
	Kept     []string // files that it would have added or renewed, but the learner has them
	Saved    []Backup // files of the learner's that give their place away
	Stay     []string // files of the learner's that stay, where our code is put in
	Last     bool     // it finishes the last station

	dir    string
	given  map[string]string // what the course has put into the folder, as progress knows it
	write  course.Files
	remove []string
	solved []string // stations whose code is put in

	update  bool         // it stays at the station, whose tests may be others now
	shipped course.Files // then: all that the course has put there when it is done
}

// A Backup is a file of the learner's under its new name. Names are below the
// folder, with slashes.
type Backup struct {
	Name string
	As   string // known once the move is done
	Why  string // if no file of the course takes its place: what is in the way
}

// Do carries the move out, wholly or not at all: if a step fails, those before it
// are taken back. As of each backup is set then.
func (m *Move) Do(p *progress.Progress) error {
	var undo []func() error
	for _, step := range m.steps() {
		back, err := step()
		if back != nil {
			undo = append(undo, back)
		}
		if err != nil {
			return takeBack(undo, err)
		}
	}
	m.record(p)
	if err := p.Save(); err != nil {
		return takeBack(undo, err)
	}
	return nil
}

// takeBack undoes steps, the last first, and says in err what has become of the
// folder.
func takeBack(undo []func() error, err error) error {
	for i := range undo {
		if failed := undo[len(undo)-1-i](); failed != nil {
			return fmt.Errorf("%w; to undo what was done failed, too: %w", err, failed)
		}
	}
	return fmt.Errorf("%w: nothing has changed", err)
}

// steps returns what there is to do, in order: what is the learner's has another
// name before anything is written. Each step returns how to undo what it did, also
// if it failed halfway.
func (m *Move) steps() []func() (undo func() error, err error) {
	var all []func() (func() error, error)
	for i := range m.Saved {
		all = append(all, func() (func() error, error) { return m.save(&m.Saved[i]) })
	}
	for _, name := range m.remove {
		all = append(all, func() (func() error, error) { return m.delete(name) })
	}
	for _, name := range m.write.Names() {
		all = append(all, func() (func() error, error) { return m.put(name, m.write[name]) })
	}
	return all
}

// save gives a file of the learner's a name that is free. It is on the disk before
// anything takes the old name.
func (m *Move) save(b *Backup) (undo func() error, err error) {
	b.As = m.free(b.Name)
	from, to := m.path(b.Name), m.path(b.As)
	if err := durable.Rename(from, to); err != nil {
		return nil, err
	}
	return func() error { return durable.Rename(to, from) }, nil
}

func (m *Move) delete(name string) (undo func() error, err error) {
	old, err := os.ReadFile(m.path(name))
	if err == nil {
		err = os.Remove(m.path(name))
	}
	if err != nil {
		return nil, err
	}
	return func() error { return os.WriteFile(m.path(name), old, 0o666) }, nil
}

// put writes a file of the course.
func (m *Move) put(name string, data []byte) (undo func() error, err error) {
	path := m.path(name)
	old, err := os.ReadFile(path)
	switch {
	case err == nil:
		undo = func() error { return os.WriteFile(path, old, 0o666) }
	case exists(path):
		return nil, err
	default:
		undo = func() error { return removed(path) }
	}
	return undo, putFile(path, data)
}

// putFile writes a file and its folder, whole or not at all.
func putFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return durable.WriteFile(path, data) // go does not look at the name that it has before, which begins with a dot
}

// removed removes a file, if it is there.
func removed(path string) error {
	if !exists(path) {
		return nil
	}
	return os.Remove(path)
}

// record notes the move in the learner's progress.
func (m *Move) record(p *progress.Progress) {
	for _, b := range m.Saved {
		delete(p.Given, b.Name)
	}
	for _, name := range m.remove {
		delete(p.Given, name)
	}
	p.Give(m.write)
	m.recordUpdate(p)
	for _, station := range m.solved {
		p.RecordSolved(station)
	}
	if p.Station != m.To.Name || len(m.solved) > 0 {
		p.Station, p.ToDo, p.Some, p.Why = m.To.Name, nil, nil, nil
		p.RecordMistake("", nil)
	}
}

// recordUpdate notes an update. One that was interrupted may have written files that
// this one found as they should be. What was seen of the tests before tells nothing of
// those that are there now.
func (m *Move) recordUpdate(p *progress.Progress) {
	if !m.update {
		return
	}
	for name, text := range m.shipped {
		if mine, err := readLF(m.path(name)); err == nil && bytes.Equal(mine, text) {
			p.Give(course.Files{name: text})
		}
	}
	if len(m.write)+len(m.remove) > 0 {
		p.Forget()
	}
}

func (m *Move) path(name string) string { return filepath.Join(m.dir, filepath.FromSlash(name)) }

// isGiven reports whether a text is what the course has put there last: then it is
// none of the learner's work.
func (m *Move) isGiven(name string, text []byte) bool {
	sum, ok := m.given[name]
	return ok && sum == progress.Sum(text)
}

// free returns a name for a file of the learner's that is not taken: go does not
// look at one that ends so.
func (m *Move) free(name string) string {
	as := name + ".mine"
	for n := 2; exists(m.path(as)); n++ {
		as = fmt.Sprintf("%s.mine%d", name, n)
	}
	return as
}
