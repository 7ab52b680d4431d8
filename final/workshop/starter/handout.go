package starter

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// Module is the path of the learner's module: the same in every folder and at
// every station, so that no import ever changes.
const Module = course.ModulePrefix + "mine"

// A handout is what the course gives a learner for a station.
type handout struct {
	stubs   course.Files // what the station adds to the code, still to be written
	shipped course.Files // what it adds or changes, and a learner does not write
	tests   course.Files // the station's tests, their helpers and all that they read
	data    course.Files // what the code embeds
}

// handoutOf returns what a learner gets for a station whose code so far is
// have: the code before the station, or the learner's own. Shipped files that the
// station changes are among have only if they stay.
func handoutOf(root string, s course.Station, have course.Files) (handout, error) {
	h := handout{stubs: course.Files{}, shipped: course.Files{}, tests: course.Files{}, data: course.Files{}}
	files, err := s.Files(root, Module)
	if err != nil {
		return h, err
	}
	before := course.Files{}
	if previous, ok := s.Previous(); ok {
		if before, err = previous.Files(root, Module); err != nil {
			return h, err
		}
	}
	for _, name := range files.Names() {
		old, was := before[name]
		to := h.stubs
		if course.IsShipped(name) {
			to, was = h.shipped, was && bytes.Equal(old, files[name])
		}
		switch {
		case course.IsTest(name):
			h.tests[name] = besideTestdata(name, files[name])
		case was:
		case course.IsCode(name):
			st := stub{
				name:  name,
				src:   files[name],
				label: label(s),
				known: declared(have, name),
				ships: func(decl string) bool { return s.Ships(name, decl) },
				pkg:   readPkg(files, name),
			}
			if to[name], err = st.text(); err != nil {
				return h, err
			}
		default:
			h.data[name] = files[name]
		}
	}
	return h, h.addShared(root)
}

// label names the station as stubs do.
func label(s course.Station) string { return "step " + s.Name }

// besideTestdata changes where a test looks for the workspace's testdata: in a
// learner's folder, it stands in the module.
func besideTestdata(name string, src []byte) []byte {
	if strings.HasSuffix(name, "_test.go") {
		src = bytes.ReplaceAll(src, []byte(`"../../testdata/`), []byte(`"../testdata/`))
	}
	return src
}

// addShared adds what the tests read of the workspace's testdata: each file that
// one of them names.
func (h *handout) addShared(root string) error {
	for _, pattern := range []string{"*.json", "wire/*.txt"} {
		found, err := filepath.Glob(filepath.Join(root, "testdata", filepath.FromSlash(pattern)))
		if err != nil {
			return err
		}
		for _, file := range found {
			if !h.mentions(filepath.Base(file)) {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			h.tests[path.Join("testdata", path.Dir(pattern), filepath.Base(file))] = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
		}
	}
	return nil
}

// mentions reports whether a test names a file of testdata.
func (h *handout) mentions(base string) bool {
	for name, src := range h.tests {
		if strings.HasSuffix(name, "_test.go") && (bytes.Contains(src, []byte(`"`+base+`"`)) || bytes.Contains(src, []byte("/"+base+`"`))) {
			return true
		}
	}
	return false
}

// codeOf returns the code of a station, and what it embeds.
func codeOf(root string, s course.Station) (course.Files, error) {
	files, err := s.Files(root, Module)
	if err != nil {
		return nil, err
	}
	for name := range files {
		if course.IsTest(name) {
			delete(files, name)
		}
	}
	return files, nil
}

// writeFiles writes files below dir.
func writeFiles(dir string, files course.Files) error {
	for _, name := range files.Names() {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
			return err
		}
		if err := os.WriteFile(file, files[name], 0o666); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
