package check

import (
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/seam"
)

// redIsRight returns the line that tells why code that does not compile is as it
// should be, or "": the station's tests use what its lesson has the learner
// change or add in files that are there.
func redIsRight(t Target, mistakes []string) string {
	changed, added := Due(t, mistakes)
	var does []string
	if len(changed) > 0 {
		does = append(does, "changes the type of "+names(changed))
	}
	if len(added) > 0 {
		does = append(does, "adds "+names(added))
	}
	if len(does) == 0 {
		return ""
	}
	return "Red is right here: " + t.Station.Name + " " + strings.Join(does, ", and ") +
		"; the tests use that already. The lesson says how: " + t.Station.Page()
}

func names(seams []seam.Seam) string {
	var all []string
	for _, s := range seams {
		all = append(all, s.Name)
	}
	return strings.Join(all, ", ")
}

// Due returns what the station changes the type of, and what it adds, and the
// learner has still to write before the tests compile. They are as our code has
// them.
func Due(t Target, mistakes []string) (changed, added []seam.Seam) {
	previous, ok := t.Station.Previous()
	if !ok {
		return nil, nil
	}
	old := seam.Declared(filepath.Join(t.Root, previous.Folder))
	now := seam.Declared(filepath.Join(t.Root, t.Station.Folder))
	own := seam.Declared(t.Dir)
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if !now[name].Callable {
			continue
		}
		before, existed := old[name]
		mine, has := own[name]
		switch {
		case existed && has && before.Type != now[name].Type && mine.Type == before.Type && slices.ContainsFunc(mistakes, inTest):
			changed = append(changed, now[name])
		case !existed && !has && mentions(mistakes, name):
			added = append(added, now[name])
		}
	}
	return changed, added
}

// mentions reports whether a mistake is about name, "Func" or "Type.Member".
func mentions(mistakes []string, name string) bool {
	member := regexp.MustCompile(`\b` + regexp.QuoteMeta(name[strings.LastIndexByte(name, '.')+1:]) + `\b`)
	return slices.ContainsFunc(mistakes, func(line string) bool {
		_, text, _ := strings.Cut(line, ": ") // behind the place
		return member.MatchString(text)
	})
}
