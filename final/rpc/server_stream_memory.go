package rpc

import (
	"context"
	"reflect"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// What large items take of a server's memory for calls. An item that a handler sends takes
// that of replies from its encoding until it is written. One that it receives takes that
// of params from its decoding until the next one, or until the handler returns.

// charge takes memory of replies for an item that is large, if that is possible now.
func (t *streamTable) charge(body *outItem) bool {
	n := int64(body.size())
	if t.replies == nil || n <= uncounted {
		return true
	}
	if !t.replies.take(n) {
		return false
	}
	body.charge = n
	return true
}

// uncharge gives back memory of replies.
func (t *streamTable) uncharge(n int64) {
	if n > 0 {
		t.replies.give(n)
	}
}

// reserve is charge that waits. Meanwhile the item is dropped, so that what waits is the
// sender's value alone, and others get its room in the lane.
func (s *stream) reserve(ctx context.Context, item any, body *outItem) (err error) {
	t := s.table
	if body.charge > 0 || t.charge(body) {
		return nil
	}
	n := int64(body.size())
	body.drop()
	t.mu.Lock()
	t.lane.returnRoom(s)
	t.lane.admit()
	t.mu.Unlock()
	taken, ok := t.replies.awaitUntil(n, ctx.Done(), s.server.ctx.Done())
	if !ok {
		return s.noMemory(ctx)
	}
	if *body, err = t.encode(item); err != nil {
		t.uncharge(taken)
		return err
	}
	if more := int64(body.size()) - n; more > 0 { // it is another one now
		t.replies.overdraw(more)
		taken += more
	}
	body.charge = taken
	return nil
}

// noMemory returns why a sender stopped waiting for memory.
func (s *stream) noMemory(ctx context.Context) error {
	t := s.table
	t.mu.Lock()
	failed, lost := s.out.err, t.out.err
	t.mu.Unlock()
	switch {
	case failed != nil:
		return failed
	case lost != nil:
		return s.lostBecause(lost)
	case s.server.ctx.Err() != nil:
		return endOfContext(s.server.ctx)
	}
	return endOfContext(ctx)
}

// makeRoom takes memory of params for what an item can become when it is decoded, and then
// decompresses it. How much that is is known only of the plain item, so memory for the size
// that gzip claims is taken first. While it waits for memory it holds none, so that two
// receivers cannot wait for each other. If it fails, next is as it was.
func (s *serverStream) makeRoom(ctx context.Context, next *queuedItem) error {
	limit := 0
	if next.flags&itemCompressed != 0 {
		limit = min(s.table.maxRead-wire.MinLength, claimedSize(next.data))
	}
	have := counted(int64(limit))
	if err := s.takeRoom(ctx, have, next); err != nil {
		return err
	}
	for {
		plain, size, err := s.plainItem(next, limit)
		if err != nil {
			return err
		}
		total := counted(int64(limit)) + counted(size)
		if total <= have || s.tryRoom(total-have) {
			if plain.own != next.own {
				bytepool.Put(next.own)
			}
			*next = plain
			return nil
		}
		if plain.own != next.own {
			bytepool.Put(plain.own)
		}
		s.giveRoom()
		if err := s.takeRoom(ctx, total, next); err != nil {
			return err
		}
		have = total
	}
}

// counted returns how many bytes n count as: few are not counted.
func counted(n int64) int64 {
	if n <= uncounted {
		return 0
	}
	return n
}

// plainItem returns an item without its compression, and what it can become.
func (s *serverStream) plainItem(next *queuedItem, limit int) (plain queuedItem, size int64, err error) {
	plain = queuedItem{data: next.data, own: next.own, cost: next.cost}
	if next.flags&itemCompressed != 0 {
		if plain.own, err = expandClaimed(nil, next.data, limit, s.table.maxRead-wire.MinLength); err != nil {
			return plain, 0, err
		}
		plain.data = plain.own.B
	}
	if size, err = s.sizeOf(plain.data); err != nil && plain.own != next.own {
		bytepool.Put(plain.own)
	}
	return plain, size, err
}

// sizeOf returns what an item can become when it is decoded.
func (s *serverStream) sizeOf(data []byte) (n int64, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newCodecPanic("measuring an item for", reflect.Zero(reflect.PointerTo(s.call.method.info.Params)).Interface(), p)
		}
	}()
	return s.call.method.sizes[s.table.conn.codec](data), nil
}

// tryRoom takes memory of params if that is possible now.
func (s *serverStream) tryRoom(n int64) bool {
	if !s.table.params.take(n) {
		return false
	}
	s.hold(n)
	return true
}

// hold notes what was taken. If the handler has returned meanwhile, nothing will give it
// back later.
func (s *serverStream) hold(n int64) {
	s.held.Add(n)
	if s.in.gone.Load() {
		s.giveRoom()
	}
}

// giveRoom gives back what items have taken.
func (s *serverStream) giveRoom() {
	if s.held.Load() > 0 {
		s.table.params.give(s.held.Swap(0))
	}
}

// takeRoom is tryRoom that waits. Its error is a noRoom if n bytes can never fit, or a notYet
// if a context ends first.
func (s *serverStream) takeRoom(ctx context.Context, n int64, next *queuedItem) error {
	params := s.table.params
	switch {
	case n == 0 || s.tryRoom(n):
		return nil
	case n > params.most:
		return &noRoom{Errorf(ResourceExhausted, "item of %d bytes may take %d bytes of memory: those of one connection may take %d (WithParamsMemory)",
			len(next.data), n, params.most)}
	}
	taken, ok := params.awaitUntil(n, ctx.Done(), s.ctx.Done())
	if ok {
		s.hold(taken)
		return nil
	}
	ended := ctx
	if s.ctx.Err() != nil {
		ended = s.ctx
	}
	return &notYet{endOfContext(ended)}
}

// notYet is the error of a Receive whose context has ended while it waited for memory.
type notYet struct{ why *Error }

func (e *notYet) Error() string { return e.why.Error() }
