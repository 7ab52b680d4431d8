package rpc

import (
	"context"
	"io"
	"iter"
	"sync/atomic"
)

// Receiver receives the items of one direction of a stream, in their order, each once. One
// goroutine at a time may receive: while another one does, Receive fails with
// FailedPrecondition.
type Receiver[T any] struct {
	stream Stream // a caller's is an io.Closer, a handler's is not
	busy   atomic.Bool
	ranged atomic.Bool
}

// Receive returns the next item. After the last item it returns io.EOF, or an *[Error] if
// the stream failed. Further calls return the same. Items sent before a handler's error are
// returned before it. After a lost connection, the caller still gets the items that had
// arrived. The items of a stream that was cancelled are dropped. In a handler, io.EOF is not
// an error: the caller has sent all.
//
// ctx bounds this wait alone: an item that arrives later is there for the next Receive. An
// item that has arrived is returned even if ctx has ended, unless a handler has to wait for
// memory to decode it: see [WithParamsMemory]. If Receive fails and ctx.Err() is not nil,
// the wait has ended, and the stream may go on. If ctx.Err() is nil, no item follows, or
// the call was a misuse (FailedPrecondition, InvalidArgument).
//
// At its caller, an item that does not decode ends the stream, with Internal. In a
// handler, which may still send, Receive returns InvalidArgument from then on: return that
// error.
func (r *Receiver[T]) Receive(ctx context.Context) (*T, error) {
	if r == nil || r.stream == nil {
		return nil, errNoStream
	}
	if ctx == nil {
		return nil, errNoContext
	}
	if !r.busy.CompareAndSwap(false, true) {
		return nil, Errorf(FailedPrecondition, "Receive is running in another goroutine")
	}
	defer r.busy.Store(false)
	item := new(T)
	if err := r.stream.Receive(ctx, item); err != nil {
		return nil, err
	}
	return item, nil
}

// All ranges over the items that are left, until the stream ends. An error is the last
// pair, with a nil item; a good end has none. If a caller breaks out of the loop, the
// stream is closed. In a handler it stays open. All can be ranged over once; again
// yields FailedPrecondition.
func (r *Receiver[T]) All() iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		if r != nil && r.ranged.Swap(true) {
			yield(nil, Errorf(FailedPrecondition, "All can be ranged over once"))
			return
		}
		ended := false
		defer func() {
			if !ended && r != nil {
				closeEarly(r.stream)
			}
		}()
		for {
			item, err := r.Receive(context.Background()) // the stream has a context of its own
			if err == io.EOF {
				ended = true
				return
			}
			if err != nil {
				ended = true
				yield(nil, err)
				return
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// closeEarly closes a caller's stream.
func closeEarly(s Stream) {
	if c, ok := s.(io.Closer); ok {
		c.Close()
	}
}

// ReceiveStream is the caller's side of a [ServerStream].
type ReceiveStream[T any] struct {
	Receiver[T]
	opened OpenedStream
}

// Close ends the stream, if it has not ended: the handler's context ends. Items that have
// arrived and that Receive has not returned are dropped. Close may be called again, and by
// any goroutine; it returns nil. Breaking out of a loop over All closes the stream, too.
func (s *ReceiveStream[T]) Close() error {
	return closeStream(s == nil, s.opened)
}
