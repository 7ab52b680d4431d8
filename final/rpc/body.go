package rpc

import (
	"sync"
	"sync/atomic"
)

// bodyEncoder encodes the bodies that a connection sends.
type bodyEncoder struct {
	size atomic.Int64 // of the last body: a guess at the next one's
}

// encode encodes a body with a codec that keeps no state, outside of all locks.
func (e *bodyEncoder) encode(codec Codec, v any) (*buffer, error) {
	body := getBuffer(int(e.size.Load()))
	var err error
	if body.b, err = encodeWith(codec, body.b, v); err != nil {
		putBuffer(body)
		return nil, err
	}
	e.noteSize(body)
	return body, nil
}

// encodeGob is encode for gob, whose stream is in the order of the frames. Callers
// hold mu, the connection's lock.
func (e *bodyEncoder) encodeGob(mu *sync.Mutex, enc *gobEncoder, v any) (body *buffer, flags uint8, err error) {
	body = getBuffer(int(e.size.Load()))
	if body.b, flags, err = enc.append(body.b, v); err != nil {
		putBuffer(body)
		return nil, 0, err
	}
	if len(body.b) > keptGob {
		enc.releaseLater(mu)
	}
	e.noteSize(body)
	return body, flags, nil
}

func (e *bodyEncoder) noteSize(body *buffer) {
	if size := int64(len(body.b)); size != e.size.Load() {
		e.size.Store(size)
	}
}
