package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockName is the file that one engine per folder holds. It is hidden, so that watch does
// not look at it.
const lockName = ".workshop.lock"

// A Holder says who has a folder's lock.
type Holder struct {
	Command string `json:"command"`       // "watch" or "studio"
	PID     int    `json:"pid"`           // its process
	URL     string `json:"url,omitempty"` // of a studio
}

// A HeldError is returned for a folder that another process checks already.
type HeldError struct {
	Dir    string
	Holder Holder // the zero value if that is not known
}

// Error says where the first one is.
func (e *HeldError) Error() string {
	switch {
	case e.Holder.URL != "":
		return fmt.Sprintf("the studio of %s is running already: %s", e.Dir, e.Holder.URL)
	case e.Holder.Command != "":
		return fmt.Sprintf("%s is running already in %s (process %d): end it with Ctrl-C first", e.Holder.Command, e.Dir, e.Holder.PID)
	}
	return fmt.Sprintf("%s is checked by another watch or studio already: end that with Ctrl-C first", e.Dir)
}

// A Lock is a folder's. The system gives it back when the process ends.
type Lock struct{ file *os.File } // nil where nothing can be written

// Hold takes the lock of a folder, or returns a *HeldError if another process has it. Where
// the system has no locks, and in a folder in which nothing can be written, each call
// succeeds: a check needs neither.
func Hold(dir string, h Holder) (*Lock, error) {
	name := filepath.Join(dir, lockName)
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600) // a studio's URL is a secret
		if err != nil {
			return &Lock{}, nil
		}
		switch err := tryLock(f); {
		case errors.Is(err, errHeld):
			defer f.Close()
			return nil, &HeldError{dir, readHolder(f)}
		case err != nil && !errors.Is(err, errors.ErrUnsupported):
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		if !isStill(f, name) { // the one before has removed it meanwhile
			f.Close()
			continue
		}
		l := &Lock{f}
		return l, l.write(h)
	}
}

// isStill reports whether f is the file of that name.
func isStill(f *os.File, name string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(name)
	return err == nil && os.SameFile(mine, there)
}

func readHolder(f *os.File) (h Holder) {
	data := make([]byte, 4<<10)
	n, _ := f.ReadAt(data, 0)
	if json.Unmarshal(data[:n], &h) != nil {
		return Holder{} // it is being written
	}
	return h
}

func (l *Lock) write(h Holder) error {
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := l.file.Truncate(0); err != nil {
		return err
	}
	_, err = l.file.WriteAt(data, 0)
	return err
}

// Release gives the lock back.
func (l *Lock) Release() error {
	if l.file == nil {
		return nil
	}
	removed := os.Remove(l.file.Name()) // on Windows, an open file stays
	if errors.Is(l.file.Close(), os.ErrClosed) {
		return os.ErrClosed
	}
	if removed != nil {
		os.Remove(l.file.Name())
	}
	return nil
}
