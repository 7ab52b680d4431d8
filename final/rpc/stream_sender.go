package rpc

import (
	"context"
	"sync/atomic"
)

// Sender sends the items of one direction of a stream. One goroutine at a time may call
// Send; sending and receiving may be in different goroutines. While one goroutine sends, the
// Send of another fails with FailedPrecondition.
type Sender[T any] struct {
	stream Stream
	busy   atomic.Bool
}

// Send sends item: all of it, or nothing. A nil item is sent as a zero value. Send returns
// at once while the other side has room for the item: at first 16 KiB for each stream.
// Otherwise it waits until the other side has received earlier items, or until ctx or the
// stream ends. It can also wait for the connection, or in a handler for [WithReplyMemory].
// Items leave in their order; a nil error does not mean that the item has arrived.
//
// If the stream has ended, Send returns what it has ended with, never io.EOF: the
// handler's error, Canceled or DeadlineExceeded, Unavailable for a lost connection, or an
// error that wraps [ErrStreamEnded] if the handler returned without one. An item that
// cannot be encoded (InvalidArgument; Internal in a handler), or that is larger than the
// other side reads (ResourceExhausted), is not sent, and the stream goes on.
//
// If ctx has ended, nothing is sent. If ctx ends while Send waits, the item is not sent.
// For an item of up to 16,306 encoded bytes the stream goes on; for a larger one it may
// end, because the other side may have reserved memory for it. Do not change an item before
// Send has returned: Send may encode it twice.
func (s *Sender[T]) Send(ctx context.Context, item *T) error {
	if s == nil || s.stream == nil {
		return errNoStream
	}
	if ctx == nil {
		return errNoContext
	}
	if !s.busy.CompareAndSwap(false, true) {
		return Errorf(FailedPrecondition, "Send is running in another goroutine")
	}
	defer s.busy.Store(false)
	if ctx.Err() != nil {
		return endOfContext(ctx)
	}
	if item == nil { // not every codec encodes it, and an interceptor may look into it
		item = new(T)
	}
	return s.stream.Send(ctx, item)
}

var errNoStream = Errorf(InvalidArgument, "a stream is made by Open, or given to a handler")

// SendStream is the caller's side of a [ClientStream].
type SendStream[T, Reply any] struct {
	Sender[T]
	opened   OpenedStream
	received atomic.Bool
}

// CloseAndReceive ends the sending of items and waits for the handler's reply, until ctx
// ends. Call it once; again is FailedPrecondition. You may call it after a failed Send:
// after [ErrStreamEnded] it returns the reply. If ctx ends first, the reply is lost,
// although the stream goes on until Close or the end of its own context.
func (s *SendStream[T, Reply]) CloseAndReceive(ctx context.Context) (*Reply, error) {
	if s == nil || s.opened == nil {
		return nil, errNoStream
	}
	if ctx == nil {
		return nil, errNoContext
	}
	if s.received.Swap(true) {
		return nil, Errorf(FailedPrecondition, "CloseAndReceive may be called once")
	}
	if err := s.opened.CloseSend(); err != nil {
		return nil, err
	}
	return reply(ctx, &Receiver[Reply]{stream: s.opened})
}

// Close ends the stream, if it has not ended: the handler's context ends, and what was
// sent and not received there is dropped. It may be called again, and by any goroutine;
// it returns nil.
func (s *SendStream[T, Reply]) Close() error { return closeStream(s == nil, s.opened) }

// DuplexStream is the caller's side of a [BidiStream].
type DuplexStream[In, Out any] struct {
	Sender[In]
	Receiver[Out]
	opened OpenedStream
}

// CloseSend ends the sending of items: the handler's Receive returns io.EOF after the last
// item. Send fails from then on. It never waits, and may be called again.
func (s *DuplexStream[In, Out]) CloseSend() error {
	if s == nil || s.opened == nil {
		return errNoStream
	}
	return s.opened.CloseSend()
}

// Close ends the stream, if it has not ended: see [ReceiveStream.Close].
func (s *DuplexStream[In, Out]) Close() error { return closeStream(s == nil, s.opened) }

func closeStream(none bool, opened OpenedStream) error {
	if none || opened == nil {
		return nil
	}
	return opened.Close()
}
