package rpc

import (
	"context"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/internal/bytepool"
)

// bodyCodec encodes and decodes the bodies on one side of one connection. There are
// two kinds: with most codecs each body stands alone; gob has a stream a direction.
type bodyCodec interface {
	// encode encodes v. In a stream, that has to happen in the order of the frames:
	// ctx bounds the wait for v's turn, and ready, if it is not nil, is called then.
	encode(ctx context.Context, v any, ready func()) (outBody, error)

	// inOrder reports whether the reader has to decode all bodies, in the order of
	// their frames.
	inOrder() bool

	// decode decodes a body into v, a pointer, or skips it if v is nil.
	decode(data []byte, flags uint8, v any) error

	// end gives back what waits for later messages.
	end()
}

// newBodyCodec makes the one for codec. ended is closed when the connection has ended.
// decoded is that of plainBodies.
func newBodyCodec(codec Codec, decoded decodedBound, ended <-chan struct{}) bodyCodec {
	if isStream(codec) {
		return newGobBodies(ended)
	}
	return &plainBodies{codec: codec, decoded: decoded}
}

// isStream reports whether codec keeps state from one message to the next.
func isStream(codec Codec) bool { return codec == Gob }

// outBody is an encoded body on its way to a frame.
type outBody struct {
	buf   *bytepool.Buffer // nil: no bytes
	flags uint8
	turn  *gobBodies // whose turn this body has; nil: none
}

func (b *outBody) size() int {
	if b.buf == nil {
		return 0
	}
	return len(b.buf.B)
}

// sent gives the turn back once the body was appended.
func (b *outBody) sent() {
	if b.turn != nil {
		b.turn.leave()
		b.turn = nil
	}
}

// drop is called, in place of sent, for a body that could not be encoded or is not sent.
func (b *outBody) drop() {
	bytepool.Put(b.buf)
	b.buf = nil
	if b.turn != nil {
		b.turn.enc.reset() // types that never left are marked as sent
		b.sent()
	}
}

// sizeGuess is the size of the last body: a guess at the next one's.
type sizeGuess struct{ n atomic.Int64 }

func (g *sizeGuess) buffer() *bytepool.Buffer { return bytepool.Get(int(g.n.Load())) }

func (g *sizeGuess) note(b *bytepool.Buffer) {
	if size := int64(len(b.B)); size != g.n.Load() {
		g.n.Store(size)
	}
}

// plainBodies are for codecs that keep no state. Its methods may be called by many goroutines.
type plainBodies struct {
	codec   Codec
	decoded decodedBound // of a client: a server counts elsewhere what it decodes
	guess   sizeGuess
}

func (p *plainBodies) encode(_ context.Context, v any, _ func()) (b outBody, err error) {
	buf := p.guess.buffer()
	if buf.B, err = encodeWith(p.codec, buf.B, v); err != nil {
		bytepool.Put(buf)
		return outBody{}, err
	}
	p.guess.note(buf)
	return outBody{buf: buf}, nil
}

func (p *plainBodies) inOrder() bool { return false }

func (p *plainBodies) decode(data []byte, _ uint8, v any) error {
	if err := p.decoded.check(p.codec, data, v); err != nil {
		return err
	}
	return decodeWith(p.codec, data, v)
}

func (p *plainBodies) end() {}
