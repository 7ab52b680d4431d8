// Package bytepool lends memory for messages and takes it back, so that a call does
// not cost an allocation per frame and body. All of it may be used by many goroutines.
package bytepool

import (
	"math/bits"
	"sync"
)

// Buffer is a piece of memory that is used again and again. Its owner appends to B, and
// may replace B by what append returns. It holds bytes only, so the whole process
// shares one pool.
type Buffer struct {
	B []byte
}

const (
	minBits = 9  // 512 bytes
	maxBits = 22 // 4 MiB; larger ones are left to the garbage collector

	// Large buffers cost much to allocate, because Go zeroes them, and calls
	// with large bodies make the garbage collector, which empties a sync.Pool,
	// run often. So some of them are kept for good.
	keptBits  = 14      // from 16 KiB
	keptBytes = 2 << 20 // of each size
)

// classes has one class per power of two.
var classes [maxBits + 1]class

// class holds the free buffers of one size.
type class struct {
	pool sync.Pool

	mu   sync.Mutex // guards kept
	kept []*Buffer
}

// Get returns an empty buffer with a capacity of at least size bytes, and less than twice as
// much from 16 KiB on: callers count such a buffer against a limit. The caller owns it until it
// hands it to [Put], or drops it.
func Get(size int) *Buffer {
	n := minBits
	if size > 1<<minBits {
		n = bits.Len(uint(size - 1))
	}
	if n > maxBits {
		return &Buffer{B: make([]byte, 0, size)}
	}
	if b := classes[n].take(n); b != nil {
		return b
	}
	return &Buffer{B: make([]byte, 0, 1<<n)}
}

// Put takes back a buffer that is no longer in use, nor any slice of it. A nil buffer is
// ignored.
func Put(b *Buffer) {
	if b == nil || cap(b.B) < 1<<minBits {
		return
	}
	// It may have grown by append: file it under what it has room for now. A large one that
	// has is dropped: it may have almost twice the capacity of its class.
	n := bits.Len(uint(cap(b.B))) - 1
	if n > maxBits || n >= keptBits && cap(b.B) != 1<<n {
		return
	}
	b.B = b.B[:0]
	classes[n].give(n, b)
}

// Moved returns a buffer with b's bytes and a capacity of at least size, and gives b back.
func (b *Buffer) Moved(size int) *Buffer {
	bigger := Get(size)
	bigger.B = append(bigger.B, b.B...)
	Put(b)
	return bigger
}

// Kept returns how many bytes are kept for good and free now. A test that measures
// memory subtracts them.
func Kept() int {
	total := 0
	for n := range classes {
		c := &classes[n]
		c.mu.Lock()
		for _, b := range c.kept {
			total += cap(b.B)
		}
		c.mu.Unlock()
	}
	return total
}

func (c *class) take(n int) *Buffer {
	if n >= keptBits {
		c.mu.Lock()
		if last := len(c.kept) - 1; last >= 0 {
			b := c.kept[last]
			c.kept[last] = nil
			c.kept = c.kept[:last]
			c.mu.Unlock()
			return b
		}
		c.mu.Unlock()
	}
	b, _ := c.pool.Get().(*Buffer)
	return b
}

func (c *class) give(n int, b *Buffer) {
	if n >= keptBits {
		c.mu.Lock()
		if len(c.kept) < keptBytes>>n {
			c.kept = append(c.kept, b)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
	c.pool.Put(b)
}
