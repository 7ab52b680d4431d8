package rpc

import (
	"math/bits"
	"sync"
)

// buffer is a piece of memory that is used again and again. It holds bytes
// only, so that it may be shared by everything in the process.
type buffer struct {
	b []byte
}

const (
	minBufferBits = 9  // 512 bytes
	maxBufferBits = 22 // 4 MiB; larger ones are left to the garbage collector

	// Large buffers cost much to allocate, because Go zeroes them, and calls
	// with large bodies make the garbage collector, which empties a sync.Pool,
	// run often. So some of them are kept for good.
	keptBufferBits = 14      // from 16 KiB
	keptBytes      = 2 << 20 // of each size
)

// buffers has one bufferClass per power of two.
var buffers [maxBufferBits + 1]bufferClass

type bufferClass struct {
	pool sync.Pool

	mu   sync.Mutex
	kept []*buffer
}

// getBuffer returns an empty buffer with room for at least size bytes.
func getBuffer(size int) *buffer {
	class := minBufferBits
	if size > 1<<minBufferBits {
		class = bits.Len(uint(size - 1))
	}
	if class > maxBufferBits {
		return &buffer{b: make([]byte, 0, size)}
	}
	if b := buffers[class].take(class); b != nil {
		return b
	}
	return &buffer{b: make([]byte, 0, 1<<class)}
}

// putBuffer takes back a buffer that is no longer in use. b may be nil.
func putBuffer(b *buffer) {
	if b == nil || cap(b.b) < 1<<minBufferBits {
		return
	}
	// It may have grown by append: file it under what it has room for now.
	class := bits.Len(uint(cap(b.b))) - 1
	if class > maxBufferBits {
		return
	}
	b.b = b.b[:0]
	buffers[class].give(class, b)
}

// moved returns a buffer with room for size bytes in b's place, which is given back.
func (b *buffer) moved(size int) *buffer {
	bigger := getBuffer(size)
	bigger.b = append(bigger.b, b.b...)
	putBuffer(b)
	return bigger
}

func (s *bufferClass) take(class int) *buffer {
	if class >= keptBufferBits {
		s.mu.Lock()
		if last := len(s.kept) - 1; last >= 0 {
			b := s.kept[last]
			s.kept[last] = nil
			s.kept = s.kept[:last]
			s.mu.Unlock()
			return b
		}
		s.mu.Unlock()
	}
	b, _ := s.pool.Get().(*buffer)
	return b
}

func (s *bufferClass) give(class int, b *buffer) {
	if class >= keptBufferBits {
		s.mu.Lock()
		if len(s.kept) < keptBytes>>class {
			s.kept = append(s.kept, b)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
	s.pool.Put(b)
}
