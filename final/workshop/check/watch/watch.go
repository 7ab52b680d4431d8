// Package watch notices when files are saved.
package watch

import (
	"context"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Options of Changes; the zero value is for use.
type Options struct {
	Poll     bool          // never ask the system for notice, only look
	Interval time.Duration // how often to look; 0: a second if only that is done, else three
	Settle   time.Duration // how long all has to be quiet after a notice; 0: 100 ms
}

// Changes returns a channel that receives when a file below dir has been written,
// added or removed since the call or the receive before; several changes may be
// one. It is closed when ctx has ended.
//
// What counts is what a look at the files finds: a system's notices only say when
// to look, since there are folders, mounted from elsewhere, where none ever comes.
func Changes(ctx context.Context, dir string, o Options) <-chan struct{} {
	w := &watcher{dir: dir, options: o, changed: make(chan struct{}, 1)}
	w.notices = w.listen()
	if w.options.Interval == 0 {
		w.options.Interval = 3 * time.Second
		if w.notices == nil {
			w.options.Interval = time.Second
		}
	}
	if w.options.Settle == 0 {
		w.options.Settle = 100 * time.Millisecond
	}
	w.seen = w.look()
	go w.run(ctx)
	return w.changed
}

// A watcher belongs to one goroutine, that of run.
type watcher struct {
	dir     string
	options Options
	notices *fsnotify.Watcher // nil: none come
	seen    map[string]stamp
	changed chan struct{} // of one, so that changes nobody has received yet are one
}

// A stamp is what differs when a file has been written.
type stamp struct {
	modified time.Time
	size     int64
}

// listen asks the system for notices; nil if it has none to give.
func (w *watcher) listen() *fsnotify.Watcher {
	if w.options.Poll {
		return nil
	}
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		return nil
	}
	w.notices = notices
	if err := w.add(w.dir); err != nil { // such as too many watches
		notices.Close()
		return nil
	}
	return notices
}

// add asks for notices from dir and the folders below it.
func (w *watcher) add(dir string) error {
	return walk(dir, func(path string, d fs.DirEntry) error {
		if d.IsDir() {
			return w.notices.Add(path)
		}
		return nil
	})
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.changed)
	var events chan fsnotify.Event // nil: never
	var failed chan error
	if w.notices != nil {
		defer w.notices.Close()
		events, failed = w.notices.Events, w.notices.Errors
	}
	look := time.NewTicker(w.options.Interval)
	defer look.Stop()
	settled := time.NewTimer(w.options.Settle) // one look too many does no harm
	defer settled.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			if event.Has(fsnotify.Create) {
				_ = w.add(event.Name) // a new folder; if it is gone again, the next look sees that
			}
			if !ignored(filepath.Base(event.Name)) {
				settled.Reset(w.options.Settle)
			}
		case <-failed: // notices were lost
			settled.Reset(w.options.Settle)
		case <-settled.C:
			w.compare()
		case <-look.C:
			w.compare()
		}
	}
}

// compare looks, and tells if anything is different.
func (w *watcher) compare() {
	now := w.look()
	if maps.Equal(now, w.seen) {
		return
	}
	w.seen = now
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

// matters has the endings of the files on which a test may depend. What a test
// itself writes, such as a log, must not have it run again, for ever.
var matters = map[string]bool{".go": true, ".mod": true, ".sum": true, ".work": true, ".json": true, ".txt": true, ".txtar": true}

// look returns the stamps of the files that matter. What cannot be read is not
// there.
func (w *watcher) look() map[string]stamp {
	stamps := map[string]stamp{}
	_ = walk(w.dir, func(path string, d fs.DirEntry) error {
		if d.IsDir() || !matters[filepath.Ext(path)] {
			return nil
		}
		if info, err := d.Info(); err == nil {
			stamps[path] = stamp{info.ModTime(), info.Size()}
		}
		return nil
	})
	return stamps
}

// walk calls f for dir and what is below it, but for what is ignored.
func walk(dir string, f func(path string, d fs.DirEntry) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil // gone between two looks
		case path != dir && ignored(d.Name()):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return f(path, d)
	})
}

// ignored reports whether a file or folder of that name is none of a learner's:
// hidden ones, such as .git and the tool's own, what editors write beside a file
// while it is saved, and what the go command writes itself.
func ignored(name string) bool {
	switch {
	case strings.HasPrefix(name, "."), strings.HasPrefix(name, "#"), name == "4913", name == "go.work.sum":
		return true
	}
	for _, suffix := range []string{"~", ".tmp", ".swp", ".swx", ".bak", ".test", ".exe"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return strings.Contains(name, "___jb_")
}
