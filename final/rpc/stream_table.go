package rpc

import (
	"sync"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// streamTable is a connection's streams, and what they share. The lock of its connection
// guards it, but for what does not change after the hellos.
type streamTable struct {
	mu      *sync.Mutex // the connection's
	out     *outbox     // the connection's
	flusher *flusher    // the connection's
	conn    *serverConn // nil at a client

	bodies     plainBodies // also with gob: a body of a stream stands alone
	compress   int         // items from here on are compressed; 0: the hellos did not agree upon it
	maxRead    int         // the largest frame that this side reads
	maxSend    int         // the largest frame that the peer reads
	window     int64       // of this side
	peerWindow int64
	max        int // of streams that are open at once
	promised   int // slots that opens have which are not in streams yet; of a client

	streams map[uint64]*stream // made when the first one opens
	lane    lane
	memory  streamMemory

	replies *share // of a server, which large items take from until they are written; nil at a client
	params  *share // of a server, which large items take from as they are decoded; nil at a client

	draining chan struct{} // of a server: closed when the connection is about to end

	// freed is called when a slot has become free, under the lock; nil if nobody is to know.
	freed func()
}

// newStreamTable returns the table of a connection on which streams were agreed upon. bytes
// bounds what this side may promise to take: the first windows of all streams and the loan
// for a large item are set aside.
func newStreamTable(mu *sync.Mutex, out *outbox, codec Codec, maxRead, maxSend, max int, bytes int64) *streamTable {
	t := &streamTable{
		mu: mu, out: out, bodies: plainBodies{codec: codec},
		maxRead: maxRead, maxSend: maxSend, max: max, window: streamWindow,
	}
	t.lane = lane{credit: streamQueue{which: inCredit}, ready: streamQueue{which: inReady}, senders: streamQueue{which: inSenders}, encoders: streamQueue{which: inEncoders}}
	t.lane.ended = t.settleEnds
	t.memory.line.which = inLargeLine
	t.memory.poolMost = bytes - t.mostCost() - int64(max)*t.window
	t.memory.pool = t.memory.poolMost
	return t
}

// add makes a stream.
func (t *streamTable) add(s *stream, id uint64) {
	s.table, s.id = t, id
	s.in.window, s.in.credit = t.window, t.window
	s.out.credit = t.peerWindow
	if t.streams == nil {
		t.streams = map[uint64]*stream{}
	}
	t.streams[id] = s
}

// settleEnds forgets a stream of which both halves have ended: its slot is free.
func (t *streamTable) settleEnds(s *stream) {
	if s.in.closed && s.out.closed {
		t.remove(s)
	}
}

func (t *streamTable) remove(s *stream) {
	delete(t.streams, s.id)
	t.memory.line.drop(s) // it would be kept there for as long as another one has the loan
	if s.promised {
		t.memory.unpromise(t.window)
		s.promised = false
	}
	if t.freed != nil {
		t.freed()
	}
}

// promiseWindow takes memory for the first window of a stream, if that is possible now.
func (t *streamTable) promiseWindow(s *stream) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.in.closed { // nothing will arrive
		return true
	}
	if !t.memory.promise(t.window) {
		return false
	}
	s.promised = true
	return true
}

// find returns a stream that is open, or nil. There are none in a nil table.
func (t *streamTable) find(id uint64) *stream {
	if t == nil {
		return nil
	}
	return t.streams[id]
}

// open returns how many streams are open. There are none in a nil table.
func (t *streamTable) open() int {
	if t == nil {
		return 0
	}
	return len(t.streams)
}

// slotsTaken returns how many of a client's stream slots are not free.
func (t *streamTable) slotsTaken() int {
	if t == nil {
		return 0
	}
	return len(t.streams) + t.promised
}

// flush has the other side told what was appended, after outbox.start returned true. alone
// says that nothing more is to be expected soon.
func (t *streamTable) flush(start, alone bool) {
	switch {
	case !start:
	case alone:
		t.flusher.flush(false)
	default:
		go t.flusher.flushAll()
	}
}

// lastFrame is the last frame of a half: the server's end says how its handler has
// returned.
type lastFrame struct {
	reason  *Error // of a server's end; nil: it is good
	trailer Metadata
	server  bool
	limit   int // the largest frame that the client reads
}

// goodEnd is the reason of an end that is good.
var goodEnd = new(Error)

func (l *lastFrame) append(dst []byte, id uint64) []byte {
	switch {
	case !l.server:
		return wire.AppendHeader(dst, wire.KindEnd, 0, id, 0)
	case l.reason == nil:
		return appendEnd(dst, id, goodEnd, l.trailer, l.limit)
	}
	return appendEnd(dst, id, l.reason, l.trailer, l.limit)
}
