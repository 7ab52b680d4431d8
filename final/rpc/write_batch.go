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
	size      int    // those that Write has not accepted yet
	flushing  bool   // a goroutine has the flusher's role, or is about to
	err       error  // why nothing is written any more
	batchSize int    // of the largest batch lately, large bodies apart: a guess at the next one's
}

// batch is frames in a row. Large bodies lie between pieces of small.
type batch struct {
	small *bytepool.Buffer
	cuts  []cut
}

// cut says that body follows small.b[:at].
type cut struct {
	at   int
	body *bytepool.Buffer
}

// append appends a frame: head from the function, then body, which is copied if
// it is small. The outbox owns body from here on.
func (o *outbox) append(head func(dst []byte) []byte, body *bytepool.Buffer) {
	if o.err != nil {
		bytepool.Put(body)
		return
	}
	if o.next.small == nil {
		o.next.small = bytepool.Get(o.batchSize)
	}
	small := o.next.small
	grown := -len(small.B)
	small.B = head(small.B)
	switch {
	case body == nil:
	case len(body.B) >= largeBody:
		o.next.cuts = append(o.next.cuts, cut{at: len(small.B), body: body})
		grown += len(body.B)
	default:
		small.B = append(small.B, body.B...)
		bytepool.Put(body)
	}
	grown += len(small.B)
	o.appended += uint64(grown)
	o.size += grown
}

// start reports whether the caller has to see to it that what was appended gets
// written, by flusher.flush.
func (o *outbox) start() bool {
	if o.flushing || o.next.small == nil || o.err != nil {
		return false
	}
	o.flushing = true
	return true
}

// take moves what was appended to w, unless w is not written to its end yet.
// Without anything to write it takes the flusher's role away and returns false.
func (o *outbox) take(w *batch) bool {
	if o.err != nil || w.small == nil && o.next.small == nil {
		o.flushing = false
		return false
	}
	if w.small == nil {
		o.batchSize = max(len(o.next.small.B), o.batchSize-o.batchSize/8)
		o.taken = o.appended
		*w, o.next = o.next, batch{cuts: w.cuts[:0]}
	}
	return true
}

// wrote counts what Write has accepted. After a batch, it reports whether there is
// another one; if not, it takes the flusher's role away.
func (o *outbox) wrote(n int, err error) (more bool) {
	o.size -= n
	if err == nil {
		more = o.next.small != nil
		o.flushing = more
	}
	return more
}

// written returns how many of all bytes appended Write has accepted. While a Write
// is under way that is not known.
func (o *outbox) written() (n uint64, known bool) {
	return o.appended - uint64(o.size), !o.flushing
}

// stop drops what is not written and lets nothing more be appended.
func (o *outbox) stop(err error) {
	if o.err == nil {
		o.err = err
	}
	o.next = batch{}
}

// fail is stop by the flusher. If it is not known how much Write has accepted,
// nothing gives the role back.
func (o *outbox) fail(err error, known bool) {
	o.stop(err)
	o.flushing = o.flushing && !known
}

// pieces appends the batch to vec, as slices in the order of the wire.
func (b *batch) pieces(vec [][]byte) [][]byte {
	small, done := b.small.B, 0
	for _, c := range b.cuts {
		vec = append(vec, small[done:c.at], c.body.B)
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
		bytepool.Put(b.cuts[i].body)
		b.cuts[i].body = nil
	}
}
