package check

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
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
	if used := usedByTests(t.Dir, changed); len(used)+len(added) > 0 {
		changed = used
	}
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
	return "Red is correct here: " + t.Station.Name + " " + strings.Join(does, ", and ") +
		"; the tests use that already."
}

// usedByTests returns those of all that tests beside the code name.
func usedByTests(dir string, all []seam.Seam) []seam.Seam {
	var found []seam.Seam
	for _, s := range all {
		tests, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(path.Dir(s.File)), "*_test.go"))
		if slices.ContainsFunc(tests, func(file string) bool { return usesName(file, s.Name) }) {
			found = append(found, s)
		}
	}
	return found
}

// usesName reports whether a file uses name, "Func" or "Type.Member".
func usesName(file, name string) bool {
	tree, _ := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if tree == nil {
		return false
	}
	_, member, isMember := strings.Cut(name, ".")
	used := false
	ast.Inspect(tree, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			used = used || isMember && n.Sel.Name == member
		case *ast.KeyValueExpr:
			key, ok := n.Key.(*ast.Ident)
			used = used || isMember && ok && key.Name == member
		case *ast.CallExpr:
			fun, ok := n.Fun.(*ast.Ident)
			used = used || !isMember && ok && fun.Name == name
		}
		return !used
	})
	return used
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
		case !existed && !has && lacks(mistakes, name):
			added = append(added, now[name])
		}
	}
	return changed, added
}

// lacks reports whether a mistake is that name is missing. The words of a mistake can
// also be those of a name by chance: method, ctx.
func lacks(mistakes []string, name string) bool {
	missing := regexp.MustCompile(`undefined: (\w+\.)?` + name + `\b`)
	if of, member, ok := strings.Cut(name, "."); ok {
		missing = regexp.MustCompile(`(field or|missing) method ` + member + `\b|unknown field ` + member + ` in struct literal of type (\w+\.)?` + of + `\b`)
	}
	return slices.ContainsFunc(mistakes, missing.MatchString)
}

// mentions reports whether a mistake is about name, "Func" or "Type.Member". A member
// stands behind a dot; without one, its name is that of something else.
func mentions(mistakes []string, name string) bool {
	member := regexp.MustCompile(`\b` + regexp.QuoteMeta(name) + `\b`)
	if dot := strings.LastIndexByte(name, '.'); dot >= 0 {
		member = regexp.MustCompile(regexp.QuoteMeta(name[dot:]) + `\b`)
	}
	return slices.ContainsFunc(mistakes, func(line string) bool {
		_, text, _ := strings.Cut(line, ": ") // behind the place
		return member.MatchString(text)
	})
}
