package rpc

import (
	"context"
	"fmt"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// encodedAgain is from where on an encoded item is dropped while its sender waits, and
// encoded again after: what waits is the sender's value, not a second copy of it. It is
// dropped once: when it was encoded again, it waits as it is if there is no room any more.
const encodedAgain = 4 << 10

// outItem is an encoded item on its way to the lane.
type outItem struct {
	outBody
	charge int64 // what it has taken of the memory of replies
}

// encode encodes an item, with what its caller is told if that fails.
func (t *streamTable) encode(item any) (out outItem, err error) {
	out.outBody, err = t.bodies.encode(context.Background(), item, nil)
	if err != nil {
		return outItem{}, err
	}
	most := t.maxSend - wire.MinLength
	out.compress(t.compress, most)
	if n := out.size(); n > most || itemCost(n) > wire.MaxCredit {
		out.drop()
		return outItem{}, &itemTooLarge{n, most}
	}
	return out, nil
}

// dropItem gives back what an item has that is not sent, or not yet.
func (t *streamTable) dropItem(item *outItem) {
	item.drop()
	t.uncharge(item.charge)
	item.charge = 0
}

// itemTooLarge is the error for an item that the peer does not read.
type itemTooLarge struct{ size, most int }

func (e *itemTooLarge) Error() string { return e.toError().Error() }

func (e *itemTooLarge) toError() *Error {
	return Errorf(ResourceExhausted, "item of %d bytes: the other side reads at most %d", e.size, e.most)
}

// sendState is what became of an item.
type sendState uint8

const (
	itemAppended  sendState = iota
	itemWaits               // for credit or room
	itemUncharged           // waits for memory
)

// offered is what an offer has led to, and what its sender has to do next.
type offered struct {
	state sendState
	start bool // it has to flush
	alone bool // nothing more is to be expected soon
}

// offer appends an encoded item if the peer has given credit for it and there is room.
// Otherwise the sender will be woken when it should try again.
func (s *stream) offer(body *outItem) (offered, error) {
	t, out := s.table, &s.out
	cost := itemCost(body.size())
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case out.err != nil:
		return offered{}, out.err
	case t.out.err != nil: // the connection is about to end its streams
		return offered{}, s.lostBecause(t.out.err)
	case s.server != nil && s.server.toldByContext():
		return offered{}, s.server.failure
	case out.wanted > t.peerWindow && cost+t.peerWindow < out.wanted: // the rest of what was lent would be left
		return offered{}, &itemShrunk{out.wanted, cost}
	case cost > out.credit:
		t.lane.returnRoom(s) // it was encoded again, and has become larger: others need not wait for it
		t.lane.admit()
		out.askCredit(s, cost)
		out.wait.begin()
		return offered{state: itemWaits, start: t.out.start(), alone: true}, nil
	case !t.lane.askRoom(s, wire.HeaderSize+body.size(), body.size() > encodedAgain):
		out.wait.begin()
		return offered{state: itemWaits}, nil
	}
	if s.server != nil && !out.headed {
		s.server.headerLeaves()
	}
	out.wanted, out.wantDue = 0, false
	out.credit -= cost
	out.items++
	out.bytes += int64(body.size())
	large := body.size() >= largeBody // and worth a write of its own
	t.lane.size += out.add(s.id, body)
	t.lane.ready.push(s)
	alone := large || !out.busy
	out.busy = true
	return offered{itemAppended, t.out.start(), alone}, nil
}

// lostBecause returns the error of a Send on a connection that has ended with err.
func (s *stream) lostBecause(err error) *Error {
	if s.server != nil {
		return canceledBy(err)
	}
	return lostError(err)
}

// Send implements [Stream].
func (s *stream) Send(ctx context.Context, item any) error {
	if err := s.send(ctx, item); err != nil {
		return s.notSent(err)
	}
	return nil
}

// notSent says why an item was not sent. nil is a goroutine that a user's code has ended.
func (s *stream) notSent(err error) *Error {
	switch e := err.(type) {
	case nil:
		return s.exited()
	case *Error:
		return e
	case *itemTooLarge:
		return e.toError()
	}
	if s.client != nil {
		return s.client.notEncoded(err)
	}
	return s.server.notEncoded(err)
}

// exited is the error of a stream whose goroutine a user's code has ended.
func (s *stream) exited() *Error {
	if s.client != nil {
		return errUserEnded(s.client.method)
	}
	return errGoexit(s.server.call.method)
}

// send sends an item: all of it, or nothing.
func (s *stream) send(ctx context.Context, item any) error {
	t := s.table
	body, err := t.encode(item)
	if err != nil {
		return err
	}
	if !t.charge(&body) {
		return s.sendLater(ctx, item, body, offered{state: itemUncharged})
	}
	last, err := s.offer(&body)
	switch {
	case err != nil:
		t.dropItem(&body)
		return err
	case last.state == itemAppended:
		t.flush(last.start, last.alone)
		return nil
	}
	return s.sendLater(ctx, item, body, last)
}

// sendLater is send for an item that has to wait, for what the last offer says.
func (s *stream) sendLater(ctx context.Context, item any, body outItem, last offered) (err error) {
	t := s.table
	exits := true
	defer func() { // also if a user's code ends this goroutine
		if s.passRoom() && (exits || err != nil) {
			err = s.giveUp(err)
		}
	}()
	for {
		t.flush(last.start, last.alone)
		if last.state == itemAppended {
			break
		}
		if last.state == itemWaits {
			err = s.waitToOffer(ctx, item, &body)
		}
		if err == nil {
			err = s.reserve(ctx, item, &body)
		}
		if err == nil {
			last, err = s.offer(&body)
		}
		if err != nil {
			t.dropItem(&body)
			break
		}
	}
	exits = false
	return err
}

// giveUp ends the stream, since the other side may have put memory aside for the item that
// is not sent. It returns what Send then returns.
func (s *stream) giveUp(err error) *Error {
	why := s.notSent(err)
	if s.client != nil {
		s.client.leave(why)
	} else {
		s.server.giveUp(why)
	}
	return why
}

// waitToOffer waits until the item may be offered again.
func (s *stream) waitToOffer(ctx context.Context, item any, body *outItem) (err error) {
	if body.size() > encodedAgain && !s.hasEncodedAgain() {
		s.table.dropItem(body)
	}
	if err = s.awaitSending(ctx); err == nil && body.buf == nil {
		*body, err = s.table.encode(item)
	}
	return err
}

// hasEncodedAgain reports whether the item was encoded again after it had waited for room.
func (s *stream) hasEncodedAgain() bool {
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	return s.out.encodes
}

// awaitSending waits until the item that waits may be offered again.
func (s *stream) awaitSending(ctx context.Context) error {
	out := &s.out
	select {
	case <-out.wait.wake:
		return nil
	case <-s.ended(ctx):
	}
	s.table.mu.Lock()
	defer s.table.mu.Unlock()
	out.wait.leave()
	if out.err != nil {
		return out.err
	}
	return endOfContext(ctx)
}

// itemShrunk is the error for an item that was encoded again, and is much smaller now.
type itemShrunk struct{ was, is int64 }

func (e *itemShrunk) Error() string {
	return fmt.Sprintf("the item costs %d bytes, and %d bytes when it was first encoded", e.is, e.was)
}

// passRoom gives back the room that a sender has waited for, and lets the next one go on. It
// reports whether the stream goes on and the peer was asked for credit above the window: the
// peer may then have lent memory for the item.
func (s *stream) passRoom() (lent bool) {
	t, out := s.table, &s.out
	t.mu.Lock()
	defer t.mu.Unlock()
	lent = out.err == nil && out.wanted > t.peerWindow
	out.wait.waiting = false
	out.wanted, out.wantDue = 0, false
	t.lane.returnRoom(s)
	t.lane.admit()
	return lent
}
