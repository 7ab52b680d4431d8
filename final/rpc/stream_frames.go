package rpc

import (
	"io"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// What the reader does with the frames of a stream that is open. It queues items and
// never decodes them, and waits for nothing: credit bounds what it has to queue.

// handleData queues an item, or a part of one. failed is what is wrong with this stream
// alone; err ends the connection.
func (t *streamTable) handleData(s *stream, f *wire.Frame) (failed *Error, err error) {
	in, cost := &s.in, wire.DataCost(len(f.Payload))
	if !in.closed && !s.arrived(cost) {
		return nil, Errorf(ResourceExhausted, "protocol: data of %d bytes on stream %d, which has credit for %d", cost, s.id, in.credit)
	}
	s.out.busy = false
	switch {
	case in.closed && s.in.drop:
		return nil, errProtocol("data for stream %d after its end", s.id)
	case in.closed:
		return errProtocol("data for stream %d after its end", s.id), nil
	case in.drop:
		return nil, nil
	}
	item := queuedItem{data: f.Payload, cost: cost}
	if f.Flags&wire.FlagCompressed != 0 {
		item.flags = itemCompressed
	}
	more, within := f.Flags&wire.FlagMore != 0, in.part != nil
	switch {
	case more && len(item.data) < wire.MinFragment:
		return errProtocol("a fragment of %d bytes on stream %d, less than %d", len(item.data), s.id, wire.MinFragment), nil
	case within && item.flags != 0:
		return errProtocol("a compressed fragment within an item of stream %d", s.id), nil
	case more || within:
		if failed := t.addPart(s, f, item); failed != nil || more {
			return failed, nil
		}
		item = *in.part
		in.part = nil
	case f.Large != nil:
		item.own, f.Large = f.Large, nil // it is the queue's now
	}
	in.items++
	in.bytes += int64(len(item.data))
	in.queue.push(item)
	in.wait.signal()
	return nil, nil
}

// addPart adds a fragment to the item that is arriving. Its memory grows with what arrives.
func (t *streamTable) addPart(s *stream, f *wire.Frame, part queuedItem) *Error {
	have := 0
	if s.in.part != nil {
		have = len(s.in.part.data)
	}
	size := have + len(part.data)
	if most := t.maxRead - wire.MinLength; size > most {
		return Errorf(ResourceExhausted, "protocol: an item of at least %d bytes on stream %d: at most %d are allowed", size, s.id, most)
	}
	if s.in.part == nil {
		s.in.part = new(queuedItem)
	}
	item := s.in.part
	switch {
	case item.own == nil && f.Large != nil:
		item.own, f.Large = f.Large, nil
	case item.own == nil:
		item.own = bytepool.Get(2 * size)
		item.own.B = append(item.own.B, part.data...)
	default:
		if size > cap(item.own.B) {
			item.own = item.own.Moved(max(size, 2*have))
		}
		item.own.B = append(item.own.B, part.data...)
	}
	item.cost += part.cost
	item.flags |= part.flags
	item.data = item.own.B
	return nil
}

// handleCredit lets this side send more.
func (t *streamTable) handleCredit(s *stream, f *wire.Frame) error {
	n, err := wire.ParseBytes(f)
	if err != nil {
		return fromWire(err)
	}
	s.out.busy = false
	if !s.credited(n) {
		return errProtocol("credit of %d bytes for stream %d, which has %d: the sum is above %d", n, s.id, s.out.credit, wire.MaxCredit)
	}
	return nil
}

// handleWant notes that the peer waits for credit.
func (t *streamTable) handleWant(s *stream, f *wire.Frame) (failed *Error, err error) {
	n, err := wire.ParseBytes(f)
	switch {
	case err != nil:
		return nil, fromWire(err)
	case s.in.closed && !s.in.drop:
		return errProtocol("want for stream %d after its end", s.id), nil
	case n > t.mostCost() && !s.in.drop:
		return Errorf(ResourceExhausted, "protocol: want of %d bytes on stream %d: no item costs more than %d", n, s.id, t.mostCost()), nil
	}
	s.want(n)
	return nil, nil
}

// handleClientEnd ends the client's half.
func (t *streamTable) handleClientEnd(s *stream) (failed *Error, err error) {
	within := s.in.part != nil
	switch {
	case s.in.closed && s.in.drop: // it was cancelled, or has failed
		return nil, nil
	case s.in.closed:
		return errProtocol("a second end of stream %d", s.id), nil
	}
	how := io.EOF
	if within {
		failed = errProtocol("the end of stream %d within an item", s.id)
		how = failed
	}
	s.peerEnded(how) // what it says is no good end, even for a moment
	t.settleEnds(s)
	return failed, nil
}
