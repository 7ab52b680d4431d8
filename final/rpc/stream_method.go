package rpc

import (
	"context"
	"io"
	"reflect"
)

// ServerStream declares a method that answers one request with many items. Client and
// server share the declaration, as with [Method].
//
//	var Watch = rpc.ServerStream[WatchRequest, StockChange]("Inventory.Watch")
type ServerStream[Req, Item any] string

// Name returns the full name, "Service.Method".
func (m ServerStream[Req, Item]) Name() string { return string(m) }

// Handle registers fn on s; its errors are those of [Method.Handle]. fn sends items. When
// fn returns, the stream ends: the caller receives all items first, then fn's error, or
// io.EOF if that is nil. ctx ends when the caller leaves, when the stream's deadline has
// passed, or when the connection is lost. [context.Cause] says why: it matches
// [context.Canceled] or [context.DeadlineExceeded] under errors.Is. While the server
// drains, ctx goes on: see [DrainingFrom]. [WithHandlerTimeout] does not apply.
func (m ServerStream[Req, Item]) Handle(s *Server, fn func(ctx context.Context, req *Req, out *Sender[Item]) error, opts ...MethodOption) error {
	var handler StreamHandler
	if fn != nil {
		handler = func(ctx context.Context, params any, stream Stream) error {
			return fn(ctx, params.(*Req), &Sender[Item]{stream: stream})
		}
	}
	return handleStream[Req, Item](s, string(m), ServerStreaming, handler, opts)
}

// Open opens a stream through c, a Client, a Pool or middleware around one that is a
// [StreamCaller]. It waits for a connection and a free stream slot: see [WithMaxWait]. It does not
// wait for the handler, so an error of the server is returned by the first Receive. ctx
// bounds the whole life of the stream, not only Open: when it ends, so does the stream, on
// both sides. [WithDefaultTimeout] does not apply. Close the stream, or receive to its end.
// Its slot is free once its handler has returned. A nil req is sent as a zero value. An
// open stream is one in flight for a Pool: see [WithBalancing].
//
// A stream that never ran is retried as a call is, within [WithMaxAttempts] and
// [WithRetryBudget], also on another server of a [Pool]: Receive then waits for the stream
// that follows. An encoded request above 64 KiB is not kept, so its stream is not opened
// again: Receive returns the error, and [NeverRan] is true of it. A stream that has run is never repeated, and neither is a [ClientStream] or a
// [BidiStream]: see [NeverRan].
func (m ServerStream[Req, Item]) Open(ctx context.Context, c Caller, req *Req) (*ReceiveStream[Item], error) {
	if req == nil {
		req = new(Req)
	}
	s, err := OpenStream(ctx, c, ServerStreaming, string(m), req)
	if err != nil {
		return nil, err
	}
	return &ReceiveStream[Item]{Receiver[Item]{stream: s}, s}, nil
}

// ClientStream declares a method that receives many items and returns one reply: see
// [ServerStream].
type ClientStream[Item, Reply any] string

// Name returns the full name, "Service.Method".
func (m ClientStream[Item, Reply]) Name() string { return string(m) }

// Handle registers fn on s: see [ServerStream.Handle]. fn receives items and must return a
// reply or an error; nil and nil is Internal. It may return before it has received all
// items: the rest is dropped, and the caller's Send fails, with [ErrStreamEnded] after a
// reply, else with fn's error. CloseAndReceive returns the reply, or that error.
func (m ClientStream[Item, Reply]) Handle(s *Server, fn func(ctx context.Context, in *Receiver[Item]) (*Reply, error), opts ...MethodOption) error {
	var handler StreamHandler
	if fn != nil {
		handler = func(ctx context.Context, _ any, stream Stream) error {
			reply, err := fn(ctx, &Receiver[Item]{stream: stream})
			switch {
			case err != nil:
				return err
			case reply == nil:
				return Errorf(Internal, "%s returned neither reply nor error", string(m))
			}
			return stream.Send(ctx, reply)
		}
	}
	return handleStream[Item, Reply](s, string(m), ClientStreaming, handler, opts)
}

// Open opens a stream through c: see [ServerStream.Open]. If the server refuses the stream
// or the handler fails, Send or CloseAndReceive returns the error; a few Sends may succeed
// before that. The client does not retry.
func (m ClientStream[Item, Reply]) Open(ctx context.Context, c Caller) (*SendStream[Item, Reply], error) {
	s, err := OpenStream(ctx, c, ClientStreaming, string(m), nil)
	if err != nil {
		return nil, err
	}
	return &SendStream[Item, Reply]{Sender: Sender[Item]{stream: s}, opened: s}, nil
}

// BidiStream declares a method with items in both directions, at any time: see
// [ServerStream]. In and Out are the server's view: the caller sends In and receives Out.
type BidiStream[In, Out any] string

// Name returns the full name, "Service.Method".
func (m BidiStream[In, Out]) Name() string { return string(m) }

// Handle registers fn on s: see [ServerStream.Handle] and [ClientStream.Handle]. One
// goroutine may receive while another one sends.
func (m BidiStream[In, Out]) Handle(s *Server, fn func(ctx context.Context, in *Receiver[In], out *Sender[Out]) error, opts ...MethodOption) error {
	var handler StreamHandler
	if fn != nil {
		handler = func(ctx context.Context, _ any, stream Stream) error {
			return fn(ctx, &Receiver[In]{stream: stream}, &Sender[Out]{stream: stream})
		}
	}
	return handleStream[In, Out](s, string(m), BidiStreaming, handler, opts)
}

// Open opens a stream through c: see [ServerStream.Open] and [ClientStream.Open].
func (m BidiStream[In, Out]) Open(ctx context.Context, c Caller) (*DuplexStream[In, Out], error) {
	s, err := OpenStream(ctx, c, BidiStreaming, string(m), nil)
	if err != nil {
		return nil, err
	}
	return &DuplexStream[In, Out]{Sender[In]{stream: s}, Receiver[Out]{stream: s}, s}, nil
}

// handleStream registers a stream. The method that it makes has newParams only if the
// open carries params.
func handleStream[Params, Reply any](s *Server, name string, kind MethodKind, handler StreamHandler, opts []MethodOption) error {
	if handler == nil {
		return Errorf(InvalidArgument, "register %s: the function is nil", name)
	}
	m := &method{
		info:   MethodInfo{Name: name, Kind: kind, Params: reflect.TypeFor[Params](), Reply: reflect.TypeFor[Reply]()},
		stream: handler,
	}
	if kind == ServerStreaming {
		m.newParams = func() any { return new(Params) }
	}
	return s.register(m, opts)
}

// reply receives the one item of a client stream, and its end.
func reply[T any](ctx context.Context, r *Receiver[T]) (*T, error) {
	item, err := r.Receive(ctx)
	switch {
	case err == io.EOF:
		return nil, Errorf(Internal, "the stream ended without a reply")
	case err != nil:
		return nil, err
	}
	if _, err = r.Receive(ctx); err == nil {
		err = Errorf(Internal, "the stream has a second reply")
	}
	if err != io.EOF {
		return nil, err
	}
	return item, nil
}
