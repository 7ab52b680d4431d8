package rpc

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// InvokeStream runs a [ServerStream] without a connection, for gateways. It calls send
// with each item, encoded, in their order and one at a time. The handler's Send returns
// when send does, so that a slow reader slows the handler down; nothing is queued. The
// context of send is that of the handler's Send, and ends with ctx, too: send has to
// return then. If send fails while its context goes on, the reader has left: the
// handler's context ends, and Sends fail from then on. The bytes of an item may be kept.
// An item that is nil is none: the handler has sent its header, see [SendHeader].
//
// Authorize, interceptors and [WithMaxHandlers] apply as they do to streams of a
// connection. [WithHandlerTimeout] does not, nor do the limits of a connection and of
// messages. The error is the stream's, an *[Error]; nil is the good end. It is
// InvalidArgument without a codec or send, Unimplemented for methods of other kinds, and
// Unavailable after Shutdown or Close. Shutdown closes the channel of [DrainingFrom] and
// waits for the stream; Close ends its context and waits for it. The handler runs on the
// caller's goroutine. Its context has of ctx what that of [Server.Invoke] has.
//
// Invocation.Header is set before the first call of send, or before InvokeStream returns,
// and Invocation.Trailer before it returns.
func (s *Server) InvokeStream(ctx context.Context, in Invocation, send func(ctx context.Context, item []byte) error) error {
	handOut(in.Trailer, nil) // until there is one
	if send == nil {
		return errNoSend()
	}
	a, err := s.authorizeAs(ctx, "InvokeStream", in, ServerStreaming)
	if err != nil {
		return err
	}
	return a.InvokeStream(ctx, in.Params, send)
}

func errNoSend() error { return unrun(Errorf(InvalidArgument, "InvokeStream: send is nil")) }

// InvokeStream runs the stream, as [Server.InvokeStream] does. An Authorized may be run
// once; again is an InvalidArgument. The items do not count against [WithReplyMemory]:
// there is one at a time.
func (a *Authorized) InvokeStream(ctx context.Context, params []byte, send func(ctx context.Context, item []byte) error) error {
	if send == nil {
		return errNoSend()
	}
	return a.once(ctx, ServerStreaming, func(ctx context.Context) error { return a.runStream(ctx, params, send) })
}

func (a *Authorized) runStream(ctx context.Context, body []byte, send func(context.Context, []byte) error) error {
	s, call := a.server, a.call
	defer func() { s.invoked.give(call.charge) }()
	params, err := a.decode(ctx, body)
	if err != nil {
		return err
	}
	stream := &invokedStream{server: s, call: call, codec: a.codec, header: a.header, send: send}
	ctx, stream.cancel = context.WithCancelCause(ctx)
	stream.ctx = context.WithValue(ctx, streamKey{}, stream)
	defer stream.finish(a.trailer) // also if the handler ends its goroutine
	if err := s.runStreamHandler(stream.ctx, call.method, params, stream); err != nil {
		return toError(err)
	}
	if stream.ctx.Err() != nil { // as over a connection: the caller has not got all of it
		return contextError(ctxError(stream.ctx))
	}
	return nil
}

// invokedStream is a server stream without a connection.
type invokedStream struct {
	server *Server
	call   *serverCall
	codec  Codec
	send   func(context.Context, []byte) error
	ctx    context.Context // of the handler
	cancel context.CancelCauseFunc

	trailer     atomic.Pointer[Metadata] // see SetTrailer; what it points to does not change
	sent, bytes atomic.Int64             // items, and their bytes

	turn   sync.Mutex // held while an item is handed out; it guards what is below
	header *Metadata  // where the header is wanted, or nil
	over   error      // what Send returns, if not nil
}

var _ Stream = (*invokedStream)(nil)

// Send implements [Stream].
func (s *invokedStream) Send(ctx context.Context, item any) error {
	data, err := encodeWith(s.codec, nil, item)
	if err != nil {
		failed := Errorf(Internal, "encode an item of %s: %w", s.call.method.info.Name, err)
		s.server.callFailed(s.ctx, failed)
		return failed
	}
	if data == nil {
		data = []byte{} // nil is no item
	}
	s.turn.Lock()
	defer s.turn.Unlock()
	if err := s.endedLocked(); err != nil {
		return err
	}
	s.headerLeaves()
	ctx, stop := s.joined(ctx)
	defer stop()
	if err = s.send(ctx, data); err != nil {
		return s.unsent(ctx, err)
	}
	s.sent.Add(1)
	s.bytes.Add(int64(len(data)))
	return nil
}

// endedLocked returns what Send fails with, if the stream has ended.
func (s *invokedStream) endedLocked() error {
	switch {
	case s.over != nil:
		return s.over
	case s.ctx.Err() != nil:
		return contextError(s.ctx.Err())
	}
	return nil
}

// unsent returns why an item was not sent. The stream goes on only if its handler has not
// waited any longer.
func (s *invokedStream) unsent(ctx context.Context, err error) error {
	switch {
	case s.ctx.Err() != nil:
		return contextError(s.ctx.Err())
	case ctx.Err() != nil:
		return contextError(ctx.Err())
	}
	s.over = Errorf(Canceled, "%w: %w", errLeft, plainError(err))
	s.cancel(s.over)
	return s.over
}

// joined returns a context that ends with ctx and with the stream.
func (s *invokedStream) joined(ctx context.Context) (context.Context, func()) {
	if ctx == s.ctx {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancel(derivable(ctx))
	stop := context.AfterFunc(s.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}

// Receive implements [Stream]: there is nothing but the request.
func (s *invokedStream) Receive(context.Context, any) error { return io.EOF }

// Stats implements [Stream].
func (s *invokedStream) Stats() StreamStats {
	return StreamStats{Sent: s.sent.Load(), BytesSent: s.bytes.Load()}
}

func (s *invokedStream) ofCall() *serverCall                   { return s.call }
func (s *invokedStream) trailerVar() *atomic.Pointer[Metadata] { return &s.trailer }

// sendHeader says that there is a header before there is an item.
func (s *invokedStream) sendHeader() {
	s.turn.Lock()
	defer s.turn.Unlock()
	if s.endedLocked() != nil || !s.headerLeaves() {
		return
	}
	if err := s.send(s.ctx, nil); err != nil {
		_ = s.unsent(s.ctx, err) // Send will say so
	}
}

// headerLeaves hands out the header, once. It reports whether that was now.
func (s *invokedStream) headerLeaves() bool {
	md := s.call.header.Swap(headerLeft)
	if md == headerLeft {
		return false
	}
	handOut(s.header, md)
	return true
}

// finish ends the stream, and hands out the trailer. Once it has returned, nothing is sent,
// whatever the handler has left behind.
func (s *invokedStream) finish(trailer *Metadata) {
	s.cancel(errAfterHandler)
	s.turn.Lock()
	defer s.turn.Unlock()
	s.headerLeaves()
	handOut(trailer, s.trailer.Load())
	s.over = errHandlerReturned
}
