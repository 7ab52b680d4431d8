package rpc

import (
	"example.com/rpc-from-scratch/final/internal/wire"
)

const (
	// laneMark is how many bytes of items may wait in a connection's lane before senders
	// wait too. It is far below highWater: calls have room beside any number of streams.
	laneMark = 64 << 10

	// laneBatch is how many bytes of items are put into one batch, about. What is appended
	// meanwhile, such as a call or a cancel, waits for as many.
	laneBatch = 64 << 10

	// fragmentSize is from where on an item is cut, for the same reason.
	fragmentSize = 96 << 10

	// mostEncoders is how many senders at once may encode again, for whom there was room: so
	// many items, at most, were encoded and wait.
	mostEncoders = 4
)

// lane is what the streams of a connection have to send. It is emptied, a turn for each
// stream, when the flusher takes a batch: calls and cancels are in that already. The lock of
// its connection guards it.
type lane struct {
	size     int         // bytes that wait
	granted  int         // bytes for which senders that were woken have room
	encoding int         // senders that were woken to encode again
	credit   streamQueue // have credit to give
	ready    streamQueue // have frames to send, a want, or the end
	senders  streamQueue // wait for room
	encoders streamQueue // there was room: they wait until they may encode again

	// ended is called for a stream whose end was put into a batch.
	ended func(s *stream)
}

// idle reports whether nothing is to be sent. A nil lane is.
func (l *lane) idle() bool { return l == nil || l.credit.first == nil && l.ready.first == nil }

// fill puts what streams have to send into the batch that is about to be taken: all
// credit, which lets the other side go on, and some items.
func (l *lane) fill(o *outbox) {
	before := o.appended
	for s := l.credit.pop(); s != nil; s = l.credit.pop() {
		s.appendCredit(o)
	}
	for o.appended-before < laneBatch {
		s := l.ready.pop()
		if s == nil {
			break
		}
		if s.out.header != nil {
			s.appendHeader(o)
		}
		l.size -= s.out.appendTurn(o, s.id)
		if s.out.waits() {
			l.ready.push(s)
			continue
		}
		s.appendWant(o) // not sooner: the peer would take it for an item that it has credit for
		if s.out.last != nil {
			s.appendEnd(o)
			l.ended(s)
		}
	}
	o.streamed += int(o.appended - before)
	l.admit()
}

// admit wakes those senders for which there is room now. One that has to encode its item
// again has no room meanwhile: that is a user's code, which may take its time. It asks for
// room when it has the item, and comes first then.
func (l *lane) admit() {
	for l.hasRoom() {
		s := l.nextSender()
		switch {
		case s == nil:
			return
		case s.out.roomFor == 0: // it does not wait any more
			continue
		case s.out.again && l.encoding == mostEncoders:
			l.encoders.push(s)
			continue
		case s.out.again:
			s.out.again, s.out.encodes = false, true
			l.encoding++
		default:
			s.out.granted = s.out.roomFor
			l.granted += int(s.out.granted)
		}
		s.out.roomFor = 0
		s.out.wait.signal()
	}
}

func (l *lane) nextSender() *stream {
	if l.encoding < mostEncoders {
		if s := l.encoders.pop(); s != nil {
			return s
		}
	}
	return l.senders.pop()
}

func (l *lane) hasRoom() bool { return l.size+l.granted < laneMark }

// askRoom takes room for n bytes, or enters s among those that wait. Who waits comes first,
// and before them who has encoded again. again says that s will have to.
func (l *lane) askRoom(s *stream, n int, again bool) bool {
	if s.out.granted > 0 || (s.out.encodes || l.senders.first == nil) && l.hasRoom() {
		l.returnRoom(s)
		return true
	}
	s.out.roomFor = int32(n)
	if s.out.encodes {
		l.senders.pushFirst(s)
		return false
	}
	l.senders.push(s)
	l.admit() // those before it may have left
	if s.out.granted > 0 {
		l.returnRoom(s)
		return true
	}
	s.out.again = again
	return false
}

// returnRoom takes back what admit has granted.
func (l *lane) returnRoom(s *stream) {
	l.granted -= int(s.out.granted)
	s.out.granted, s.out.roomFor, s.out.again = 0, 0, false
	if s.out.encodes {
		s.out.encodes = false
		l.encoding--
	}
}

// appendCredit appends the credit that is to be given.
func (s *stream) appendCredit(o *outbox) {
	n := s.in.give
	if s.in.give = 0; n > 0 {
		o.append(func(dst []byte) []byte { return wire.AppendBytes(dst, wire.KindCredit, s.id, n) }, nil)
	}
}

// appendWant says what the item costs that waits for credit.
func (s *stream) appendWant(o *outbox) {
	if n := s.out.wanted; s.out.wantDue && n > s.out.credit {
		o.append(func(dst []byte) []byte { return wire.AppendBytes(dst, wire.KindWant, s.id, uint32(n)) }, nil)
	}
	s.out.wantDue = false
}

// appendEnd appends the last frame of this side's half.
func (s *stream) appendEnd(o *outbox) {
	o.append(func(dst []byte) []byte { return s.out.last.append(dst, s.id) }, nil)
	s.out.last, s.out.closed = nil, true
}

// itemCost returns what an item of so many bytes costs, in all its frames.
func itemCost(size int) int64 {
	frames := max(1, (size+fragmentSize-1)/fragmentSize)
	return int64(size) + int64(frames)*wire.DataCost(0)
}
