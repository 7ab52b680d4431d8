package course

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Files are what a station consists of, by path below its module:
// "rpc/server.go". Texts end their lines with a newline alone, on every system.
type Files map[string][]byte

// early names what a checkpoint has of its step already besides rpc/: without
// it, the programs would not compile, or would fail their tests. All else that
// a step changes outside rpc/ belongs to its last checkpoint.
var early = map[string][]string{
	"5b": {"cmd/client.go", "testdata/script/usage.txtar"},
	"5e": {"testdata/script/timeout.txtar"},
}

// Files reads the station's files, with module in place of its own module's path.
// go.mod, go.sum and the lesson are not among them: they belong to the workspace.
//
// A checkpoint stands in a folder with its rpc/, and rarely more. What it has
// besides is what the station before it has, but for the files named in early.
func (s Station) Files(root, module string) (Files, error) {
	if s.IsCheckpoint() {
		return s.checkpointFiles(root, module)
	}
	files, err := readFiles(filepath.Join(root, s.Step), s.skips)
	if err != nil {
		return nil, s.missing(err)
	}
	files.fold(s.Module(), module)
	return files, nil
}

func (s Station) checkpointFiles(root, module string) (Files, error) {
	own, err := readFiles(filepath.Join(root, filepath.FromSlash(s.Folder)), s.skips)
	if err != nil {
		return nil, s.missing(err)
	}
	before, _ := s.Previous()
	files, err := before.Files(root, module)
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return strings.HasPrefix(name, "rpc/") })
	for _, name := range early[s.Name] {
		data, err := os.ReadFile(filepath.Join(root, s.Step, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		own[name] = toLF(data)
	}
	own.fold(s.Module(), module)
	maps.Copy(files, own)
	return files, nil
}

// Place returns where a file of the station is below the root, with slashes: in its
// own folder, or in that of the station which it has the file from. It reports false
// if the station has no such file.
func (s Station) Place(root, name string) (string, bool) {
	for ok := true; ok; s, ok = s.Previous() {
		own := path.Join(s.Folder, name)
		if info, err := os.Stat(filepath.Join(root, filepath.FromSlash(own))); err == nil && info.Mode().IsRegular() {
			return own, true
		}
		switch {
		case !s.IsCheckpoint() || strings.HasPrefix(name, "rpc/"):
			return "", false
		case slices.Contains(early[s.Name], name):
			return path.Join(s.Step, name), true
		}
	}
	return "", false
}

// missing says which station err is about.
func (s Station) missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("station %s is not in this clone: there is no %s", s.Name, path.Join(s.Folder, "rpc"))
	}
	return fmt.Errorf("station %s: %w", s.Name, err)
}

// skips reports whether a name below the station's folder is none of its files.
func (s Station) skips(name string) bool {
	switch {
	case name == "go.mod", name == "go.sum", path.Ext(name) == ".md" && !strings.Contains(name, "/"):
		return true
	}
	return isCheckpointFolder(path.Join(s.Step, name))
}

// isCheckpointFolder reports whether a folder below the root is a checkpoint's: that
// of its code, or that of its lesson alone.
func isCheckpointFolder(name string) bool {
	return slices.ContainsFunc(Stations, func(s Station) bool { return s.isLettered() && path.Dir(s.Page()) == name })
}

// fold replaces the path of the module in the imports of all files.
func (f Files) fold(module, by string) {
	for name, data := range f {
		if path.Ext(name) == ".go" {
			data = bytes.ReplaceAll(data, []byte(`"`+module+`/`), []byte(`"`+by+`/`))
			f[name] = data
		}
	}
}

// Names returns the files' names, sorted.
func (f Files) Names() []string { return slices.Sorted(maps.Keys(f)) }

// readFiles reads the files below dir, but for hidden ones and what skip names.
// There has to be an rpc/ among them.
func readFiles(dir string, skip func(string) bool) (Files, error) {
	if _, err := os.Stat(filepath.Join(dir, "rpc")); err != nil {
		return nil, err
	}
	left := func(name string) bool { return strings.HasPrefix(path.Base(name), ".") || skip(name) }
	names, err := Walk(dir, left)
	if err != nil {
		return nil, err
	}
	files := Files{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		files[name] = toLF(data)
	}
	return files, nil
}

// Walk returns the names of the files below dir, with slashes, sorted by folder, but
// for files and folders that skip names; nil names none.
func Walk(dir string, skip func(name string) bool) ([]string, error) {
	if skip == nil {
		skip = func(string) bool { return false }
	}
	var names []string
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case entry.IsDir() && skip(name):
			return fs.SkipDir
		case !entry.IsDir() && !skip(name):
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// toLF returns a text with the line ends of Windows replaced; data that is no
// text is left alone.
func toLF(data []byte) []byte {
	if IsBinary(data) {
		return data
	}
	return bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
}

// IsBinary reports whether data is no text.
func IsBinary(data []byte) bool { return bytes.IndexByte(data, 0) >= 0 }

// IsTest reports whether a file of a station tests it: a Go test, its helpers,
// or a script.
func IsTest(name string) bool {
	return strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "testdata/")
}

// IsNaive reports whether a file shows the article's way: it belongs to its
// station alone.
func IsNaive(name string) bool { return path.Base(name) == "naive_test.go" }

// IsCode reports whether a file is Go that a learner writes.
func IsCode(name string) bool { return path.Ext(name) == ".go" && !IsTest(name) }
