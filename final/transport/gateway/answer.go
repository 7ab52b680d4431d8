package gateway

import (
	"net/http"
	"time"
)

const (
	// leastRate is how many bytes of an answer a client has to take in a second, on
	// average, beyond the first write timeout.
	leastRate = 16 << 10
	// writeSize is how much is written under one deadline.
	writeSize = 64 << 10
	// longestTimeout is the longest that counts. With more, a deadline could be in the past.
	longestTimeout = 100 * 365 * 24 * time.Hour
)

// timedWriter is a ResponseWriter that gives a client so much time to read. Who does not
// read would otherwise keep the answer in memory for ever.
type timedWriter struct {
	http.ResponseWriter
	timeout time.Duration
	began   time.Time // when the answer did
	written int64
}

// timed returns w with a write timeout; 0 is none.
func timed(w http.ResponseWriter, timeout time.Duration) http.ResponseWriter {
	if timeout <= 0 {
		return w
	}
	return &timedWriter{ResponseWriter: w, timeout: min(timeout, longestTimeout)}
}

// untimed returns the ResponseWriter that net/http gave us, which some of its
// functions look for.
func untimed(w http.ResponseWriter) http.ResponseWriter {
	if t, ok := w.(*timedWriter); ok {
		return t.ResponseWriter
	}
	return w
}

// restart begins the next answer, as each item of a stream is one.
func (w *timedWriter) restart() {
	w.began, w.written = time.Time{}, 0
}

// rest takes the deadline off until the next write: over HTTP/2 its passing ends a stream
// of which nothing waits to be written, too.
func (w *timedWriter) rest() {
	http.NewResponseController(w.ResponseWriter).SetWriteDeadline(time.Time{})
}

// Unwrap is for [http.ResponseController].
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *timedWriter) WriteHeader(status int) {
	w.extend(0)
	w.ResponseWriter.WriteHeader(status)
}

func (w *timedWriter) Write(b []byte) (n int, err error) {
	for more := true; more && err == nil; more = n < len(b) {
		part := b[n:min(n+writeSize, len(b))]
		w.extend(len(part))
		var wrote int
		wrote, err = w.ResponseWriter.Write(part)
		n += wrote
	}
	return n, err
}

// extend sets the deadline for the next bytes: each write has the timeout, and all of
// them together have it once, and then the least rate. Net/http takes the deadline off
// after the answer. A ResponseWriter that knows no deadlines goes without.
func (w *timedWriter) extend(bytes int) {
	now := time.Now()
	if w.began.IsZero() {
		w.began = now
	}
	w.written += int64(bytes)
	deadline := w.began.Add(w.timeout + time.Duration(w.written)*time.Second/leastRate)
	if each := now.Add(w.timeout); each.Before(deadline) {
		deadline = each
	}
	http.NewResponseController(w.ResponseWriter).SetWriteDeadline(deadline)
}
