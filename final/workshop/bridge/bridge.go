// Package bridge puts the bridges onto a learner's code of step 07: overlays that
// carry it some way towards final.
package bridge

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/patch"
)

// A Bridge is one overlay.
type Bridge struct {
	Name string
	Adds string // what a learner's code can do afterwards
}

// Bridges are in the order in which they are best built. Each needs step 07 only.
var Bridges = []Bridge{
	{"frames", "frames in place of lines: any bytes, and a bad message harms no other"},
	{"interceptors", "what is done for every call: a bound, a log, whatever you like"},
	{"pool", "a pool that connects anew, and idempotency keys that make it safe to repeat"},
}

// Find returns the bridge of that name.
func Find(name string) (Bridge, error) {
	for _, b := range Bridges {
		if b.Name == name {
			return b, nil
		}
	}
	return Bridge{}, fmt.Errorf("no bridge %q: there are frames, interceptors and pool", name)
}

// overlay is where the bridge's files are, in the course at root.
func (b Bridge) overlay(root string) string {
	return filepath.Join(root, "final", "workshop", "bridge", b.Name, "_overlay")
}

// A Change is what the bridge does to a file that is there already.
type Change struct {
	File  string // with slashes
	Decls []string
	Diff  string // as patch.Apply takes it
}

const changesFile = "changes.diff"

// Changes returns what the bridge changes in files of step 07.
func (b Bridge) Changes(root string) ([]Change, error) {
	text, err := os.ReadFile(filepath.Join(b.overlay(root), changesFile))
	if err != nil {
		return nil, err
	}
	var changes []Change
	for line := range strings.Lines(string(text)) {
		if file, ok := strings.CutPrefix(line, "# "); ok {
			changes = append(changes, Change{File: strings.TrimSpace(file)})
			continue
		}
		c := &changes[len(changes)-1]
		if decl, ok := strings.CutPrefix(line, "@@ "); ok {
			c.Decls = append(c.Decls, strings.TrimSpace(decl))
		}
		c.Diff += line
	}
	return changes, nil
}

// Tests puts the bridge's tests into the learner's folder dir and returns their
// names. A file of that name with other content is an error, and nothing is
// written then.
func (b Bridge) Tests(root, dir string) ([]string, error) {
	return b.put(root, dir, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// Solve puts the bridge's own code into dir, with its changes of what is there.
// It returns the names of the files. Nothing is written if a change does not fit
// or a file is there already.
func (b Bridge) Solve(root, dir string) ([]string, error) {
	changes, err := b.Changes(root)
	if err != nil {
		return nil, err
	}
	changed := map[string][]byte{}
	for _, c := range changes {
		file := filepath.Join(dir, filepath.FromSlash(c.File))
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		after, err := patch.Apply(string(text), c.Diff)
		if err != nil {
			return nil, fmt.Errorf("%s is not as the course's step 07 has it: %w", c.File, err)
		}
		changed[file] = []byte(after)
	}
	names, err := b.put(root, dir, func(name string) bool {
		return !strings.HasSuffix(name, "_test.go") && name != changesFile
	})
	if err != nil {
		return nil, err
	}
	for _, c := range changes {
		file := filepath.Join(dir, filepath.FromSlash(c.File))
		if err := os.WriteFile(file, changed[file], 0o666); err != nil {
			return nil, err
		}
		names = append(names, c.File)
	}
	return names, nil
}

// put writes the files of the overlay that are wanted.
func (b Bridge) put(root, dir string, wanted func(name string) bool) ([]string, error) {
	module, err := modulePath(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var names []string
	overlay := os.DirFS(b.overlay(root))
	err = fs.WalkDir(overlay, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !wanted(name) {
			return err
		}
		text, err := fs.ReadFile(overlay, name)
		names, files[name] = append(names, name), bytes.ReplaceAll(text, []byte(step07), []byte(module))
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		text, err := os.ReadFile(file)
		if err == nil && !bytes.Equal(text, files[name]) {
			return nil, fmt.Errorf("you have a file %s already: move it away first", name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, name := range names {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.WriteFile(file, files[name], 0o666); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// step07 is the module that the overlays are written for.
var step07 = path.Join(course.ModulePrefix, "step07-inventory-app")

// modulePath returns the path of the module in dir, which must have step 07's code.
func modulePath(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "inventory"))
	}
	if err != nil {
		return "", fmt.Errorf("%s does not have the code of step 07: a bridge needs a folder that start made, in which step 07 is finished", dir)
	}
	return modfile.ModulePath(text), nil
}
