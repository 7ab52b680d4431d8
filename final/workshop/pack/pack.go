// Package pack makes one archive of the course and of the modules that it needs,
// for rooms without a network.
package pack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/internal/durable"
	"example.com/rpc-from-scratch/final/workshop/book"
)

// Folder is what the archive unpacks to, Modules the folder in it that serves as a
// GOPROXY, and Book the one with the course's pages.
const (
	Folder  = "rpc-from-scratch"
	Modules = "modules"
	Book    = "book"
)

// commandsFile has the commands that unpack and use the archive.
const commandsFile = "OFFLINE.md"

// Options of Write.
type Options struct {
	Bench bool                 // also the modules that heavy ones need
	Tell  func(message string) // what is being done; nil: nobody listens
}

// A Summary says what an archive holds.
type Summary struct {
	Files, Modules int
	Bytes          int64
}

// Write packs the workspace at root into name, which must end in .zip or .tar.gz
// and not exist. It needs no network if the module cache has what is needed.
func Write(ctx context.Context, root, name string, o Options) (Summary, error) {
	if kindOf(name) == "" {
		return Summary{}, fmt.Errorf("%s: the name has to end in .zip or .tar.gz", name)
	}
	if _, err := os.Lstat(name); err == nil {
		return Summary{}, fmt.Errorf("%s is there already: remove it, or choose another name", name)
	}
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	tmp, err := os.MkdirTemp("", "workshop-pack-")
	if err != nil {
		return Summary{}, err
	}
	defer os.RemoveAll(tmp)
	p := &packing{
		collector: collector{root: filepath.Join(tmp, Folder), cache: filepath.Join(tmp, "cache"), tmp: tmp, bench: o.Bench},
		name:      name,
	}
	o.Tell("Copying the workspace.")
	if err := p.copyWorkspace(ctx, root); err != nil {
		return Summary{}, err
	}
	o.Tell("Making the book.")
	if err := p.addBook(); err != nil {
		return Summary{}, err
	}
	o.Tell("Collecting the modules that it needs.")
	if err := p.collect(ctx); err != nil {
		return Summary{}, err
	}
	return p.write()
}

// packing is an archive while it is made.
type packing struct {
	collector
	name    string
	sources []file // the workspace
}

// copyWorkspace copies the workspace to p.root, and reads it from there before
// the go command can change it.
func (p *packing) copyWorkspace(ctx context.Context, root string) error {
	names, err := workspaceFiles(ctx, root)
	if err != nil {
		return err
	}
	if err := copyFiles(root, p.root, names); err != nil {
		return err
	}
	p.sources, err = p.read(p.root, names, "")
	return err
}

// addBook adds the course's pages, made anew from the copy.
func (p *packing) addBook() error {
	p.sources = slices.DeleteFunc(p.sources, func(f file) bool { return strings.HasPrefix(f.name, Book+"/") })
	b, err := book.Load(p.root)
	if err != nil {
		return err
	}
	files, err := b.Files()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p.sources = append(p.sources, file{name: path.Join(Book, name), data: files[name]})
	}
	return err
}

// read reads files below dir; in the archive they are below prefix.
func (p *packing) read(dir string, names []string, prefix string) ([]file, error) {
	var files []file
	for _, name := range names {
		local := filepath.Join(dir, filepath.FromSlash(name))
		data, err := os.ReadFile(local)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(local)
		if err != nil {
			return nil, err
		}
		executable := prefix == "" && info.Mode()&0o100 != 0
		files = append(files, file{path.Join(prefix, name), data, executable})
	}
	return files, nil
}

// write writes the archive beside its name and renames it when it is whole.
func (p *packing) write() (Summary, error) {
	dir, names, err := p.proxyFiles()
	if err != nil {
		return Summary{}, err
	}
	modules, err := p.read(dir, names, Modules)
	if err != nil {
		return Summary{}, err
	}
	files := append(p.sources, file{name: commandsFile, data: []byte(Commands(filepath.Base(p.name)))})
	s := Summary{Files: len(files), Modules: countZips(names)}
	files = append(files, modules...)

	out, err := os.CreateTemp(filepath.Dir(p.name), ".workshop-pack-*")
	if err != nil {
		return Summary{}, err
	}
	defer os.Remove(out.Name()) // gone already if all went well
	err = writeArchive(out, p.name, files)
	if info, statErr := out.Stat(); statErr == nil {
		s.Bytes = info.Size()
	}
	if err := errors.Join(err, out.Chmod(0o644)); err != nil {
		return Summary{}, errors.Join(err, out.Close())
	}
	return s, durable.Replace(out, p.name)
}

func writeArchive(out *os.File, name string, files []file) error {
	a, err := newArchive(out, name)
	if err != nil {
		return err
	}
	for _, f := range files {
		if !fs.ValidPath(f.name) {
			return errors.Join(fmt.Errorf("%q is no path for an archive", f.name), a.Close())
		}
		if err := a.add(f); err != nil {
			return errors.Join(err, a.Close())
		}
	}
	return a.Close()
}

// countZips counts the modules whose code is there; of others, only the go.mod
// file is needed.
func countZips(names []string) int {
	n := 0
	for _, name := range names {
		if strings.HasSuffix(name, ".zip") {
			n++
		}
	}
	return n
}
