package bytepool

import (
	"bytes"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGet_HasTheCapacityAskedFor(t *testing.T) {
	for _, size := range []int{0, 1, 511, 512, 513, 1 << 14, 1<<14 + 1, 1 << 22, 1<<22 + 1} {
		b := Get(size)
		assert.Empty(t, b.B, "%d", size)
		assert.GreaterOrEqual(t, cap(b.B), size)
		Put(b)
	}
}

// What a buffer has grown to decides where it is filed: no Get may find it too small.
func TestPut_FilesABufferUnderItsCapacity(t *testing.T) {
	for _, capacity := range []int{0, 511, 600, 40_000, 5 << 20} {
		for range 2 {
			Put(&Buffer{B: make([]byte, 3, max(3, capacity))})
		}
		for _, size := range []int{1, 512, 600, 1024, 32 << 10, 40_000, 64 << 10} {
			b := Get(size)
			assert.Empty(t, b.B)
			assert.GreaterOrEqual(t, cap(b.B), size, "after a buffer of %d bytes", capacity)
		}
	}
	Put(nil)
}

// Who counts a buffer's memory must not pay for what somebody else's has grown to.
func TestGet_OfMuchHasLessThanTwiceThat(t *testing.T) {
	for _, grown := range []int{20_000, 40_960, 204_800, 270_336, 4<<20 - 1} {
		for range 64 {
			Put(&Buffer{B: make([]byte, 0, grown)})
		}
		for _, size := range []int{16 << 10, 16<<10 + 1, 64<<10 + 1, 255 << 10, 2<<20 + 1} {
			assert.Less(t, cap(Get(size).B), 2*size, "after buffers of %d bytes", grown)
		}
	}
}

func TestPut_KeepsLargeBuffersUpToABound(t *testing.T) {
	for range 2 * keptBytes >> 20 {
		Put(&Buffer{B: make([]byte, 1<<20)})
	}
	assert.GreaterOrEqual(t, Kept(), keptBytes)
	assert.LessOrEqual(t, Kept(), 2*keptBytes*(maxBits-keptBits+1))
	kept := Get(1 << 20)
	before := Kept()
	Put(kept)
	assert.Equal(t, before+1<<20, Kept())
}

func TestMoved_TakesTheBytesAlong(t *testing.T) {
	b := Get(10)
	b.B = append(b.B, "hello"...)
	b = b.Moved(100_000)
	assert.Equal(t, "hello", string(b.B))
	assert.GreaterOrEqual(t, cap(b.B), 100_000)
}

// Two owners of one buffer would see each other's bytes.
func TestGet_HasOneOwnerPerBuffer(t *testing.T) {
	var all sync.WaitGroup
	for id := range byte(8) {
		all.Go(func() {
			want := bytes.Repeat([]byte{id}, 20_000)
			for range 50 {
				b := Get(len(want))
				b.B = append(b.B, want...)
				if !assert.True(t, bytes.Equal(want, b.B)) {
					return
				}
				Put(b)
			}
		})
	}
	all.Wait()
}
