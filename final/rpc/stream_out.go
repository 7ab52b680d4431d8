package rpc

import (
	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// outHalf is the half that this side sends.
type outHalf struct {
	err      error     // what Send returns; nil: it may send
	credit   int64     // cost of what this side may still send
	wanted   int64     // cost of the item that waits for credit
	header   Metadata  // which comes before the segments; nil: none
	segments []segment // what waits to be put into a batch
	last     *lastFrame
	roomFor  int32 // the sender waits for room for so many bytes; 0: it does not
	granted  int32 // it has that, and was woken
	wait     waiter
	items    int64 // were taken to be sent
	bytes    int64 // of these

	closed  bool // this side's end, or its cancel, was put into a batch
	wantDue bool // the peer is to be told
	headed  bool // the header has left, or will with the next frame
	again   bool // the sender that waits for room has to encode its item again
	encodes bool // it was woken to do that
	busy    bool // the last Send was not followed by anything received
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

// askCredit has the peer told what the waiting item costs, once for each cost.
func (h *outHalf) askCredit(s *stream, cost int64) {
	if h.wanted == cost {
		return
	}
	h.wanted, h.wantDue = cost, true
	s.table.lane.ready.push(s)
}
