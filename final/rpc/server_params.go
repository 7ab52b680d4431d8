package rpc

import (
	"math"
	"strconv"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A call's params are counted in two steps: their bytes when they arrive, by the
// reader, and what they can become before they are decoded, where that happens.

// crowdedPause is when a call that did not fit may try again.
const crowdedPause = 100 * time.Millisecond

// noRoom refuses a call whose params take too much memory.
type noRoom struct{ refused *Error }

func (e *noRoom) Error() string { return e.refused.Error() }

// chargeArrived counts the bytes of params, or of a stream's request, that are kept until
// they are decoded. A call for which there is no room loses its place.
func (c *serverConn) chargeArrived(call *serverCall, f *wire.Frame, body []byte) error {
	if call.method.newParams == nil || c.bodies.inOrder() && f.Kind == wire.KindRequest {
		return nil
	}
	size := int64(len(body))
	if f.Large != nil {
		size = int64(cap(f.Large.B))
	}
	refused := call.take(&c.params, size, len(body))
	if refused == nil {
		return nil
	}
	c.server.release(c.origin) // first: a codec that is asked may end this goroutine
	if f.Flags&wire.FlagCompressed == 0 {
		if never := call.neverFits(&c.params, size, call.method.sizes[c.codec], body); never != nil {
			return never.refused // to try again makes no sense
		}
	}
	return refused.refused
}

// neverFits refuses params that can never have all that they take: bytes that have
// arrived, and what they become.
func (call *serverCall) neverFits(s *share, arrived int64, sizes SizeFunc, data []byte) (never *noRoom) {
	defer func() { recover() }() // decoding will tell
	if n := sizes(data); n > uncounted && n > s.most-arrived {
		return tooLarge(arrived, n, s, len(data))
	}
	return nil
}

func tooLarge(charge, more int64, s *share, params int) *noRoom {
	return &noRoom{Errorf(ResourceExhausted, "params of %d bytes may take %d bytes of memory: those of one connection may take %d (WithParamsMemory)",
		params, charge+min(more, math.MaxInt64-charge), s.most)}
}

// expand takes params out of their compression. Of the two bounds of what comes out,
// the length that gzip claims is counted, and then holds.
func (c *serverConn) expand(call *serverCall) (err error) {
	limit := min(call.expandsTo, claimedSize(call.data))
	if refused := call.take(&c.params, int64(limit), len(call.data)); refused != nil {
		return refused
	}
	call.body, err = expandClaimed(call.body, call.data, limit, call.expandsTo)
	call.data = nil
	if err == nil {
		call.data = call.body.B
	}
	return err
}

// measure counts what params can become when they are decoded.
func (call *serverCall) measure(s *share, sizes SizeFunc, data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = newCodecPanic("measuring params for", call.method.newParams(), p)
		}
	}()
	if refused := call.take(s, sizes(data), len(data)); refused != nil {
		return refused
	}
	return nil
}

// take takes n bytes more for a call, unless they are few.
func (call *serverCall) take(s *share, n int64, params int) *noRoom {
	switch {
	case n <= uncounted:
		return nil
	case n > s.most-call.charge:
		return tooLarge(call.charge, n, s, params)
	case !s.take(n):
		room := "there is no room for that now (WithParamsMemory)"
		if s.unfair(n) {
			room = "there is no room for more from this address now (WithPeerMemory)"
		}
		crowded := Errorf(ResourceExhausted, "params of %d bytes may take %d bytes of memory: %s", params, call.charge+n, room)
		return &noRoom{crowded.WithDetail(RetryAfterDetail, strconv.FormatInt(crowdedPause.Milliseconds(), 10))}
	}
	call.charge += n
	return nil
}

// discharge gives back what a call's params have taken.
func (c *serverConn) discharge(call *serverCall) {
	c.params.give(call.charge)
	call.charge = 0
}

// release ends an admitted call's claims on the server.
func (c *serverConn) release(call *serverCall) {
	c.discharge(call)
	c.server.release(c.origin)
}

// undecodable is the error of a call whose params were not decoded.
func undecodable(m *method, err error) *Error {
	if none, ok := err.(*noRoom); ok {
		return unrun(none.refused)
	}
	return unrun(Errorf(undecoded(err, InvalidArgument), "decode params of %s: %w", m.info.Name, err))
}
