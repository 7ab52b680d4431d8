package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// mutantsFolder holds a page of variants for each station, such as 5a.md.
const mutantsFolder = "final/workshop/mutants"

// leastRight is how many right variants each station has at least.
var leastRight = 5

// sampleSize is how many variants of each page are tried when all pages are
// checked: to try one takes seconds. They are spread over the page.
const sampleSize = 6

// A variant is another way to write a station's code: right, and all tests pass,
// or wrong, and those that it names fail.
type variant struct {
	page  *Page
	block *lesson.Block
	from  int // the first station that it fits, as an index of course.Stations
	until int // the last one

	sampled bool // tried also when all pages are checked

	right   bool
	race    bool     // only the race detector notices
	count   int      // how often its tests run
	tests   []string // of a wrong one: each of them fails
	changes []change
}

// mutantsOf returns the path of a station's variants.
func mutantsOf(s course.Station) string { return mutantsFolder + "/" + s.Name + ".md" }

// checkMutants puts variants in the place of the code of their first station, and
// runs the tests: a sample of each page, or all of the lessons that are looked at.
// The long form tries each at all stations that it fits. In any form, each has to
// apply to all of them. When all pages are checked, each station has enough right
// variants, and a wrong one for each function that its lesson has the reader type.
func checkMutants(ctx context.Context, c *Course, f *Findings) error {
	all := c.variants(f)
	if len(c.only) == 0 {
		countRight(all, f)
		c.checkTouched(all, f)
	} else if len(all) == 0 {
		f.note("variants: none of these lessons has any")
	}
	for i, s := range course.Stations {
		begin := time.Now()
		here := slices.DeleteFunc(slices.Clone(all), func(v variant) bool { return !v.fits(i) })
		var wrong, right atomic.Int64
		eachAtOnce(here, func(v variant) {
			tried := c.Long || v.from == i && (v.sampled || len(c.only) > 0)
			if tried && v.right {
				right.Add(1)
			} else if tried {
				wrong.Add(1)
			}
			if err := c.tryVariant(ctx, s, v, tried); err != nil {
				f.page(v.page, v.block.Line, "%s: %q %v", s.Name, v.block.Section.Title, err)
			}
		})
		if wrong.Load()+right.Load() > 0 {
			f.report("%s: %d wrong, %d right (%.1fs)", s.Name, wrong.Load(), right.Load(), time.Since(begin).Seconds())
		}
	}
	return ctx.Err()
}

// isVariant reports whether a block is a variant of a station's code.
func isVariant(b *lesson.Block) bool {
	return b.Word(0) == "diff" && (b.Word(1) == "wrong" || b.Word(1) == "right")
}

// variants returns those of all pages, in their order.
func (c *Course) variants(f *Findings) []variant {
	var all []variant
	for _, p := range c.pages {
		var page []variant
		for _, b := range p.Blocks {
			if !isVariant(b) {
				continue
			}
			v, err := newVariant(p, b)
			if err != nil {
				f.page(p, b.Line, "%v", err)
				continue
			}
			page = append(page, v)
		}
		sample(page)
		all = append(all, page...)
	}
	return all
}

// sample marks sampleSize of a page's variants, the first and others at equal
// distances; all if there are not as many.
func sample(page []variant) {
	for i := range page {
		page[i].sampled = len(page) <= sampleSize || i*sampleSize%len(page) < sampleSize
	}
}

func newVariant(p *Page, b *lesson.Block) (variant, error) {
	v := variant{page: p, block: b, right: b.Word(1) == "right", count: 1}
	var err error
	if v.from, err = stationAt(strings.TrimSuffix(path.Base(p.Path), ".md")); err != nil {
		return v, err
	}
	v.until = v.from
	for _, word := range b.Rest(2) {
		if err := v.set(word); err != nil {
			return v, err
		}
	}
	switch v.changes, err = changesOf(b); {
	case err != nil:
		return v, err
	case v.right && len(v.tests) > 0:
		return v, errors.New("a right variant passes all tests: name none")
	case !v.right && len(v.tests) == 0:
		return v, errors.New("name the test that rejects it, as in ```diff wrong TestServer_X")
	case v.until < v.from:
		return v, fmt.Errorf("until=%s comes before the station of the page", course.Stations[v.until].Name)
	}
	return v, nil
}

// set notes what a word of the block's first line says.
func (v *variant) set(word string) error {
	name, value, _ := strings.Cut(word, "=")
	var err error
	switch {
	case name == "until":
		v.until, err = stationAt(value)
	case name == "count":
		if v.count, err = strconv.Atoi(value); err != nil || v.count < 1 {
			return fmt.Errorf("%s: no number of runs", word)
		}
	case word == "race":
		v.race = true
	case namedTest(word) != "":
		v.tests = append(v.tests, word)
	default:
		return fmt.Errorf("%q: write until=STATION, race, count=N or a test's name", word)
	}
	return err
}

// stationAt returns where a station is among course.Stations.
func stationAt(name string) (int, error) {
	s, err := course.Find(name)
	if err == nil && s.Name != name {
		err = fmt.Errorf("%q is no station's name", name)
	}
	return course.Index(s), err
}

// fits reports whether the variant is for the station at i: one up to its last
// that has the rooms which it changes. A checkpoint in a folder of its step has
// only its rpc/.
func (v variant) fits(i int) bool {
	if i < v.from || i > v.until {
		return false
	}
	return !slices.ContainsFunc(v.changes, func(ch change) bool { return !ch.fits(course.Stations[i]) })
}

// fits reports whether s has the room of the change in its own folder.
func (ch change) fits(s course.Station) bool { return !s.IsCheckpoint() || ch.room() == "rpc" }

// room returns the first folder of a change's file.
func (ch change) room() string {
	room, _, _ := strings.Cut(ch.file, "/")
	return room
}

// countRight notes each station for which too few right variants are known.
func countRight(all []variant, f *Findings) {
	for i, s := range course.Stations {
		right := 0
		for _, v := range all {
			if v.right && v.fits(i) {
				right++
			}
		}
		if right < leastRight {
			f.file(mutantsOf(s), 0, "%d right variants for %s: write at least %d", right, s.Name, leastRight)
		}
	}
}

// tryVariant puts the variant in the place of the code of s, and runs the tests if
// run is true.
func (c *Course) tryVariant(ctx context.Context, s course.Station, v variant, run bool) error {
	dir, err := os.MkdirTemp("", "workshop")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(c.Root, filepath.FromSlash(s.Folder))
	overlay, err := writeOverlay(folder, dir, v.changes)
	if err != nil {
		return fmt.Errorf("does not apply: %w", err)
	}
	if !run {
		return nil
	}
	args := []string{"-vet=off", "-overlay", overlay}
	if v.race {
		args = append(args, "-race")
	}
	if v.count > 1 {
		args = append(args, "-failfast", "-count", strconv.Itoa(v.count))
	}
	timeout := "120s"
	if !v.right && v.count <= 1 {
		timeout = "10s" // many wrong variants hang
	}
	args = append(args, "-timeout", timeout)
	if v.right {
		return v.passes(ctx, folder, args)
	}
	for _, test := range v.tests {
		if err := v.fails(ctx, folder, args, test); err != nil {
			return err
		}
	}
	return nil
}

// passes checks that all tests of the rooms that the variant changes pass.
func (v variant) passes(ctx context.Context, folder string, args []string) error {
	var rooms []string
	for _, ch := range v.changes {
		if room := "./" + ch.room() + "/..."; !slices.Contains(rooms, room) {
			rooms = append(rooms, room)
		}
	}
	out, passed, err := goTest(ctx, folder, nil, append(args, rooms...)...)
	switch {
	case err != nil:
		return err
	case strings.Contains(out, "[build failed]"):
		return fmt.Errorf("does not compile:\n%s", short(out))
	case !passed:
		return fmt.Errorf("is rejected:\n%s", short(out))
	}
	return nil
}

// fails checks that a test fails with the variant.
func (v variant) fails(ctx context.Context, folder string, args []string, test string) error {
	dir, err := v.packageOf(folder, test)
	if err != nil {
		return err
	}
	out, passed, err := goTest(ctx, dir, nil, append(args, "-run", check.Pattern(test))...)
	switch {
	case err != nil:
		return err
	case strings.Contains(out, "[build failed]"):
		return fmt.Errorf("does not compile:\n%s", short(out))
	case strings.Contains(out, "no tests to run"), !passed && strings.Contains(test, "/") && !strings.Contains(out, strings.ReplaceAll(test, " ", "_")):
		return fmt.Errorf("has to fail in %s, and there is no such test", test)
	case passed:
		return fmt.Errorf("survives: it has to fail in %s", test)
	}
	return nil
}

// packageOf returns the folder of the package that has a test, in one of the
// rooms that the station has.
func (v variant) packageOf(folder, test string) (string, error) {
	name, _, _ := strings.Cut(test, "/")
	for _, ch := range v.changes {
		if dir := filepath.Join(folder, filepath.FromSlash(path.Dir(ch.file))); hasTest(dir, name) {
			return dir, nil
		}
	}
	for _, room := range []string{"rpc", "cmd", "inventory", "orders"} {
		if dir := filepath.Join(folder, room); hasTest(dir, name) {
			return dir, nil
		}
	}
	return "", fmt.Errorf("has to fail in %s, and there is no such test", test)
}

// writeOverlay writes the files of folder with their changes into dir, and beside
// them the file that puts them, for the -overlay of the go command, in the place of
// folder's.
func writeOverlay(folder, dir string, changes []change) (overlay string, err error) {
	replaced := make(map[string]string)
	for _, ch := range changes {
		file := filepath.Join(folder, filepath.FromSlash(ch.file))
		text, err := ch.of(file)
		if err != nil {
			return "", fmt.Errorf("%s: %w", ch.file, err)
		}
		replaced[file] = filepath.Join(dir, strings.ReplaceAll(ch.file, "/", "-"))
		if err := os.WriteFile(replaced[file], []byte(text), 0o666); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": replaced})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o666)
}
