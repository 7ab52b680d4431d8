package verify

import (
	"context"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// A limit is a pin at one station.
type limit struct {
	station course.Station
	file    string // below the station's folder
	name    string
	line    int    // of the comment that says what lifts it; 0: there is none
	where   string // the place that it names: a step, a checkpoint, final
	by      string // the test there
	lifter  string // the station there; "" if no step lifts it
}

var (
	lifted = regexp.MustCompile(`^// Lifted in (?:step )?(\w+) by (\w+)`)
	pin    = regexp.MustCompile(`^func (TestLimit_\w+)\(`)
)

// checkPins checks the pins of a lesson's station: each says truly what lifts it,
// and the lesson of the station that pins it speaks of it.
func (c *Course) checkPins(p *Page, f *Findings) error {
	var seen []limit
	if before, ok := p.Station.Previous(); ok {
		var err error
		if seen, err = c.limits(before); err != nil {
			return err
		}
	}
	limits, err := c.limits(*p.Station)
	if err != nil {
		return err
	}
	for _, l := range limits {
		if !slices.ContainsFunc(seen, l.same) && !strings.Contains(p.Text, l.name) {
			f.page(p, 0, "%s pins %s, and the lesson does not name it", l.file, l.name)
		}
		if l.line == 0 {
			continue
		}
		file := path.Join(l.station.Folder, l.file)
		if names, err := c.testsAt(l.where); err != nil {
			f.file(file, l.line, "%v", err)
		} else if !slices.Contains(names, l.by) {
			f.file(file, l.line, "there is no %s in %s: name the test that lifts the pin", l.by, l.where)
		}
	}
	return nil
}

func (l limit) same(o limit) bool { return l.name == o.name }

// checkLimits runs the pins of a lesson's station on the course's own code: each has
// to pass while its limit is there, and to skip at the station that lifts it.
func (c *Course) checkLimits(ctx context.Context, p *Page, f *Findings) error {
	s := *p.Station
	limits, err := c.limits(s)
	if err == nil {
		err = c.runLimits(ctx, s, limits, f)
	}
	if next, ok := s.Next(); ok && err == nil {
		err = c.checkStay(limits, next, f)
	}
	return err
}

// checkStay checks that the limits that next still has, or lifts, are pinned there.
func (c *Course) checkStay(limits []limit, next course.Station, f *Findings) error {
	there, err := c.limits(next)
	if err != nil {
		return err
	}
	for _, l := range limits {
		lifter, err := course.Find(l.lifter)
		if err != nil || course.Index(next) > course.Index(lifter) {
			continue
		}
		if !slices.ContainsFunc(there, l.same) {
			f.file(path.Join(l.station.Folder, l.file), 0, "%s is not at %s: it stays until %s has lifted it", l.name, next.Name, l.lifter)
		}
	}
	return nil
}

// limits returns the pins of s. The comment of each says which step lifts it.
func (c *Course) limits(s course.Station) ([]limit, error) {
	files, err := c.files(s, s.Module())
	if err != nil {
		return nil, err
	}
	var limits []limit
	for _, file := range files.Names() {
		if path.Base(file) != "limits_test.go" {
			continue
		}
		next := limit{station: s, file: file}
		for i, line := range strings.Split(string(files[file]), "\n") {
			if m := lifted.FindStringSubmatch(line); m != nil {
				next.line, next.where, next.by = i+1, m[1], m[2]
			}
			if m := pin.FindStringSubmatch(line); m != nil {
				lifter, _ := findPlace(next.where) // final is no station, and "names" looks at all others
				next.name, next.lifter = m[1], lifter.Name
				limits = append(limits, next)
				next = limit{station: s, file: file}
			}
		}
	}
	return limits, nil
}

var (
	runs  = regexp.MustCompile(`(?m)^=== RUN +(\w+)$`)
	skips = regexp.MustCompile(`(?m)^ +\S+_test\.go:\d+: lifted: (\w+)$`)
)

func (c *Course) runLimits(ctx context.Context, s course.Station, limits []limit, f *Findings) error {
	if len(limits) == 0 {
		return nil
	}
	args := []string{"-v", "-run", "^TestLimit_"}
	for _, l := range limits {
		if dir := "./" + path.Dir(l.file); !slices.Contains(args, dir) {
			args = append(args, dir)
		}
	}
	out, passed, err := goTest(ctx, filepath.Join(c.Root, filepath.FromSlash(s.Folder)), nil, args...)
	if err != nil {
		return err
	}
	if !passed {
		f.file(s.Folder, 0, "a pin fails with the code of %s: it passes while its limit is there, and skips afterwards:\n%s", s.Name, short(out))
		return nil
	}
	said := saidBy(out)
	for _, l := range limits {
		want := "passes"
		if l.lifter == s.Name {
			want = "says lifted: " + s.Name
		}
		if said[l.name] != want {
			f.file(path.Join(s.Folder, l.file), 0, "%s %s with the code of %s, and its comment means that it %s", l.name, said[l.name], s.Name, want)
		}
	}
	return nil
}

// saidBy returns what each test did, from what "go test -v" printed.
func saidBy(out string) map[string]string {
	said := make(map[string]string)
	begins := runs.FindAllStringSubmatchIndex(out, -1)
	for i, begin := range begins {
		end := len(out)
		if i+1 < len(begins) {
			end = begins[i+1][0]
		}
		name := out[begin[2]:begin[3]]
		said[name] = "passes"
		if m := skips.FindStringSubmatch(out[begin[0]:end]); m != nil {
			said[name] = "says lifted: " + m[1]
		}
	}
	return said
}
