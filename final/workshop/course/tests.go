package course

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Test is a top-level test of a station, a fuzz test, which runs its seeds, or a
// script of its testdata/script, which TestScripts runs as a subtest.
type Test struct {
	Name    string // "TestServer_AnswersEachLine", "FuzzReadRequest", "TestScripts/echo"
	Package string // the folder of its package, below the station's: "rpc"
	File    string // where it stands, below the station's folder, with slashes: "rpc/server_test.go", "testdata/script/echo.txtar"
}

// IsPin reports whether t pins a limit that a later station lifts.
func (t Test) IsPin() bool { return strings.HasPrefix(t.Name, "TestLimit_") }

// IsNaive reports whether t shows how the article's way fails: it tests code of
// its own, and no learner's.
func (t Test) IsNaive() bool { return path.Base(t.File) == "naive_test.go" }

// IsScript reports whether t is a script.
func (t Test) IsScript() bool { return strings.HasPrefix(t.Name, scripts+"/") }

// scripts is the test that runs a step's testdata/script.
const scripts = "TestScripts"

// Same reports whether o is the same test, at another station or in another file:
// files split and merge.
func (t Test) Same(o Test) bool { return t.Package == o.Package && t.Name == o.Name }

// Tests returns all tests of s in the order in which the lesson's pieces turn them
// green. Those that one piece turns green are sorted by where the lesson first names
// them on the way there; the rest follow as they stand in their files, and pins are
// last. A checkpoint has those of the programs that it takes over, too.
func Tests(root string, s Station) ([]Test, error) {
	files, err := s.Files(root, s.Module())
	if err != nil {
		return nil, err
	}
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return nil, err
	}
	tests := files.tests()
	sortByMention(tests, string(lesson))
	sortByPiece(tests, string(lesson))
	return tests, nil
}

// NewTests returns the tests that s adds to the station before it, in the order
// of Tests, pins and the article's way included.
func NewTests(root string, s Station) ([]Test, error) {
	tests, err := Tests(root, s)
	if err != nil {
		return nil, err
	}
	previous, ok := s.Previous()
	if !ok {
		return tests, nil
	}
	old, err := Tests(root, previous)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(tests, func(t Test) bool { return slices.ContainsFunc(old, t.Same) }), nil
}

// TestsIn returns the tests below dir, a station's folder or a learner's, as
// they stand in their files. A step's checkpoints, which are stations of their
// own, are left out.
func TestsIn(dir string) ([]Test, error) {
	names, err := Walk(dir, func(name string) bool { return isCheckpointBelow(name) || isIgnored(path.Base(name)) })
	if err != nil {
		return nil, err
	}
	files := Files{}
	for _, name := range names {
		if IsTest(name) {
			if files[name], err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(name))); err != nil {
				return nil, err
			}
		}
	}
	return files.tests(), nil
}

// isCheckpointBelow reports whether a folder of a step is that of a checkpoint.
func isCheckpointBelow(rel string) bool {
	return slices.ContainsFunc(Stations, func(s Station) bool { return isCheckpointFolder(s.Step + "/" + rel) })
}

// isIgnored reports whether the go command does not look at files of that name.
func isIgnored(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// tests returns the tests among the files, as they stand there.
func (f Files) tests() []Test {
	var tests []Test
	for _, name := range f.Names() {
		ignored := slices.ContainsFunc(strings.Split(name, "/"), isIgnored)
		if ignored || !strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "testdata/") || strings.Contains(name, "/testdata/") {
			continue
		}
		tests = append(tests, f.testsOf(name)...)
	}
	return tests
}

// testsOf returns the tests of one file; a file that does not parse has those
// that stand before its mistake.
func (f Files) testsOf(name string) []Test {
	file, _ := parser.ParseFile(token.NewFileSet(), name, f[name], parser.SkipObjectResolution)
	if file == nil {
		return nil
	}
	var tests []Test
	for _, decl := range file.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		switch {
		case !ok || !isTest(fn):
		case fn.Name.Name == scripts:
			tests = append(tests, f.scripts(path.Dir(name))...)
		default:
			tests = append(tests, Test{fn.Name.Name, path.Dir(name), name})
		}
	}
	return tests
}

// scripts returns the scripts that TestScripts of a package runs.
func (f Files) scripts(pkg string) []Test {
	var tests []Test
	for _, name := range f.Names() {
		base, ok := strings.CutSuffix(name, ".txtar")
		if ok && path.Dir(name) == "testdata/script" {
			tests = append(tests, Test{scripts + "/" + path.Base(base), pkg, name})
		}
	}
	return tests
}

// isTest reports whether the go command runs f as a test, or the seeds of f.
func isTest(f *ast.FuncDecl) bool {
	name, ok := strings.CutPrefix(f.Name.Name, "Test")
	if !ok {
		name, ok = strings.CutPrefix(f.Name.Name, "Fuzz")
	}
	return ok && f.Recv == nil && f.Name.Name != "TestMain" && !strings.HasPrefix(name, "_") &&
		(name == "" || strings.ToUpper(name[:1]) == name[:1]) && f.Type.Params.NumFields() == 1
}

// output is what a run prints on a page: the go command sorts tests by their files,
// so its order says nothing.
var output = regexp.MustCompile("(?ms)^```console.*?^```")

// afterwards is the first heading behind the code: what is named below it has been
// green for a while.
var afterwards = regexp.MustCompile(`(?m)^## (On the wire|Checkpoint)\b`)

// sortByMention sorts tests by where a lesson first names them, before its
// checkpoint. Pins come last: they say what is missing, not what is wrong.
func sortByMention(tests []Test, lesson string) {
	if at := afterwards.FindStringIndex(lesson); at != nil {
		lesson = lesson[:at[0]]
	}
	lesson = output.ReplaceAllString(lesson, "")
	rank := func(t Test) int {
		if t.IsPin() {
			return len(lesson) + 1
		}
		if at := regexp.MustCompile(regexp.QuoteMeta(t.Name) + `\b`).FindStringIndex(lesson); at != nil {
			return at[0]
		}
		return len(lesson)
	}
	slices.SortStableFunc(tests, func(a, b Test) int { return rank(a) - rank(b) })
}
