package rpc

import (
	"encoding/binary"

	"example.com/rpc-from-scratch/final/internal/bytepool"
)

// itemQueue is items in a row, as they have arrived. Small ones lie in one buffer, since
// there may be many of them:
//
//	| 4 size | 4 cost | 1 flags | item |
//
// A large one has a record without bytes, and its own buffer.
type itemQueue struct {
	records *bytepool.Buffer
	at      int        // what is before was taken
	large   *largeItem // the first one; nil: there is none
}

// largeItem is the buffer of an item, in the row of those.
type largeItem struct {
	own  *bytepool.Buffer
	next *largeItem
}

const recordHead = 9

// flags of a record.
const (
	itemCompressed uint8 = 1 << iota
	itemLarge
)

// queuedItem is one item. Its data are valid until the next one is taken, unless they lie
// in a buffer of their own, which is the taker's.
type queuedItem struct {
	data  []byte
	own   *bytepool.Buffer
	cost  int64
	flags uint8
}

func (q *itemQueue) empty() bool { return q.records == nil || q.at == len(q.records.B) }

// push appends an item: a copy, or with its own buffer if it has one.
func (q *itemQueue) push(item queuedItem) {
	size := len(item.data)
	if item.own != nil {
		last := &q.large
		for *last != nil {
			last = &(*last).next
		}
		*last = &largeItem{own: item.own}
		item.data, item.flags = nil, item.flags|itemLarge
	}
	need := recordHead + len(item.data)
	if q.records == nil {
		q.records = bytepool.Get(need)
	} else if have := len(q.records.B); have+need > cap(q.records.B) {
		q.records = q.records.Moved(max(have+need, 2*have))
	}
	b := binary.BigEndian.AppendUint32(q.records.B, uint32(size))
	b = binary.BigEndian.AppendUint32(b, uint32(item.cost))
	q.records.B = append(append(b, item.flags), item.data...)
}

// pop takes the first item. It returns false if there is none.
func (q *itemQueue) pop() (item queuedItem, ok bool) {
	if q.empty() {
		return queuedItem{}, false
	}
	b := q.records.B[q.at:]
	size := int(binary.BigEndian.Uint32(b))
	item.cost, item.flags = int64(binary.BigEndian.Uint32(b[4:])), b[8]
	if item.flags&itemLarge != 0 {
		item.own, q.large = q.large.own, q.large.next
		item.data = item.own.B
		q.at += recordHead
		return item, true
	}
	item.data = b[recordHead : recordHead+size]
	q.at += recordHead + size
	return item, true
}

// drop drops all items and gives their memory back.
func (q *itemQueue) drop() {
	bytepool.Put(q.records)
	for l := q.large; l != nil; l = l.next {
		bytepool.Put(l.own)
	}
	*q = itemQueue{}
}
