package rpc

import (
	"example.com/rpc-from-scratch/final/internal/bytepool"
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

// segment is a part of what a stream has to send: frames in a row, or one item, which is
// put into frames when its turn has come.
type segment struct {
	buf   *bytepool.Buffer
	item  bool
	flags uint8 // of an item's first frame
	sent  int   // bytes of an item that were put into frames

	charge int64 // of the memory of replies, on a server
}

func (g *segment) left() int { return len(g.buf.B) - g.sent }

// waits reports whether there are frames to be sent before the end.
func (h *outHalf) waits() bool { return len(h.segments) > 0 }

// within reports whether an item was sent in part.
func (h *outHalf) within() bool { return h.waits() && h.segments[0].sent > 0 }

// appendTurn appends what a stream may send before another one's turn: a row of frames,
// or one frame of an item. It returns how many bytes wait no longer.
func (h *outHalf) appendTurn(o *outbox, id uint64) int {
	if !h.waits() {
		return 0
	}
	g := &h.segments[0]
	if !g.item {
		n := len(g.buf.B)
		o.append(func(dst []byte) []byte { return dst }, g.buf)
		h.shift(o)
		return n
	}
	data, flags := g.buf.B[g.sent:], g.flags
	var free *bytepool.Buffer
	if len(data) > fragmentSize {
		data, flags = data[:fragmentSize], flags|wire.FlagMore
	} else {
		free = g.buf
	}
	o.appendPart(func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindData, flags, id, len(data)) }, data, free)
	g.sent += len(data)
	g.flags &^= wire.FlagCompressed // it is said once for the item
	if free != nil {
		h.shift(o)
	}
	return len(data)
}

// shift drops the first segment, whose buffer is the batch's now, as is what it was charged.
func (h *outHalf) shift(o *outbox) {
	o.next.items += h.segments[0].charge
	n := copy(h.segments, h.segments[1:])
	h.segments[n] = segment{}
	h.segments = h.segments[:n]
}

// add adds an encoded item to what is to be sent, and returns by how many bytes that grows.
func (h *outHalf) add(id uint64, body *outItem) int {
	size := body.size()
	if size >= largeBody {
		h.segments = append(h.segments, segment{buf: body.buf, item: true, flags: body.flags, charge: body.charge})
		return size
	}
	if n := len(h.segments); n == 0 || h.segments[n-1].item {
		h.segments = append(h.segments, segment{buf: bytepool.Get(wire.HeaderSize + size)})
	}
	g := &h.segments[len(h.segments)-1]
	g.charge += body.charge
	if need := len(g.buf.B) + wire.HeaderSize + size; need > cap(g.buf.B) {
		g.buf = g.buf.Moved(max(need, 2*cap(g.buf.B)))
	}
	g.buf.B = wire.AppendHeader(g.buf.B, wire.KindData, body.flags, id, size)
	if body.buf != nil {
		g.buf.B = append(g.buf.B, body.buf.B...)
		bytepool.Put(body.buf)
	}
	return wire.HeaderSize + size
}

// drop drops what was to be sent. It returns how many bytes that were, and what they were charged.
func (h *outHalf) drop() (n int, charged int64) {
	for i := range h.segments {
		g := &h.segments[i]
		n += g.left()
		charged += g.charge
		if g.sent == 0 { // else a batch may still point into it
			bytepool.Put(g.buf)
		}
	}
	h.segments = nil
	return n, charged
}

// itemCost returns what an item of so many bytes costs, in all its frames.
func itemCost(size int) int64 {
	frames := max(1, (size+fragmentSize-1)/fragmentSize)
	return int64(size) + int64(frames)*wire.DataCost(0)
}

// streamQueue is streams in a row. A stream is in it at most once; it stays where it is when
// it is pushed again.
type streamQueue struct {
	which       queueKind
	first, last *stream
}

// queueKind says which of its links a stream is in a queue by.
type queueKind uint8

const (
	inCredit queueKind = iota
	inReady
	inSenders
	inEncoders
	inLargeLine
	queueKinds
)

func (s *stream) isIn(q queueKind) bool { return s.queued&(1<<q) != 0 }

func (q *streamQueue) push(s *stream) {
	if s.isIn(q.which) {
		return
	}
	s.queued |= 1 << q.which
	if q.first == nil {
		q.first = s
	} else {
		q.last.next[q.which] = s
	}
	q.last = s
}

// pushFirst is push to the other end.
func (q *streamQueue) pushFirst(s *stream) {
	if s.isIn(q.which) {
		return
	}
	s.queued |= 1 << q.which
	s.next[q.which] = q.first
	if q.first == nil {
		q.last = s
	}
	q.first = s
}

// drop takes s out, wherever it stands.
func (q *streamQueue) drop(s *stream) {
	if !s.isIn(q.which) {
		return
	}
	var before *stream
	for at := q.first; at != s; at = at.next[q.which] {
		before = at
	}
	if before == nil {
		q.first = s.next[q.which]
	} else {
		before.next[q.which] = s.next[q.which]
	}
	if q.last == s {
		q.last = before
	}
	s.next[q.which] = nil
	s.queued &^= 1 << q.which
}

// pop takes the first one out; nil if there is none.
func (q *streamQueue) pop() *stream {
	s := q.first
	if s == nil {
		return nil
	}
	q.first = s.next[q.which]
	s.next[q.which] = nil
	s.queued &^= 1 << q.which
	return s
}
