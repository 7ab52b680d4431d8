package rpc

import (
	"context"
	"maps"
	"sync/atomic"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A stream's handler sends metadata twice: the header before its first item, and the
// trailer with its end.

// streamKey finds a handledStream in the context of its handler.
type streamKey struct{}

// handledStream is a stream of a handler, over a connection or by InvokeStream.
type handledStream interface {
	ofCall() *serverCall
	sendHeader()
	trailerVar() *atomic.Pointer[Metadata]
}

// streamFrom returns the stream that ctx belongs to; nil if it is not of a stream. call
// reports whether it is of a call or of a stream.
func streamFrom(ctx context.Context) (s handledStream, call bool) {
	of, call := ctx.Value(callKey{}).(*serverCall)
	if s, ok := ctx.Value(streamKey{}).(handledStream); ok && of == s.ofCall() { // else of a call that its handler makes by Invoke
		return s, true
	}
	return nil, call
}

// headerLeft stands for a header that has left, or will not any more.
var headerLeft = new(Metadata)

// SendHeader sends the header that [SetHeader] has set for the stream that ctx belongs to,
// and does not wait for the first item, with which it would leave. After that SetHeader
// fails. If the header has left already, and in the handler of a call, SendHeader does
// nothing. A context that is of neither is an InvalidArgument.
func SendHeader(ctx context.Context) error {
	s, of := streamFrom(ctx)
	if s == nil {
		if of {
			return nil
		}
		return Errorf(InvalidArgument, "SendHeader: the context is not that of a call on a server")
	}
	s.sendHeader()
	return nil
}

func (s *serverStream) ofCall() *serverCall                   { return &s.call }
func (s *serverStream) trailerVar() *atomic.Pointer[Metadata] { return &s.trailer }

// sendHeader sends the header, if it has not left and the stream has not ended.
func (s *serverStream) sendHeader() {
	c := s.table.conn
	c.mu.Lock()
	if s.out.err == nil {
		s.headerLeaves()
		s.table.lane.ready.push(&s.stream)
	}
	start := c.out.start()
	c.mu.Unlock()
	s.table.flush(start, true)
}

// SetTrailer adds md to the trailer of the stream that ctx belongs to, which travels with
// its end, also if the stream fails. A key that the trailer has already gets its new value.
// Interceptors and Authorize hooks may call it, too, also if they refuse the stream. It
// copies md. Once the handler has returned, it has no effect. A caller reads it by Trailer,
// see [ReceiveStream.Trailer]; the limits, and what does not travel, are those of
// [SetHeader].
//
// The error is an *[Error], and the trailer then stays as it was: InvalidArgument for pairs
// that may not travel, and for a context that is not of a stream on a server (what goes
// beside the result of a call is its header); ResourceExhausted for too many or too large pairs.
func SetTrailer(ctx context.Context, md Metadata) error {
	s, _ := streamFrom(ctx)
	if s == nil {
		return Errorf(InvalidArgument, "SetTrailer: the context is not that of a stream on a server: a call has only a header")
	}
	return addReplyMetadata("SetTrailer", s.trailerVar(), md)
}

// headerLeaves puts the header before what a handler sends next. Callers hold the
// connection's mu.
func (s *serverStream) headerLeaves() {
	md := s.call.header.Swap(headerLeft)
	s.out.headed = true
	if md == nil || md == headerLeft || s.table.conn.agreed&wire.FlagReplyMetadata == 0 {
		return
	}
	if wire.MinLength+wire.PairsSize(*md) <= s.table.conn.maxReply {
		s.out.header = *md
	}
}

// trailerSet returns what SetTrailer has set, if the client knows metadata of replies.
func (s *serverStream) trailerSet() Metadata {
	md := s.trailer.Load()
	if md == nil || s.table.conn.agreed&wire.FlagReplyMetadata == 0 {
		return nil
	}
	return *md
}

// appendHeader appends the header, which is due.
func (s *stream) appendHeader(o *outbox) {
	md := s.out.header
	s.out.header = nil
	o.append(func(dst []byte) []byte {
		return wire.AppendPairs(wire.AppendHeader(dst, wire.KindHeader, 0, s.id, wire.PairsSize(md)), md)
	}, nil)
}

// headerState is a stream's header at its caller. The connection's mu guards it.
type headerState struct {
	md    Metadata
	err   error         // why none will arrive
	known bool          // it has arrived, or will not
	wait  chan struct{} // closed when it is known; nil: nobody waits
}

// settle says what there is of the header, once.
func (h *headerState) settle(md Metadata, err error) {
	if h.known {
		return
	}
	h.md, h.err, h.known = md, err, true
	if h.wait != nil {
		close(h.wait)
		h.wait = nil
	}
}

// handleHeader takes the server's header. failed is what is wrong with this stream alone.
func (s *clientStream) handleHeader(md Metadata, bad error) (failed *Error, err error) {
	switch {
	case s.in.err != nil: // it has failed here, and the header has crossed the cancel
		return nil, nil
	case s.header.known:
		return nil, errProtocol("a header of stream %d after another one, or after an item", s.id)
	case bad != nil:
		return toError(onOneLine(Errorf(Internal, "the header of %s: %w", s.method, bad))), nil
	}
	s.header.settle(md, nil)
	return nil, nil
}

// Header implements [OpenedStream].
func (s *clientStream) Header(ctx context.Context) (Metadata, error) {
	c, h := s.conn, &s.header
	c.mu.Lock()
	if !h.known && h.wait == nil {
		h.wait = make(chan struct{})
	}
	wait := h.wait
	c.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, contextError(ctxError(ctx))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(h.md), h.err
}

// Trailer implements [OpenedStream].
func (s *clientStream) Trailer() Metadata {
	s.conn.mu.Lock()
	defer s.conn.mu.Unlock()
	return maps.Clone(s.trailer)
}

// Header returns what the handler has set by [SetHeader]; nil if it has set nothing, or the
// server does not know headers. It waits for the header, the first item, the end, or
// until ctx ends. If the stream fails before there is a header, the error is the stream's.
// It may be called again, and by many goroutines.
func (s *ReceiveStream[T]) Header(ctx context.Context) (Metadata, error) {
	if s == nil {
		return nil, errNoStream
	}
	return headerFrom(ctx, s.opened)
}

// Trailer returns what the handler has set by [SetTrailer]. It travels with the end: call
// Trailer when Receive or All has returned that, else it may be nil.
func (s *ReceiveStream[T]) Trailer() Metadata {
	if s == nil {
		return nil
	}
	return trailerOf(s.opened)
}

// Header returns the handler's header: see [ReceiveStream.Header].
func (s *SendStream[T, Reply]) Header(ctx context.Context) (Metadata, error) {
	if s == nil {
		return nil, errNoStream
	}
	return headerFrom(ctx, s.opened)
}

// Trailer returns the handler's trailer, once CloseAndReceive, or a Send that has failed,
// has returned: see [ReceiveStream.Trailer].
func (s *SendStream[T, Reply]) Trailer() Metadata {
	if s == nil {
		return nil
	}
	return trailerOf(s.opened)
}

// Header returns the handler's header: see [ReceiveStream.Header].
func (s *DuplexStream[In, Out]) Header(ctx context.Context) (Metadata, error) {
	if s == nil {
		return nil, errNoStream
	}
	return headerFrom(ctx, s.opened)
}

// Trailer returns the handler's trailer: see [ReceiveStream.Trailer].
func (s *DuplexStream[In, Out]) Trailer() Metadata {
	if s == nil {
		return nil
	}
	return trailerOf(s.opened)
}

func headerFrom(ctx context.Context, s OpenedStream) (Metadata, error) {
	if s == nil {
		return nil, errNoStream
	}
	if ctx == nil {
		return nil, errNoContext
	}
	return s.Header(ctx)
}

func trailerOf(s OpenedStream) Metadata {
	if s == nil {
		return nil
	}
	return s.Trailer()
}
