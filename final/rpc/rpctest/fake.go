package rpctest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"example.com/rpc-from-scratch/final/rpc"
)

// Fake is an [rpc.StreamCaller] for tests of code that makes calls and opens streams. A
// [Stub] decides the replies of a method, and a [StubServerStream], [StubClientStream]
// or [StubBidiStream] what happens on a stream; a method without one is Unimplemented.
// [Fake.Calls] returns the calls and streams that stubs have answered.
//
// Its calls go to a real server in memory, as JSON. Params and replies are therefore
// copies, errors carry only what travels, and deadlines, cancellation, flow control and
// metadata, those of replies too, work as usual. For another codec, or for options of your
// own, use [NewClient]. A panic of a stub is an error of the test; its caller gets
// Internal. A Fake may be used by many goroutines.
type Fake struct {
	t      testing.TB
	srv    *rpc.Server
	client *rpc.Client

	mu    sync.Mutex
	calls []Call
}

// Call is a call or a stream that a stub has answered, or is answering.
type Call struct {
	Method   string
	Kind     rpc.MethodKind
	Params   any          // a pointer, as the stub gets it; nil without params, and for client streams
	Metadata rpc.Metadata // nil without any
}

// NewFake returns a Fake without stubs, which ends with the test.
func NewFake(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{t: t}
	f.srv = rpc.NewServer(
		rpc.WithServerMiddleware(rpc.ServerMiddleware{Unary: f.record, Stream: f.recordStream}),
		rpc.WithPanicHandler(func(_ context.Context, value any, stack []byte) {
			t.Errorf("rpctest: a stub panicked: %v\n%s", value, stack)
		}),
	)
	f.client = NewClient(t, f.srv)
	return f
}

// Declared is a method that is declared for both sides: an [rpc.Method] or
// an [rpc.IdempotentMethod].
type Declared[Req, Reply any] interface {
	Handle(s *rpc.Server, fn func(context.Context, *Req) (*Reply, error), opts ...rpc.MethodOption) error
}

// Stub makes fn answer the calls of method. It ends the test if method has a stub
// already, or if it could not be registered on a server: see [rpc.Method.Handle].
func Stub[Req, Reply any](f *Fake, method Declared[Req, Reply], fn func(ctx context.Context, req *Req) (*Reply, error)) {
	f.t.Helper()
	if err := method.Handle(f.srv, fn); err != nil {
		f.t.Fatal(err)
	}
}

// StubFunc is [Stub] for code that calls without a declaration. fn is a function
// as [rpc.Server.RegisterFunc] takes it.
func (f *Fake) StubFunc(method string, fn any) {
	f.t.Helper()
	if err := f.srv.RegisterFunc(method, fn); err != nil {
		f.t.Fatal(err)
	}
}

// StubServerStream makes fn answer the streams of method. It ends the test where [Stub]
// does.
func StubServerStream[Req, Item any](f *Fake, method rpc.ServerStream[Req, Item], fn func(ctx context.Context, req *Req, out *rpc.Sender[Item]) error) {
	f.t.Helper()
	if err := method.Handle(f.srv, fn); err != nil {
		f.t.Fatal(err)
	}
}

// StubClientStream makes fn answer the streams of method. It ends the test where [Stub]
// does.
func StubClientStream[Item, Reply any](f *Fake, method rpc.ClientStream[Item, Reply], fn func(ctx context.Context, in *rpc.Receiver[Item]) (*Reply, error)) {
	f.t.Helper()
	if err := method.Handle(f.srv, fn); err != nil {
		f.t.Fatal(err)
	}
}

// StubBidiStream makes fn answer the streams of method. It ends the test where [Stub]
// does.
func StubBidiStream[In, Out any](f *Fake, method rpc.BidiStream[In, Out], fn func(ctx context.Context, in *rpc.Receiver[In], out *rpc.Sender[Out]) error) {
	f.t.Helper()
	if err := method.Handle(f.srv, fn); err != nil {
		f.t.Fatal(err)
	}
}

// Call makes a call: see [rpc.Caller].
func (f *Fake) Call(ctx context.Context, method string, params, reply any) error {
	return f.client.Call(ctx, method, params, reply)
}

// OpenStream opens a stream: see [rpc.StreamCaller].
func (f *Fake) OpenStream(ctx context.Context, kind rpc.MethodKind, method string, params any) (rpc.OpenedStream, error) {
	return f.client.OpenStream(ctx, kind, method, params)
}

// Calls returns the calls and streams so far, in the order in which their stubs began.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *Fake) record(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	return func(ctx context.Context, params any) (any, error) {
		f.note(ctx, info, params)
		return next(ctx, params)
	}
}

func (f *Fake) recordStream(info rpc.MethodInfo, next rpc.StreamHandler) rpc.StreamHandler {
	return func(ctx context.Context, params any, s rpc.Stream) error {
		f.note(ctx, info, params)
		return next(ctx, params, s)
	}
}

func (f *Fake) note(ctx context.Context, info rpc.MethodInfo, params any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, Call{info.Name, info.Kind, params, rpc.MetadataFrom(ctx)})
}
