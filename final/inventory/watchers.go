package inventory

import (
	"maps"
	"slices"
	"sync"
)

// watchers are those who wait for changes. The zero value is none.
type watchers struct {
	mu  sync.Mutex
	all map[*watcher]struct{}
}

// A watcher knows which of its items have changed since it looked, not to what: it
// reads them when it can send, and changes that are told out of order do no harm.
type watcher struct {
	wake  chan struct{}       // has room for one: it need not be told twice
	items map[string]struct{} // all that it watches

	mu      sync.Mutex
	changed map[string]struct{}
}

// add returns a watcher for which all items have changed.
func (ws *watchers) add(items []string) *watcher {
	w := &watcher{wake: make(chan struct{}, 1), items: make(map[string]struct{}, len(items))}
	for _, id := range items {
		w.items[id] = struct{}{}
	}
	w.changed = maps.Clone(w.items)
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.all == nil {
		ws.all = map[*watcher]struct{}{}
	}
	ws.all[w] = struct{}{}
	return w
}

func (ws *watchers) remove(w *watcher) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	delete(ws.all, w)
}

// tell wakes those who watch one of the items. It waits for none of them.
func (ws *watchers) tell(items []string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for w := range ws.all {
		w.tell(items)
	}
}

func (w *watcher) tell(items []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range items {
		if _, mine := w.items[id]; mine {
			w.changed[id] = struct{}{}
		}
	}
	if len(w.changed) > 0 {
		select {
		case w.wake <- struct{}{}:
		default: // it will look
		}
	}
}

// take returns the items that have changed since the last take, sorted.
func (w *watcher) take() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := slices.Sorted(maps.Keys(w.changed))
	clear(w.changed)
	return changed
}
