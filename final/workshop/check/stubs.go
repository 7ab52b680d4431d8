package check

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A Stub is a function that the learner has still to write.
type Stub struct {
	Name  string // "Server.Close"
	Place string // "rpc/server.go:60"
}

// String says what is to do about it.
func (s Stub) String() string { return s.Name + " is yours to write" }

// stubNames returns the names of the functions that the learner has still to write.
func (p *Package) stubNames() []string {
	var all []string
	for _, s := range p.stubs {
		all = append(all, s.Name)
	}
	return all
}

// what names the stub and its file.
func (s Stub) what() string {
	file, _, _ := strings.Cut(s.Place, ":")
	if s.Name == file {
		return s.Name
	}
	return s.Name + " in " + file
}

// stubMark is what a marked stub prints when it is called, behind its number.
const stubMark = "workshop-check: stub "

var stubMarkLine = regexp.MustCompile(stubMark + `(\d+)\n`)

// findStubs fills p.stubs, and returns the flags with which the go command compiles
// the package so that each stub says that it is called. The programs below cmd are
// not marked: scripts compare what they print.
func (p *Package) findStubs(dir, tmp string) (flags []string, err error) {
	replace := map[string]string{}
	entries, _ := os.ReadDir(filepath.Join(dir, filepath.FromSlash(p.Name))) // the go command says what is wrong with it
	for _, entry := range entries {
		name := path.Join(p.Name, entry.Name())
		file := filepath.Join(dir, filepath.FromSlash(name))
		src, err := os.ReadFile(file)
		if !course.IsCode(name) || err != nil {
			continue
		}
		marked := p.mark(name, src)
		if p.isOfPrograms() || len(marked) == len(src) {
			continue
		}
		replace[file] = filepath.Join(tmp, entry.Name())
		if err := os.WriteFile(replace[file], marked, 0o666); err != nil {
			return nil, err
		}
	}
	if len(replace) == 0 {
		return nil, nil
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	file := filepath.Join(tmp, "overlay.json")
	return []string{"-overlay", file}, os.WriteFile(file, overlay, 0o666)
}

// mark adds the stubs in a file to p.stubs, and returns its text with a call in each
// that prints its number. No line moves.
func (p *Package) mark(name string, src []byte) []byte {
	var out []byte
	from := 0
	for _, u := range starter.UnwrittenIn(src) {
		out = append(out, src[from:u.Body]...)
		out = fmt.Appendf(out, " print(%q); ", stubMark+strconv.Itoa(len(p.stubs))+"\n")
		from = u.Body
		p.stubs = append(p.stubs, Stub{u.Name, fmt.Sprintf("%s:%d", name, u.Line)})
	}
	return append(out, src[from:]...)
}

// isOfPrograms reports whether the package is one of cmd.
func (p *Package) isOfPrograms() bool { return p.Name == "cmd" || strings.HasPrefix(p.Name, "cmd/") }

// stubOf returns the first stub that a test called before it printed what went
// wrong, and the output without the marks. Those of programs are not marked: the
// first file that has some stands for all, since they are copied whole.
func (p *Package) stubOf(output string) (first *Stub, clean string) {
	clean = stubMarkLine.ReplaceAllString(output, "")
	if p.isOfPrograms() && len(p.stubs) > 0 {
		file, _, _ := strings.Cut(p.stubs[0].Place, ":")
		return &Stub{file, p.stubs[0].Place}, clean
	}
	m := stubMarkLine.FindStringSubmatchIndex(output)
	if m == nil {
		return nil, clean
	}
	if wrong := wentWrong.FindStringIndex(output); wrong != nil && wrong[0] < m[0] {
		return nil, clean
	}
	i, err := strconv.Atoi(output[m[2]:m[3]])
	if err != nil || i >= len(p.stubs) {
		return nil, clean
	}
	return &p.stubs[i], clean
}

// wentWrong is where a test's output begins to say that it failed. Marks have been
// printed in between.
var wentWrong = regexp.MustCompile(`(?m)^(?:    [^\s:]+_test\.go:\d+: ?|panic: |fatal error: |WARNING: DATA RACE)`)
