package rpc

import (
	"math/bits"
	"sync"
)

// buffer is a piece of pooled memory. It holds bytes only, so that it may be
// shared by everything in the process.
type buffer struct {
	b []byte
}

const (
	minBufferBits = 9  // 512 bytes
	maxBufferBits = 22 // 4 MiB; larger ones are left to the garbage collector
)

// buffers has one pool per power of two.
var buffers [maxBufferBits + 1]sync.Pool

// getBuffer returns an empty buffer with room for at least size bytes.
func getBuffer(size int) *buffer {
	class := max(bits.Len(uint(size-1)), minBufferBits)
	if size <= 1 {
		class = minBufferBits
	}
	if class > maxBufferBits {
		return &buffer{b: make([]byte, 0, size)}
	}
	if b, ok := buffers[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, 1<<class)}
}

// putBuffer takes back a buffer that nobody uses any more. nil is fine.
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
	buffers[class].Put(b)
}
