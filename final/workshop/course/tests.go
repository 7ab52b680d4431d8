package course

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Test is a top-level test of a station, or a script of its testdata/script,
// which TestScripts runs as a subtest.
type Test struct {
	Name    string // "TestServer_AnswersEachLine", "TestScripts/echo"
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

// Tests returns all tests of s: those that the lesson names come first, in its
// order, and the others follow as they stand in their files.
func Tests(root string, s Station) ([]Test, error) {
	tests, err := TestsIn(filepath.Join(root, s.Folder))
	if err != nil {
		return nil, err
	}
	lesson, err := os.ReadFile(filepath.Join(root, s.Step, "README.md"))
	if err != nil {
		return nil, err
	}
	sortByMention(tests, string(lesson))
	return tests, nil
}

// NewTests returns the tests that s adds to the station before it, in the order
// of Tests, pins and the article's way included.
func NewTests(root string, s Station) ([]Test, error) {
	tests, err := Tests(root, s)
	if err != nil {
		return nil, err
	}
	old := map[string]bool{}
	for _, before := range before(s) {
		known, err := TestsIn(filepath.Join(root, before.Folder))
		if err != nil {
			return nil, err
		}
		for _, t := range known {
			old[t.key()] = true
		}
	}
	return slices.DeleteFunc(tests, func(t Test) bool { return old[t.key()] }), nil
}

// key is what a test is recognised by from one station to the next: files split
// and merge.
func (t Test) key() string { return t.Package + "." + t.Name }

// before returns the stations whose tests s can have inherited: the one before
// it, and the last with programs, since a checkpoint has none.
func before(s Station) []Station {
	var found []Station
	for previous, ok := s.Previous(); ok; previous, ok = previous.Previous() {
		if len(found) == 0 || !previous.IsCheckpoint() {
			found = append(found, previous)
		}
		if !previous.IsCheckpoint() {
			break
		}
	}
	return found
}

// TestsIn returns the tests below dir, a station's folder or a learner's, as
// they stand in their files. A step's checkpoints, which are stations of their
// own, are left out.
func TestsIn(dir string) ([]Test, error) {
	var tests []Test
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() && (isCheckpoint(rel) || rel != "." && isIgnored(d.Name())) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(rel, "_test.go") || isIgnored(d.Name()) {
			return nil
		}
		found, err := testsOf(dir, rel)
		tests = append(tests, found...)
		return err
	})
	return tests, err
}

// isCheckpoint reports whether a folder of a step is that of a checkpoint.
func isCheckpoint(rel string) bool {
	return slices.ContainsFunc(Stations, func(s Station) bool {
		return s.IsCheckpoint() && s.Folder == s.Step+"/"+rel
	})
}

// isIgnored reports whether the go command does not look at files of that name.
func isIgnored(name string) bool {
	return name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// testsOf returns the tests of one file; a file that does not parse has those
// that stand before its mistake.
func testsOf(dir, rel string) ([]Test, error) {
	src, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(rel)))
	if err != nil {
		return nil, err
	}
	file, _ := parser.ParseFile(token.NewFileSet(), rel, src, parser.SkipObjectResolution)
	if file == nil {
		return nil, nil
	}
	var tests []Test
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || !isTest(f) {
			continue
		}
		if f.Name.Name == scripts {
			found, err := scriptsIn(dir, path.Dir(rel))
			if err != nil {
				return nil, err
			}
			tests = append(tests, found...)
			continue
		}
		tests = append(tests, Test{f.Name.Name, path.Dir(rel), rel})
	}
	return tests, nil
}

// isTest reports whether the go command runs f as a test.
func isTest(f *ast.FuncDecl) bool {
	name, ok := strings.CutPrefix(f.Name.Name, "Test")
	return ok && f.Recv == nil && f.Name.Name != "TestMain" && !strings.HasPrefix(name, "_") &&
		(name == "" || strings.ToUpper(name[:1]) == name[:1]) && f.Type.Params.NumFields() == 1
}

// scriptsIn returns the scripts that TestScripts of a package runs.
func scriptsIn(dir, pkg string) ([]Test, error) {
	const folder = "testdata/script"
	entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(folder)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var tests []Test
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".txtar"); ok {
			tests = append(tests, Test{scripts + "/" + name, pkg, folder + "/" + e.Name()})
		}
	}
	return tests, err
}

// sortByMention brings the tests that text names to the front, in its order.
func sortByMention(tests []Test, text string) {
	rank := func(t Test) int {
		if at := regexp.MustCompile(regexp.QuoteMeta(t.Name) + `\b`).FindStringIndex(text); at != nil {
			return at[0]
		}
		return len(text)
	}
	slices.SortStableFunc(tests, func(a, b Test) int { return rank(a) - rank(b) })
}
