// Package source finds Go declarations by name in a folder's files, exactly as
// they are written there, with their comments. Lessons quote code by these names
// and never by line number, so that a quote survives an edit elsewhere.
package source

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// A Folder holds the Go files below a folder, such as that of a step. It may be
// used concurrently, and reads each file once.
type Folder struct {
	Dir string

	mu    sync.Mutex
	files map[string]*File
}

// Load returns the folder dir, which must exist. Files are read when asked for.
func Load(dir string) (*Folder, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, &fs.PathError{Op: "load", Path: dir, Err: fs.ErrInvalid}
	}
	return &Folder{Dir: dir, files: make(map[string]*File)}, nil
}

// File returns the file of that name below the folder, with slashes:
// "rpc/server.go". Its error is that of reading or parsing it.
func (f *Folder) File(name string) (*File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if file, ok := f.files[name]; ok {
		return file, nil
	}
	text, err := os.ReadFile(filepath.Join(f.Dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	file, err := Parse(name, text)
	if err != nil {
		return nil, err
	}
	f.files[name] = file
	return file, nil
}

// Lookup returns the declaration called name in that file: see Decl for names.
func (f *Folder) Lookup(file, name string) (*Decl, error) {
	in, err := f.File(file)
	if err != nil {
		return nil, err
	}
	return in.Lookup(name)
}

// Files returns the names of the Go files below the folder's rooms, such as
// "rpc" and "cmd", sorted; a room that is missing has none. The rooms keep out
// what stands beside them: a step's checkpoints are folders of their own.
func (f *Folder) Files(rooms ...string) ([]string, error) {
	var names []string
	for _, room := range rooms {
		err := fs.WalkDir(os.DirFS(f.Dir), room, func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				if name == room {
					return fs.SkipDir
				}
				return err
			}
			if d.IsDir() && name != room && ignored(d.Name()) {
				return fs.SkipDir
			}
			if !d.IsDir() && path.Ext(name) == ".go" {
				names = append(names, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	return names, nil
}

// ignored reports whether the go command does not look at folders of that name.
func ignored(name string) bool {
	return name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_")
}

// IsTest reports whether the Go file of that name holds tests.
func IsTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

// A NotFoundError says that a file has no declaration of that name.
type NotFoundError struct {
	File, Name string
	Known      []string // what it has
}

func (e *NotFoundError) Error() string {
	return fmt.Sprintf("%s does not declare %s; it has %s", e.File, e.Name, strings.Join(e.Known, ", "))
}
