package cli_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/rpc-from-scratch/final/conform/reference"
	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/cli"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// TestMain makes this test binary stand in for the tool, and for the servers and
// the client that conform is tested with.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"caller":    reference.Call,
		"crasher":   crash,
		"reference": reference.Main,
		"workshop":  func() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// Scripts run the tool on the real course, whose root is $COURSE, as on a
// computer that has its modules but no network.
func TestScripts(t *testing.T) {
	root, err := course.Root(".")
	if err != nil {
		t.Fatal(err)
	}
	fillModuleCache(t, root)
	testscript.Run(t, testscript.Params{
		Dir:                 "../testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("COURSE", root)
			env.Values["servers"] = map[string]*process{}
			env.Setenv("GOPROXY", "off")
			env.Setenv("GOTOOLCHAIN", "local")
			for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
				value, err := exec.Command("go", "env", name).Output()
				if err != nil {
					return err
				}
				env.Setenv(name, strings.TrimSpace(string(value)))
			}
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "seldom" {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			return seldom.Run(), nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"board":  serveBoard,
			"clone":  clone,
			"end":    end,
			"get":    get,
			"serve":  serve,
			"solve":  solve,
			"studio": studio,
		},
	})
}

// fillModuleCache gets the modules that a learner's folder needs: the scripts
// do without network.
func fillModuleCache(t *testing.T, root string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "mine")
	if err := starter.Write(root, course.Stations[0], dir); err != nil {
		t.Fatal(err)
	}
	if err := starter.Fetch(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}

// clone DIR copies the course to DIR, without its history.
func clone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: clone DIR")
	}
	root, to := ts.Getenv("COURSE"), ts.MkAbs(args[0])
	entries, err := os.ReadDir(root)
	ts.Check(err)
	for _, entry := range entries {
		switch name := entry.Name(); {
		case strings.HasPrefix(name, "step"), name == "testdata", name == "final":
			ts.Check(copyTree(filepath.Join(to, name), filepath.Join(root, name)))
		case strings.HasPrefix(name, "go.work"):
			ts.Check(copyFile(filepath.Join(to, name), filepath.Join(root, name)))
		}
	}
}

// copyTree copies the files below a folder.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, file)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		return copyFile(filepath.Join(to, rel), file)
	})
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o666)
}

// solve STATION DIR puts the course's code into a learner's folder.
func solve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: solve STATION DIR")
	}
	s, err := course.Find(args[0])
	ts.Check(err)
	ts.Check(starter.Solve(ts.Getenv("COURSE"), s, ts.MkAbs(args[1])))
}
