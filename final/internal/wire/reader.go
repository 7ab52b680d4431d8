package wire

import (
	"encoding/binary"

	"example.com/rpc-from-scratch/final/internal/bytepool"
)

const (
	newReadBuffer = 512     // enough for small calls: a server may have thousands of connections that wait with it
	minReadBuffer = 2 << 10 // from the first frame that needs more, and what an idle connection may keep
	maxReadBuffer = 64 << 10
	largeFrame    = 16 << 10 // from here on a frame is read into a buffer of its own
)

// Reader cuts bytes into frames. Its owner reads them, from wherever they are, into what
// [Reader.Room] returns, says by [Reader.Took] how many there were, and takes the frames from
// [Reader.Next]. A frame that has arrived only in part is kept here, not on a stack, so
// that reading can stop at any time, and another goroutine can go on. One goroutine uses it
// at a time.
type Reader struct {
	Limit int // a frame's largest length

	buf        []byte
	start, end int // received and not handed out yet: buf[start:end]

	large        *bytepool.Buffer // a large frame that is being read, header taken off
	largeWant    int
	largeHead    [HeaderSize]byte
	lastLarge    int  // size of the last large frame that was received whole
	lastWasLarge bool // so was the last frame of all: probably the next one is, too

	frame Frame // what Next returned
}

// Next returns the next frame of the bytes received, or nil if it has not arrived whole. The
// frame is valid until Next is called again, unless its payload lies in a large buffer:
// that belongs to the caller. Next checks the length before anything else, as soon as
// that has arrived. After an error there is nothing more to read.
func (r *Reader) Next() (*Frame, error) {
	if r.large != nil {
		return r.nextLarge(), nil
	}
	have := r.buf[r.start:r.end]
	if len(have) < LengthSize {
		return r.none(), nil
	}
	length := binary.BigEndian.Uint32(have)
	if length < MinLength {
		return nil, tooShort(uint64(length))
	}
	if uint64(length) > uint64(r.Limit) {
		return nil, tooLarge("frame of length %d: at most %d are allowed", length, r.Limit)
	}
	if len(have) < HeaderSize {
		return r.none(), nil
	}
	total := LengthSize + int(length)
	if len(have) >= total {
		r.start += total
		r.lastWasLarge = false
		r.frame = parseHeader(have, have[HeaderSize:total])
		return &r.frame, nil
	}
	if total >= largeFrame {
		r.beginLarge(have, total-HeaderSize)
	}
	return r.none(), nil
}

// none is the answer of Next while the next frame is not there yet. It forgets the last one,
// whose large buffer could not be used again otherwise while the owner waits for bytes.
func (r *Reader) none() *Frame {
	r.frame = Frame{}
	return nil
}

func (r *Reader) nextLarge() *Frame {
	if len(r.large.B) < r.largeWant {
		return r.none()
	}
	r.frame = parseHeader(r.largeHead[:], r.large.B)
	r.frame.Large = r.large
	r.lastLarge = r.largeWant
	r.large, r.lastWasLarge = nil, true
	return &r.frame
}

// beginLarge moves the received part of a large frame to a buffer of its own, which grows
// with what arrives: a peer that only announces a large frame must not cost its memory. A
// peer that has sent one gets a buffer of that size at once.
func (r *Reader) beginLarge(have []byte, want int) {
	copy(r.largeHead[:], have)
	have = have[HeaderSize:]
	r.large = bytepool.Get(min(want, max(r.lastLarge, 2*len(have), minReadBuffer)))
	r.large.B = append(r.large.B, have...)
	r.largeWant = want
	r.start, r.end = 0, 0
}

// Buffered reports whether Next would return a small frame, or an error, without another read.
func (r *Reader) Buffered() bool {
	if r.large != nil {
		return false
	}
	have := r.end - r.start
	return have >= LengthSize && have >= LengthSize+int(binary.BigEndian.Uint32(r.buf[r.start:]))
}

// Partial reports whether a frame has arrived in part.
func (r *Reader) Partial() bool { return r.large != nil || r.end > r.start }

// Room returns where the next bytes go. It is never empty.
func (r *Reader) Room() []byte {
	if r.large != nil {
		if len(r.large.B) == cap(r.large.B) {
			r.large = r.large.Moved(min(r.largeWant, 2*len(r.large.B)))
		}
		b := r.large.B
		return b[len(b):min(cap(b), r.largeWant)] // not past this frame's end
	}
	if r.buf == nil {
		r.buf = make([]byte, newReadBuffer)
	}
	if r.start > 0 { // what is left of a frame goes to the front
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	}
	if r.end == len(r.buf) {
		r.grow()
	}
	if r.lastWasLarge { // read little: what arrives here of a large frame has to be copied
		return r.buf[r.end:min(r.end+minReadBuffer, len(r.buf))]
	}
	return r.buf[r.end:]
}

// Took says that n bytes were read into what Room has returned.
func (r *Reader) Took(n int) {
	if r.large != nil {
		r.large.B = r.large.B[:len(r.large.B)+n]
		return
	}
	r.end += n
	if r.end == len(r.buf) && len(r.buf) < maxReadBuffer { // more is waiting
		r.grow()
	}
}

func (r *Reader) grow() {
	bigger := make([]byte, max(2*len(r.buf), minReadBuffer))
	copy(bigger, r.buf[:r.end])
	r.buf = bigger
}

// Grown reports whether the reader holds more than an idle connection needs.
func (r *Reader) Grown() bool { return len(r.buf) > minReadBuffer }

// Held returns how many bytes of memory the reader holds.
func (r *Reader) Held() int {
	held := len(r.buf)
	if r.large != nil {
		held += cap(r.large.B)
	}
	return held
}

// Shrink gives back memory that an idle connection does not need, and reports whether
// there was any. The last frame, which points into it, must have been handled.
func (r *Reader) Shrink() bool {
	if r.Partial() || !r.Grown() {
		return false
	}
	r.buf, r.start, r.end = nil, 0, 0
	r.frame = Frame{}
	r.lastLarge = 0
	return true
}
