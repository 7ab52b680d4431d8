package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// mostDark is how many pieces in a row may leave a package broken, or all of its
// tests red.
const mostDark = 2

// checkReplay types the blocks of a lesson one by one into a folder that start made,
// and proves what the lesson says about it in comments.
func (c *Course) checkReplay(ctx context.Context, p *Page, f *Findings) error {
	begin := time.Now()
	r := &replay{ctx: ctx, c: c, p: p, f: f}
	err := r.run()
	f.report("%s: %d pieces, %d claims, %d test runs (%.1fs)", p.Station.Name, r.typed, r.claims, r.runs, time.Since(begin).Seconds())
	return err
}

// A replay is one lesson's.
type replay struct {
	ctx  context.Context
	c    *Course
	p    *Page
	f    *Findings
	desk *desk

	typed, claims, runs int

	dark   []darkPiece // the last pieces, since one that is known to leave something green
	binary *testBinary // of the present piece's package, once it is needed
}

// A darkPiece is one that leaves its package broken, or may leave all of its
// tests red: these are run only if the pieces beside it are dark, too.
type darkPiece struct {
	broken string       // why it does not compile; "": it does
	files  course.Files // the code then
}

func (r *replay) run() error {
	parent, err := os.MkdirTemp("", "workshop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(parent)
	if r.desk, err = newDesk(r.c, r.p, filepath.Join(parent, "mine")); err != nil {
		return err
	}
	for _, piece := range r.p.pieces(r.f) {
		if err := r.play(piece); err != nil {
			return fmt.Errorf("line %d: %w", piece.line(), err)
		}
	}
	return r.compare()
}

// compare reports where the folder's code differs from the station's in the end.
func (r *replay) compare() error {
	found, err := r.desk.compare()
	if err != nil {
		return err
	}
	for _, text := range found {
		r.f.page(r.p, 0, "%s", text)
	}
	return nil
}

// line returns where a piece is on its page.
func (p *piece) line() int {
	if p.block == nil {
		return 0
	}
	return p.block.Line
}

// room returns the folder of the package that a piece changes.
func (p *piece) room() string {
	if p.block == nil {
		return "rpc"
	}
	_, name, ok := strings.Cut(p.block.Word(2), ":")
	if !ok {
		name = p.block.Word(2)
	}
	return path.Dir(name)
}

// play types a piece, and proves what is said after it.
func (r *replay) play(p *piece) error {
	r.binary = nil
	if p.block != nil {
		r.typed++
		if err := r.desk.typeIn(p.block); err != nil {
			return err
		}
	}
	for _, m := range p.claims {
		if m.kind == saysDelete {
			if err := r.desk.remove(m.file, m.names); err != nil {
				return err
			}
		}
	}
	wrong := r.desk.types.check(p.room())
	lit := false
	for _, m := range p.claims {
		green, err := r.prove(p, m, wrong)
		if err != nil {
			return err
		}
		lit = lit || green
	}
	if p.block == nil || lit || wrong == "" && p.room() != "rpc" {
		r.dark = nil
		return nil
	}
	return r.darken(p, wrong)
}

// prove proves a claim, and reports whether a test of the piece's package is green.
func (r *replay) prove(p *piece, m claim, wrong string) (green bool, err error) {
	if m.kind == saysDelete {
		return false, nil
	}
	r.claims++
	room := p.room()
	if m.room != "" && m.room != room {
		room, wrong = m.room, r.desk.types.check(m.room)
	}
	switch {
	case m.kind == saysBroken && wrong == "":
		r.f.page(r.p, m.line, "the page says that %s does not compile, and it does", room)
	case m.kind == saysBroken:
	case wrong != "":
		r.f.page(r.p, m.line, "%s does not compile here: %s", room, wrong)
	case m.kind == saysCompiles:
	default:
		return r.proveTests(m, room)
	}
	return false, nil
}

// proveTests runs the tests that a claim names, and compares their colours.
func (r *replay) proveTests(m claim, room string) (green bool, err error) {
	binary, all, err := r.tests(room)
	if err != nil {
		return false, err
	}
	named, unknown := expand(m.tests, all)
	if unknown != "" {
		r.f.page(r.p, m.line, "%s has no test %s", room, unknown)
		return false, nil
	}
	run := named
	if m.kind == saysAllGreen {
		run = all
	}
	colours, err := binary.run(r.ctx, run)
	if err != nil {
		return false, err
	}
	for _, test := range run {
		wantGreen := m.kind == saysGreen || m.kind == saysAllGreen && !slices.Contains(named, test)
		if colours[test] != wantGreen {
			r.f.page(r.p, m.line, "the page says that %s is %s, and it is %s", test, colour(wantGreen), colour(colours[test]))
		}
		green = green || colours[test]
	}
	return green, nil
}

func colour(green bool) string {
	if green {
		return "green"
	}
	return "red"
}

// expand returns the tests that words name, and a word that names none.
func expand(words, all []string) (tests []string, unknown string) {
	for _, word := range words {
		before := len(tests)
		for _, test := range all {
			if beginning, cut := strings.CutSuffix(word, "*"); test == word || cut && strings.HasPrefix(test, beginning) {
				tests = append(tests, test)
			}
		}
		if len(tests) == before {
			return nil, word
		}
	}
	return tests, ""
}

// tests compiles the tests of a room as it is now, and returns their names.
func (r *replay) tests(room string) (*testBinary, []string, error) {
	if r.binary == nil || filepath.Base(r.binary.dir) != path.Base(room) {
		r.runs++
		binary, err := compileTests(r.ctx, r.desk.dir, room, filepath.Join(filepath.Dir(r.desk.dir), "tests.exe"))
		if err != nil {
			return nil, nil, err
		}
		r.binary = binary
	}
	all, err := r.binary.list(r.ctx)
	return r.binary, all, err
}

// darken counts a piece that is not known to leave something green, and looks
// at the tests if too many of them follow each other.
func (r *replay) darken(p *piece, wrong string) error {
	r.dark = append(r.dark, darkPiece{wrong, maps.Clone(r.desk.files)})
	for i := len(r.dark) - 1; i >= 0 && len(r.dark) > mostDark; i-- {
		if r.dark[i].broken != "" {
			continue
		}
		green, err := r.isGreen(r.dark[i])
		if err != nil {
			return err
		}
		if green {
			r.dark = r.dark[i+1:]
			break
		}
		r.dark[i].broken = "all of its tests are red"
	}
	if n := len(r.dark); n > mostDark {
		r.f.page(r.p, p.line(), "%d pieces in a row leave nothing green, at most %d: %s", n, mostDark, r.dark[n-1].broken)
	}
	return nil
}

// isGreen reports whether a test passes with the code of that piece.
func (r *replay) isGreen(d darkPiece) (green bool, err error) {
	now := r.desk.files
	defer func() {
		r.desk.files, r.binary = now, nil
		err = errors.Join(err, r.desk.write())
	}()
	r.desk.files, r.binary = d.files, nil
	if err := r.desk.write(); err != nil {
		return false, err
	}
	binary, all, err := r.tests("rpc")
	if err != nil {
		return false, err
	}
	all = slices.DeleteFunc(all, func(test string) bool {
		return strings.HasPrefix(test, "TestNaive") || strings.HasPrefix(test, "TestLimit")
	})
	return binary.anyGreen(r.ctx, all)
}
