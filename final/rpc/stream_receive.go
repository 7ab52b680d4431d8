package rpc

import (
	"context"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// receive waits for the next item and decodes it into item, a pointer to a zero value. The
// error is io.EOF, or what the stream has failed with. It is a badItem if this item cannot be
// decoded; further calls then return the same.
func (s *stream) receive(ctx context.Context, item any) error {
	in := &s.in
	for {
		switch {
		case in.stuck != nil && in.stuck.failed != nil:
			return in.stuck.failed
		case in.gone.Load():
			in.reading.drop()
			in.dropAgain()
		}
		if in.stuck != nil {
			next := in.stuck.again
			in.stuck = nil
			return s.take(ctx, next, item)
		}
		if next, ok := in.reading.pop(); ok {
			return s.take(ctx, next, item)
		}
		if err := s.refill(ctx); err != nil {
			return err
		}
	}
}

// ended returns what a Send or Receive that waits under ctx has to watch beside its own
// channel. With the context of its handler a stream ends, which wakes it: that is watched
// by nobody, so that the channel of its Done is not made.
func (s *stream) ended(ctx context.Context) <-chan struct{} {
	if s.server != nil && ctx == s.server.ctx {
		return nil
	}
	return ctx.Done()
}

// badItem is the error of an item that cannot be decoded.
type badItem struct{ err error }

func (e *badItem) Error() string { return e.err.Error() }

// take decodes an item, and counts it as taken. Small items are counted in batches, so that
// not each takes the lock; if the peer waits for credit, each is counted at once.
func (s *stream) take(ctx context.Context, next queuedItem, item any) error {
	in := &s.in
	var err error
	if s.server != nil {
		err = s.server.makeRoom(ctx, &next)
	}
	if e, ok := err.(*notYet); ok {
		in.stuck = &stuck{again: next}
		return e.why
	}
	if err == nil {
		err = s.table.decode(&next, item)
	}
	bytepool.Put(next.own)
	if in.reading.empty() { // a stream that waits for the next one holds no buffer
		bytepool.Put(in.reading.records)
		in.reading = itemQueue{}
	}
	if err != nil {
		in.stuck = &stuck{failed: &badItem{err}}
		return in.stuck.failed
	}
	if in.uncounted.Add(next.cost) >= int64(s.batch) || in.hungry.Load() {
		s.countNow()
	}
	return nil
}

// countNow counts what was taken, and sends the credit that this gives.
func (s *stream) countNow() {
	t := s.table
	t.mu.Lock()
	s.count()
	start := t.out.start()
	t.mu.Unlock()
	t.flush(start, false)
}

// count counts what was taken since it was last called. Callers hold the lock.
func (s *stream) count() { s.took(s.in.uncounted.Swap(0)) }

// dropAgain drops the item that waits to be decoded again, for which there was no memory.
func (h *inHalf) dropAgain() {
	if h.stuck != nil {
		bytepool.Put(h.stuck.again.own)
		h.stuck = nil
	}
}

// decode decodes an item, after its compression is taken off.
func (t *streamTable) decode(next *queuedItem, item any) error {
	if next.flags&itemCompressed != 0 {
		if next.own == nil { // expand gives back what it is given
			next.own = bytepool.Get(len(next.data))
			next.own.B = append(next.own.B, next.data...)
		}
		out, err := expand(next.own, next.own.B, t.maxRead-wire.MinLength)
		next.own = out
		if err != nil {
			return err
		}
		next.data = out.B
	}
	return t.bodies.decode(next.data, 0, item)
}

// refill takes all items that have arrived out of the queue, or waits for one: the lock is
// taken once for a burst.
func (s *stream) refill(ctx context.Context) error {
	t, in := s.table, &s.in
	t.mu.Lock()
	s.count()
	var wake <-chan struct{}
	var ended error
	switch {
	case !in.queue.empty():
		bytepool.Put(in.reading.records)
		in.reading, in.queue = in.queue, itemQueue{}
		s.batch = int32(in.window / 4)
	case in.err != nil:
		ended = in.err
	default:
		wake = in.wait.begin()
	}
	start := t.out.start()
	t.mu.Unlock()
	t.flush(start, wake != nil)
	if ended != nil && s.client != nil {
		s.client.unbindReceived()
	}
	if wake == nil {
		return ended
	}
	bytepool.Put(in.reading.records)
	in.reading = itemQueue{}
	return s.awaitItem(ctx, wake)
}

func (s *stream) awaitItem(ctx context.Context, wake <-chan struct{}) error {
	select {
	case <-wake:
		return nil
	case <-s.ended(ctx):
	}
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	s.in.wait.leave()
	return endOfContext(ctx)
}
