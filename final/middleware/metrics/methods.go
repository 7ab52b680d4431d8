package metrics

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// maxName is the longest name of a method, in bytes, that is a label: a server's
// own default.
const maxName = 128

// methods finds a method's metrics by its name, up to limit of them.
type methods struct {
	side  *side
	limit int
	other *method // for the names above the limit

	known atomic.Pointer[map[string]*method] // replaced, never changed
	mu    sync.Mutex                         // one replacement at a time
}

func newMethods(s *side, limit int, other string) *methods {
	m := &methods{side: s, limit: limit, other: s.method(other)}
	m.known.Store(&map[string]*method{})
	return m
}

// find returns the metrics of the method of that name.
func (m *methods) find(name string) *method {
	if found := (*m.known.Load())[name]; found != nil {
		return found
	}
	if len(*m.known.Load()) >= m.limit || len(name) > maxName || !utf8.ValidString(name) {
		return m.other
	}
	return m.add(strings.Clone(name)) // it may be a piece of something large
}

func (m *methods) add(name string) *method {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := *m.known.Load()
	switch {
	case known[name] != nil:
		return known[name]
	case len(known) >= m.limit:
		return m.other
	}
	more := make(map[string]*method, len(known)+1)
	maps.Copy(more, known)
	more[name] = m.side.method(name)
	m.known.Store(&more)
	return more[name]
}
