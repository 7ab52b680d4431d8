package rpc

import (
	"io"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// handleStream does what a frame of a stream says. Its errors end the connection.
func (c *clientConn) handleStream(f *wire.Frame) error {
	defer func() { bytepool.Put(f.Large) }()
	said, err := parseStreamFrame(f)
	if err != nil {
		return err
	}
	c.mu.Lock()
	s := c.streams.find(f.ID)
	if s == nil {
		c.mu.Unlock()
		return c.unknownStream(f)
	}
	failed, err := s.client.handle(f, &said)
	outcome := s.client.judgeLocked(false)
	start := c.out.start()
	c.mu.Unlock()
	s.table.flush(start, false)
	outcome.note()
	switch {
	case failed != nil:
		s.client.leave(Errorf(Internal, "%s", failed.Message))
	case f.Kind == wire.KindEnd:
		s.client.release()
	}
	return err
}

// streamSaid is what a header or an end says.
type streamSaid struct {
	failed *Error // how the handler has returned; nil is a good end
	md     Metadata
	bad    error // the metadata make no sense
}

// parseStreamFrame takes apart what need not be under the lock.
func parseStreamFrame(f *wire.Frame) (said streamSaid, err error) {
	var pairs []byte
	switch f.Kind {
	case wire.KindHeader:
		pairs = f.Payload
	case wire.KindEnd:
		said.failed, pairs, err = parseEnd(f)
	}
	if err == nil && len(pairs) > 0 {
		if said.md, said.bad = parseReplyMetadata(pairs); said.bad != nil {
			said.md = nil
		}
	}
	return said, err
}

// handle is handleStream for a stream that is there.
func (s *clientStream) handle(f *wire.Frame, said *streamSaid) (failed *Error, err error) {
	s.heard = s.heard || f.Kind != wire.KindEnd
	switch f.Kind {
	case wire.KindHeader:
		return s.handleHeader(said.md, said.bad)
	case wire.KindData:
		s.header.settle(nil, nil) // none came before it
		return s.table.handleData(&s.stream, f)
	case wire.KindCredit:
		return nil, s.table.handleCredit(&s.stream, f)
	case wire.KindWant:
		return s.table.handleWant(&s.stream, f)
	}
	s.serverEnded(said)
	return nil, nil
}

// unknownStream is what a frame means for a stream that is not open.
func (c *clientConn) unknownStream(f *wire.Frame) error {
	if c.goAway != nil { // refused by that
		return nil
	}
	return errProtocol("%s for stream %d, which is not open", f.Kind, f.ID)
}

// parseEnd returns how the server says that a handler has returned, and the trailer, which
// lies in the frame; nil is a good end.
func parseEnd(f *wire.Frame) (failed *Error, trailer []byte, err error) {
	r, err := wire.ParseReason(f)
	switch {
	case err != nil:
		return nil, nil, fromWire(err)
	case r.Code == wire.OK:
		return nil, r.Metadata, nil
	}
	return parseError(f)
}

// serverEnded notes that the handler has returned. What this side has not sent is dropped,
// and its half ends now: the slot is free once that is said.
func (s *clientStream) serverEnded(said *streamSaid) {
	within, failed := s.out.within(), said.failed
	failed = s.ranLocked(failed)
	if said.bad != nil && failed == nil {
		failed = toError(onOneLine(Errorf(Internal, "the trailer of %s: %w", s.method, said.bad)))
	}
	if failed == nil && s.in.part != nil {
		failed = toError(Errorf(Internal, "the stream of %s ended within an item", s.method))
	}
	if failed == nil {
		s.header.settle(nil, nil)
		s.stopSending(ending(nil))
		s.peerEnded(io.EOF)
	} else {
		s.header.settle(nil, failed)
		s.stopSending(failed)
		s.peerEnded(failed)
	}
	if !s.cancelled && len(said.md) > 0 {
		s.trailer = said.md
	}
	kind := wire.KindEnd
	if within {
		kind = wire.KindCancel
	}
	if !s.out.closed {
		s.out.closed, s.out.last = true, nil
		s.conn.out.append(func(dst []byte) []byte { return wire.AppendHeader(dst, kind, 0, s.id, 0) }, nil)
	}
	s.table.settleEnds(&s.stream)
}
