package rpc

import (
	"example.com/rpc-from-scratch/final/internal/bytepool"
)

// highWater is how many bytes may wait to be written before senders wait too.
const highWater = 1 << 20

// largeBody is from where on a body is written from its own buffer, without a
// copy into the batch.
const largeBody = 8 << 10

// outbox gathers the frames that a connection sends: while one batch is on its
// way, the next one grows. The lock of its connection guards it. No goroutine holds
// that during a write, so appending never waits for one.
type outbox struct {
	next      batch  // appended, not taken yet
	appended  uint64 // all bytes that were ever appended
	taken     uint64 // of these, those handed to Write, or about to be
	writing   int64  // of the batch that is being written, what its replies were charged
	items     int64  // and what its items of streams were
	size      int    // those that Write has not accepted yet
	flushing  bool   // a goroutine has the flusher's role, or is about to
	err       error  // why nothing is written any more
	batchSize int    // of the largest batch lately, large bodies apart: a guess at the next one's
	lane      *lane  // what streams have to send; nil: there was none
	streamed  int    // bytes of the batch that is being written which are the lane's
}

// batch is frames in a row. Large bodies lie between pieces of small.
type batch struct {
	small  *bytepool.Buffer
	cuts   []cut
	charge int64 // for the memory of its replies; a server's
	items  int64 // for that of items of streams, which is the same memory
}

// cut says that data follow small.B[:at].
type cut struct {
	at   int
	data []byte
	free *bytepool.Buffer // what data lie in, if nothing else of it is still to be sent
}

// append appends a frame: head from the function, then body, which is copied if
// it is small. The outbox owns body from here on.
func (o *outbox) append(head func(dst []byte) []byte, body *bytepool.Buffer) {
	if o.err != nil {
		bytepool.Put(body)
		return
	}
	var data []byte
	if body != nil {
		data = body.B
	}
	o.appendPart(head, data, body)
}

// appendPart is append for data that are a part of something: free, which may be nil, is
// given back when they are written.
func (o *outbox) appendPart(head func(dst []byte) []byte, data []byte, free *bytepool.Buffer) {
	if o.next.small == nil {
		o.next.small = bytepool.Get(o.batchSize)
	}
	small := o.next.small
	grown := -len(small.B)
	small.B = head(small.B)
	if len(data) >= largeBody {
		o.next.cuts = append(o.next.cuts, cut{len(small.B), data, free})
		grown += len(data)
	} else {
		small.B = append(small.B, data...)
		bytepool.Put(free)
	}
	grown += len(small.B)
	o.appended += uint64(grown)
	o.size += grown
}

// start gives the caller the flusher's role, if there is something to write and nobody has
// the role. After true, the caller has to call flusher.flush or flushAll, without the lock.
func (o *outbox) start() bool {
	if o.flushing || o.err != nil || o.next.small == nil && o.lane.idle() {
		return false
	}
	o.flushing = true
	return true
}

// take moves what was appended to w, unless w is not written to its end yet.
// Without anything to write it takes the flusher's role away and returns false.
func (o *outbox) take(w *batch) bool {
	if o.lane != nil && w.small == nil && o.err == nil {
		o.lane.fill(o)
	}
	if o.err != nil || w.small == nil && o.next.small == nil {
		o.flushing = false
		return false
	}
	if w.small == nil {
		o.batchSize = max(len(o.next.small.B), o.batchSize-o.batchSize/8)
		o.taken = o.appended
		*w, o.next = o.next, batch{cuts: w.cuts[:0]}
		o.writing, o.items = w.charge, w.items
	}
	return true
}

// wrote counts what Write has accepted. After a batch, it reports whether there is
// another one, and what its replies and items were charged; if there is none, it takes the
// flusher's role away.
func (o *outbox) wrote(n int, err error) (more bool, charged int64) {
	o.size -= n
	if err == nil {
		more = o.next.small != nil || !o.lane.idle()
		o.flushing, o.streamed = more, 0
		charged, o.writing, o.items = o.writing+o.items, 0, 0
	}
	return more, charged
}

// written returns how many of all bytes appended Write has accepted. While a Write
// is under way that is not known.
func (o *outbox) written() (n uint64, known bool) {
	return o.appended - uint64(o.size), !o.flushing
}

// light returns how many of the bytes that wait to be written were charged to no memory, at
// least: small replies and errors. The bytes of streams are not among them, since laneMark
// bounds those.
func (o *outbox) light() int64 { return int64(o.size-o.streamed) - o.writing - o.next.charge }

// stop drops what is not written and lets nothing more be appended. It returns what
// the replies and items among that were charged.
func (o *outbox) stop(err error) (charged int64) {
	if o.err == nil {
		o.err = err
	}
	charged = o.writing + o.items + o.next.charge + o.next.items
	o.writing, o.items, o.next = 0, 0, batch{}
	return charged
}

// fail is stop by the flusher. If it is not known how much Write has accepted,
// nothing gives the role back.
func (o *outbox) fail(err error, known bool) (charged int64) {
	o.flushing = o.flushing && !known
	return o.stop(err)
}

// pieces appends the batch to vec, as slices in the order of the wire.
func (b *batch) pieces(vec [][]byte) [][]byte {
	small, done := b.small.B, 0
	for _, c := range b.cuts {
		vec = append(vec, small[done:c.at], c.data)
		done = c.at
	}
	if done < len(small) {
		vec = append(vec, small[done:])
	}
	return vec
}

// recycle gives back the memory of a batch that was written.
func (b *batch) recycle() {
	bytepool.Put(b.small)
	b.small = nil
	for i := range b.cuts {
		bytepool.Put(b.cuts[i].free)
		b.cuts[i] = cut{}
	}
}
