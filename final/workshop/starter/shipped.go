package starter

import (
	"bytes"
	"maps"
	"path"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// A Shipment is code that a learner has without writing it: a file, or some of its
// declarations.
type Shipment struct {
	File  string
	Names []string // none: the whole file
}

// Shipped returns what Write puts into a folder for a station, and a learner does
// not write.
func Shipped(root string, s course.Station) ([]Shipment, error) {
	files, _, err := codeBefore(root, s)
	if err != nil {
		return nil, err
	}
	h, err := handoutOf(root, s, unshipped(files))
	return shipments(s, h), err
}

// shipments returns what a handout has for a learner to read. A main.go is left out:
// it is one call.
func shipments(s course.Station, h handout) []Shipment {
	var all []Shipment
	for _, name := range h.stubs.Names() {
		if names := s.Shipped(name); len(names) > 0 {
			all = append(all, Shipment{name, names})
		}
	}
	for _, name := range h.shipped.Names() {
		if !isMain(name) {
			all = append(all, Shipment{File: name})
		}
	}
	return all
}

func isMain(name string) bool { return path.Base(name) == "main.go" }

// unshipped returns the files of code that the course does not ship.
func unshipped(code course.Files) course.Files {
	code = maps.Clone(code)
	maps.DeleteFunc(code, func(name string, _ []byte) bool { return course.IsShipped(name) })
	return code
}

// courses takes the shipped files out of have that are the course's still, and returns
// their names: as they were given, or as the station that the learner leaves has them.
func (m *Move) courses(root string, have course.Files) (map[string]bool, error) {
	code, err := codeOf(root, m.From)
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{}
	for name, mine := range have {
		if course.IsShipped(name) && (m.isGiven(name, mine) || bytes.Equal(mine, code[name])) {
			ours[name] = true
			delete(have, name)
		}
	}
	return ours, nil
}

// ship plans to put in what the station ships, and to take away what it has no longer.
// A file that the learner has changed stays.
func (m *Move) ship(root string, h handout, ours map[string]bool) error {
	arrive := handout{stubs: course.Files{}, shipped: course.Files{}}
	for _, name := range m.Stubs {
		arrive.stubs[name] = h.stubs[name]
	}
	for _, name := range h.shipped.Names() {
		text := h.shipped[name]
		switch {
		case exists(m.path(name)) && !ours[name]:
			m.Kept = append(m.Kept, name)
		case hasDeclarations(text):
			m.write[name] = text
			arrive.shipped[name] = text
		}
	}
	m.Shipped = shipments(m.To, arrive)
	_, gone, err := codeBefore(root, m.To)
	for _, name := range gone.Names() {
		if ours[name] {
			m.remove = append(m.remove, name)
		}
	}
	return err
}
