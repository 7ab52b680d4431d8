package hint

import (
	"fmt"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// Of returns the hints of a test about what it checks. For one that is carried over
// they begin with where to look now, unless the learner's station has hints of its own;
// our whole change is the last.
func Of(t check.Target, test string) ([]string, error) {
	found, from, err := For(t.Station, test)
	if err != nil || len(found) == 0 || from.Name == t.Station.Name {
		return found, err
	}
	first, err := sinceBefore(t, test, from)
	if err != nil {
		return nil, err
	}
	hints := []string{first}
	for _, h := range found {
		hints = append(hints, "As "+from.Name+" said: "+h)
	}
	previous, _ := t.Station.Previous()
	return append(hints, fmt.Sprintf("Our change, all of it:\n\n    go tool workshop diff %s %s", previous.Name, t.Station.Name)), nil
}

// sinceBefore says where to look at the learner's station, since a test fails that the
// station called from has hints for.
func sinceBefore(t check.Target, test string, from course.Station) (string, error) {
	text := fmt.Sprintf("This test is carried over from %s.", from.Name)
	heading, err := course.GreenUnder(t.Root, t.Station, test)
	if err != nil {
		return "", err
	}
	if heading != "" {
		text += fmt.Sprintf(" In the lesson of %s it is green after %q at the latest; before that, red can be right.", t.Station.Name, heading)
	}
	about, err := course.FilesFor(t.Root, from, test)
	if err != nil {
		return "", err
	}
	untouched, err := starter.Untouched(t.Root, t.Station, t.Dir)
	if err != nil {
		return "", err
	}
	previous, _ := t.Station.Previous()
	if names := edited(untouched, about); names != "" {
		return text + fmt.Sprintf(" Still as %s had it, though %s changes it: %s.", previous.Name, t.Station.Name, names), nil
	}
	changes, err := starter.ChangesIn(t.Root, t.Station, t.Dir)
	if err != nil {
		return "", err
	}
	cut := slices.ContainsFunc(changes, func(c starter.Change) bool { return strings.HasPrefix(c.File, "rpc/") && len(c.Cut) > 0 })
	if names := edited(changes, about); names != "" {
		text += fmt.Sprintf(" If it passed before, look at what %s has you change: %s.", t.Station.Name, names)
	} else if !cut {
		text += fmt.Sprintf(" If it passed before, look at your own last changes first: in rpc, %s adds code and changes none.", t.Station.Name)
	}
	return text, nil
}

// maxEdited is how many declarations a hint names: of more, it names the files.
const maxEdited = 6

// edited names what a station changes in rpc: in the files that a test is about, if it
// changes any of these.
func edited(changes []starter.Change, about []string) string {
	of := func(only []string) (parts, files []string, n int) {
		for _, c := range changes {
			if !strings.HasPrefix(c.File, "rpc/") || len(c.Edited) == 0 || only != nil && !slices.Contains(only, c.File) {
				continue
			}
			parts = append(parts, strings.Join(c.Edited, ", ")+" in "+c.File)
			files = append(files, c.File)
			n += len(c.Edited)
		}
		return parts, files, n
	}
	parts, files, n := of(about)
	if n == 0 {
		parts, files, n = of(nil)
	}
	if n > maxEdited {
		return fmt.Sprintf("%d declarations in %s", n, strings.Join(files, ", "))
	}
	return strings.Join(parts, "; ")
}

// CaseFirst puts the hints that quote a table's case before the others.
func CaseFirst(hints []string, name string) []string {
	if name == "" {
		return hints
	}
	other := func(hint string) int {
		if strings.Contains(strings.ToLower(hint), `"`+strings.ToLower(name)+`"`) {
			return 0
		}
		return 1
	}
	hints = slices.Clone(hints)
	slices.SortStableFunc(hints, func(a, b string) int { return other(a) - other(b) })
	return hints
}

// First returns what to show first of a test's hints, "" if it has none. name is the
// case of its table that failed.
func First(t check.Target, test, name string) string {
	found, err := Of(t, test)
	if err != nil || len(found) == 0 {
		return "" // verify tells about pages that cannot be read
	}
	return CaseFirst(found, name)[0]
}
