package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/seam"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// explain returns what helps with mistakes in tests: most are about a name that
// the learner's code and the tests have to agree on.
func explain(t Target, mistakes []string) []string {
	var all []string
	if text := collisions(t, mistakes); text != "" {
		all = append(all, text)
	}
	if text := unused(t, mistakes); text != "" {
		all = append(all, text)
	}
	if text := seamsOf(t, mistakes); text != "" {
		all = append(all, text)
	}
	return all
}

var notUsed = regexp.MustCompile(`^(\S+\.go):\d+:\d+: ("\S+") imported and not used`)

// unused explains imports that our code needs: a lesson has them added before the
// piece that uses them.
func unused(t Target, mistakes []string) string {
	var early []string
	for _, text := range mistakes {
		m := notUsed.FindStringSubmatch(text)
		if m == nil {
			return "" // first things first
		}
		ours, _ := os.ReadFile(filepath.Join(t.Root, filepath.FromSlash(t.Station.Folder), filepath.FromSlash(m[1])))
		file, _ := parser.ParseFile(token.NewFileSet(), m[1], ours, parser.ImportsOnly)
		if file == nil || !slices.ContainsFunc(file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == m[2] }) {
			return ""
		}
		early = append(early, m[2])
	}
	if len(early) == 0 {
		return ""
	}
	return "Red is right here if you have added " + strings.Join(early, ", ") + " for a piece that you have not written yet. Go on with that piece: it uses the import."
}

var (
	redeclared = regexp.MustCompile(`^(\S+\.go):\d+(?::\d+)?: (?:(\w+) redeclared in this block|method (\S+) already declared)`)
	otherPlace = regexp.MustCompile(`(\S+\.go):\d+`)
)

// ToDelete returns what the learner's code declares, and a helper of the tests takes the
// place of at this station: "echo in rpc/server.go".
func ToDelete(t Target, mistakes []string) []string {
	var all []string
	for _, c := range collide(t, mistakes) {
		if file, _, _ := strings.Cut(c.code, ":"); c.cut {
			all = append(all, c.name+" in "+file)
		}
	}
	return all
}

// A collision is a name that the learner's code declares, and a helper of the tests, too.
type collision struct {
	name, code, test string // code and test are places
	cut              bool   // the station's own code no longer has it
}

// collide returns the collisions among mistakes.
func collide(t Target, mistakes []string) []collision {
	var all []collision
	for _, text := range mistakes {
		m := redeclared.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		other := otherPlace.FindString(text[len(m[0]):])
		code, test := text[:strings.Index(text, ": ")], other
		if inTest(text) {
			code, test = other, code
		}
		if inTest(test+": ") && other != "" {
			all = append(all, collision{m[2] + m[3], code, test, isCut(t, m[2]+m[3])})
		}
	}
	return all
}

// collisions explains names that the learner's code declares, and a helper of the
// tests, too.
func collisions(t Target, mistakes []string) string {
	var lines []string
	for _, c := range collide(t, mistakes) {
		text := "%s is also a helper of the tests, %s. Give yours, at %s, another name."
		if c.cut {
			text = "%s is a helper of the tests now, %s. The lesson has you delete yours, at %s."
		}
		lines = append(lines, fmt.Sprintf(text, c.name, short(c.test), short(c.code)))
	}
	return strings.Join(lines, "\n")
}

// isCut reports whether the station's own code no longer has what a name declares.
func isCut(t Target, name string) bool {
	changes, err := starter.Changes(t.Root, t.Station)
	return err == nil && slices.ContainsFunc(changes, func(c starter.Change) bool { return slices.Contains(c.Cut, name) })
}

// seamsOf lists the seams that mistakes in tests are about, with what the
// learner's code has in their place.
func seamsOf(t Target, mistakes []string) string {
	own := seam.Declared(t.Dir)
	var lines []string
	for _, s := range Called(t, mistakes) {
		line := fmt.Sprintf("  %s    (%s)", s.Text, s.File)
		if mine, has := own[s.Name]; has {
			line += "\n  yours: " + mine.Text
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return ""
	}
	return "The tests use these by name. Keep the names and signatures. Where you write a body or a value, it may differ from ours:\n" + strings.Join(lines, "\n")
}

// Called returns the seams that mistakes in tests are about: the learner's code has
// another in their place, or none.
func Called(t Target, mistakes []string) []seam.Seam {
	all, err := seam.All(t.Root, t.Station)
	if err != nil {
		return nil // verify says what is wrong with the page
	}
	var tests []string
	for _, m := range mistakes {
		if inTest(m) {
			tests = append(tests, m)
		}
	}
	own := seam.Declared(t.Dir)
	return slices.DeleteFunc(all, func(s seam.Seam) bool {
		mine, has := own[s.Name]
		return has && (mine.Type == s.Type || !mentions(tests, s.Name)) || !has && !lacks(tests, s.Name)
	})
}
