// Package durable puts files in their places so that they are there after a power
// loss: what was written, and the folder's entry that names it.
package durable

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
)

// Replace gives f, a new file in the folder of path, the name path, in place of a
// file that has it. After a power loss path has the old content or the new one,
// whole; when Replace has returned, the new one. f is closed in any case, and keeps
// its own name if there is an error.
func Replace(f *os.File, path string) error { return replace(system{}, f, path) }

// Rename is os.Rename within a folder, and is on the disk when it returns.
func Rename(from, to string) error { return rename(system{}, from, to) }

// SyncDir writes a folder's entries to the disk: else a file that was made in it
// may be gone after a power loss, with all that was written to it. Windows cannot
// do that, and writes the entries by itself.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// A disk is what a test puts in the system's place: the order of these steps is
// all that can be seen of them.
type disk interface {
	sync(f *os.File) error
	rename(from, to string) error
	syncDir(dir string) error
}

type system struct{}

func (system) sync(f *os.File) error        { return f.Sync() }
func (system) rename(from, to string) error { return os.Rename(from, to) }
func (system) syncDir(dir string) error     { return SyncDir(dir) }

func replace(d disk, f *os.File, path string) error {
	if err := errors.Join(d.sync(f), f.Close()); err != nil {
		return err
	}
	return rename(d, f.Name(), path)
}

func rename(d disk, from, to string) error {
	if err := d.rename(from, to); err != nil {
		return err
	}
	return d.syncDir(filepath.Dir(to))
}
