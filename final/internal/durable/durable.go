// Package durable puts files in their places so that they are there after a power
// loss: what was written, and the folder's entry that names it.
package durable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
)

// Replace gives f, a new file in the folder of path, the name path, in place of a
// file that has it. After a power loss path has the old content or the new one,
// whole; when Replace has returned, the new one. f is closed in any case, and keeps
// its own name if there is an error.
func Replace(f *os.File, path string) error { return replace(system{}, f, path) }

// WriteFile writes data to the file of that name, whole or not at all, also if the
// program is killed meanwhile. The file keeps its mode; a new one has that of any: 0666
// before umask. Until it is whole it is beside path, with a name that begins with a dot.
// Many goroutines may write one file: the last one's data stay.
func WriteFile(path string, data []byte) error {
	f, err := createBeside(path)
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone already if all went well
	if _, err := f.Write(data); err != nil {
		return errors.Join(err, f.Close())
	}
	return Replace(f, path)
}

// createBeside makes a new file with the mode of path, if that exists. os.CreateTemp
// would make it 0600.
func createBeside(path string) (*os.File, error) {
	mode := os.FileMode(0o666)
	info, err := os.Stat(path)
	exists := err == nil && info.Mode().IsRegular()
	if exists {
		mode = info.Mode().Perm()
	}
	dir, base := filepath.Split(path)
	var f *os.File
	for {
		name := filepath.Join(dir, fmt.Sprintf(".%s.tmp%d", base, rand.Uint64()))
		if f, err = os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode); !errors.Is(err, os.ErrExist) {
			break
		}
	}
	if err != nil || !exists {
		return f, err
	}
	if err := f.Chmod(mode); err != nil { // what umask has taken away
		return nil, errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return f, nil
}

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
