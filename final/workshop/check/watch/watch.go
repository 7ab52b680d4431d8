// Package watch notices when files are saved.
package watch

import (
	"context"
	"io/fs"
	"maps"
	"os"
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
// Symbolic links are followed, and dir may be one. Each look begins at dir's name,
// so that a folder that was replaced by another one is seen.
func Changes(ctx context.Context, dir string, o Options) <-chan struct{} {
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	w := &watcher{dir: dir, options: o, changed: make(chan struct{}, 1), listened: map[string]fs.FileInfo{}}
	if !o.Poll {
		// Without notices there is nothing but looking.
		w.notices, _ = fsnotify.NewWatcher()
	}
	w.seen = w.look()
	if w.options.Interval == 0 {
		w.options.Interval = 3 * time.Second
		if w.notices == nil || w.deaf {
			w.options.Interval = time.Second
		}
	}
	if w.options.Settle == 0 {
		w.options.Settle = 100 * time.Millisecond
	}
	go w.run(ctx)
	return w.changed
}

// A watcher belongs to one goroutine, that of run.
type watcher struct {
	dir     string
	options Options
	changed chan struct{} // of one, so that changes nobody has received yet are one
	seen    map[string]stamp

	notices  *fsnotify.Watcher      // nil: none come
	listened map[string]fs.FileInfo // the folders that notices come from, by path
	deaf     bool                   // there are others, such as beyond the system's limit
	roots    map[string]bool        // dir, and where it leads
}

// A stamp is what differs when a file has been written.
type stamp struct {
	modified time.Time
	size     int64
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
			if event.Has(fsnotify.Create) && w.concerns(event.Name) {
				w.look() // listens to a new folder at once: all is quiet only when nothing happens there
			}
			if w.concerns(event.Name) {
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

// concerns reports whether a notice about path may be about a learner's file. Beside
// dir there are others, and only dir itself counts.
func (w *watcher) concerns(path string) bool {
	if ignored(filepath.Base(path)) && !w.roots[path] {
		return false
	}
	for root := range w.roots {
		if filepath.Dir(root) == filepath.Dir(path) {
			return w.roots[path]
		}
	}
	return true
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

// look returns the stamps of the files that matter, and asks for notices from their
// folders. What cannot be read is not there.
func (w *watcher) look() map[string]stamp {
	stamps := map[string]stamp{}
	folders := map[string]bool{}
	walk(w.dir, map[string]bool{}, func(path, real string, info fs.FileInfo) {
		switch {
		case info.IsDir():
			folders[real] = true
		case matters[filepath.Ext(path)]:
			stamps[path] = stamp{info.ModTime(), info.Size()}
			folders[filepath.Dir(real)] = true // another one, if path is a link
		}
	})
	w.roots = map[string]bool{w.dir: true}
	if real, err := filepath.EvalSymlinks(w.dir); err == nil {
		w.roots[real] = true
	}
	for root := range w.roots {
		folders[filepath.Dir(root)] = true // dir itself may be replaced
	}
	w.listen(folders)
	return stamps
}

// listen asks for notices from the folders, and no others. One that was replaced
// by another of its name is asked again.
func (w *watcher) listen(folders map[string]bool) {
	if w.notices == nil {
		return
	}
	for path, before := range w.listened {
		if now, err := os.Stat(path); err != nil || !folders[path] || !os.SameFile(before, now) {
			_ = w.notices.Remove(path) // it may be gone
			delete(w.listened, path)
		}
	}
	for path := range folders {
		info, err := os.Stat(path)
		if err != nil || w.listened[path] != nil {
			continue
		}
		if w.notices.Add(path) != nil {
			w.deaf = true
			continue
		}
		w.listened[path] = info
	}
}

// walk calls f for path and what is below it, but for what is ignored. It follows
// links; real is where they lead. inside are the folders that were walked already:
// a link may lead to one of them.
func walk(path string, inside map[string]bool, f func(path, real string, info fs.FileInfo)) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return // gone between two looks, or a link to nothing
	}
	info, err := os.Stat(real)
	if err != nil || inside[real] {
		return
	}
	f(path, real, info)
	if !info.IsDir() {
		return
	}
	inside[real] = true
	entries, _ := os.ReadDir(real)
	for _, entry := range entries {
		if !ignored(entry.Name()) {
			walk(filepath.Join(path, entry.Name()), inside, f)
		}
	}
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
