package rpc

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// A server stream that never ran is opened again, as a call is made again: its server has
// refused it, or went away before it had read the open. A stream of which an item came in
// has run. Streams that the caller sends on are left as they are: an item may have gone out.

// mostKept is how large a request may be that is kept, encoded, for that.
const mostKept = 64 << 10

// reopening is a server stream at its caller, on one connection after the other.
type reopening struct {
	group   *group
	method  string
	callers context.Context
	ctx     context.Context // callers, ended by end
	end     context.CancelFunc
	got     atomic.Bool // an item has come in

	turn  sync.Mutex // held while it is opened
	tries tries      // guarded by turn

	mu     sync.Mutex // guards what follows; taken before a connection's
	params *encoded   // nil: it is too large to be kept, or is not needed any more
	now    *clientStream
	moved  chan struct{} // closed when now is another one, or failed is set
	failed error         // why no other stream follows one that never ran
	closed bool
	own    context.Context // ends with the stream; nil until it is asked for
}

var _ OpenedStream = (*reopening)(nil)

// openAgain opens a server stream, which may be opened again.
func (g *group) openAgain(ctx context.Context, method string, params any) (OpenedStream, error) {
	r := &reopening{group: g, method: method, callers: ctx, tries: tries{stream: true}, moved: make(chan struct{})}
	if params == nil {
		r.params = new(encoded)
	}
	if deadline, bounded := ctx.Deadline(); bounded && ctx.Done() == nil { // a user's, which does not end by itself
		r.ctx, r.end = context.WithDeadline(derivable(ctx), deadline)
	} else {
		r.ctx, r.end = context.WithCancel(derivable(ctx))
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	opened := false
	defer func() {
		if !opened {
			r.end()
		}
	}()
	s, err := g.open(r.ctx, &r.tries, ServerStreaming, method, params, r)
	if err != nil {
		return nil, err
	}
	opened = true
	r.now = s
	return r, nil
}

// keep keeps the request as it is sent first.
func (r *reopening) keep(body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.params == nil && len(body) <= mostKept {
		r.params = &encoded{body: append([]byte(nil), body...)}
	}
}

// after opens the stream again after s, which never ran, unless that may not be.
func (r *reopening) after(s *clientStream, failed error) {
	r.turn.Lock()
	defer r.turn.Unlock()
	t := &r.tries
	if s.attempt != nil {
		t.number, t.failed = s.attempt.Number, failed
	}
	r.mu.Lock()
	params := r.params
	r.mu.Unlock()
	var next *clientStream
	err := error(errUserEnded(r.method)) // unless open, which asks a user's context, returns
	defer func() { r.move(s, next, err) }()
	if params == nil || !r.group.mayGoOn(r.ctx, t, r.method, s.conn.owner, failed) {
		err = failed
		return
	}
	if err = r.group.payAgain(r.ctx, t, failed); err == nil {
		next, err = r.group.open(r.ctx, t, ServerStreaming, r.method, params, r)
	}
}

// move replaces s by next, or err if there is none.
func (r *reopening) move(s, next *clientStream, err error) {
	r.mu.Lock()
	if r.closed && next == nil {
		err = Errorf(Canceled, "%w", errStreamClosed)
	}
	s.conn.mu.Lock()
	told := s.onEnd
	s.onEnd = nil
	s.conn.mu.Unlock()
	if next == nil {
		r.failed = err
	} else {
		r.now = next
	}
	close(r.moved)
	r.moved = make(chan struct{})
	for _, f := range told {
		r.onEndLocked(f)
	}
	r.mu.Unlock()
	if next == nil {
		r.end()
	}
}

// current returns the stream as it is, and what is closed when that changes.
func (r *reopening) current() (s *clientStream, moved <-chan struct{}, failed error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now, r.moved, r.failed
}

// try does something with the stream, and again with the next one if it never ran.
func (r *reopening) try(ctx context.Context, do func(s *clientStream) error) error {
	for {
		s, moved, failed := r.current()
		if failed != nil {
			return failed
		}
		err := do(s)
		if err == nil || err == io.EOF || !s.neverRan() {
			return err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return contextError(ctxError(ctx))
		}
	}
}

// neverRan reports whether the stream has ended so, and is to be opened again.
func (s *clientStream) neverRan() bool {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return s.neverRanLocked()
}

func (s *clientStream) neverRanLocked() bool {
	return s.again != nil && s.in.err != nil && s.in.err != io.EOF && NeverRan(s.in.err)
}

// Receive implements [Stream].
func (r *reopening) Receive(ctx context.Context, item any) error {
	err := r.try(ctx, func(s *clientStream) error { return s.Receive(ctx, item) })
	if err == nil && !r.got.Load() {
		r.got.Store(true)
		r.mu.Lock()
		r.params = nil
		r.mu.Unlock()
	}
	return err
}

// Send implements [Stream]: the caller of a server stream sends nothing.
func (r *reopening) Send(context.Context, any) error { return errNoItems }

// Stats implements [Stream].
func (r *reopening) Stats() StreamStats {
	s, _, _ := r.current()
	return s.Stats()
}

// CloseSend implements [OpenedStream]: the half has ended with the open.
func (r *reopening) CloseSend() error { return nil }

// Close implements [OpenedStream].
func (r *reopening) Close() error {
	r.mu.Lock()
	r.closed = true
	s := r.now
	r.mu.Unlock()
	s.Close()
	r.end()
	return nil
}

// Header implements [OpenedStream].
func (r *reopening) Header(ctx context.Context) (md Metadata, err error) {
	err = r.try(ctx, func(s *clientStream) error {
		md, err = s.Header(ctx)
		return err
	})
	return md, err
}

// Trailer implements [OpenedStream].
func (r *reopening) Trailer() Metadata {
	s, _, _ := r.current()
	return s.Trailer()
}

// Context implements [OpenedStream].
func (r *reopening) Context() context.Context {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own == nil {
		own, end := context.WithCancel(r.ctx)
		r.own = own
		r.onEndLocked(func(error) { end() })
	}
	return r.own
}

// OnEnd implements [OpenedStream].
func (r *reopening) OnEnd(f func(err error)) {
	if f == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onEndLocked(f)
}

func (r *reopening) onEndLocked(f func(err error)) {
	if failed := r.failed; failed != nil {
		go guardHook("a function of OnEnd", func() { f(failed) })
		return
	}
	r.now.OnEnd(f) // which keeps it, if now has never run
}
