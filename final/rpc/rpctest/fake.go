package rpctest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"example.com/rpc-from-scratch/final/rpc"
)

// Fake is an [rpc.Caller] for tests of code that makes calls. A [Stub] decides
// the replies of a method; a method without one is Unimplemented. [Fake.Calls]
// returns the calls that stubs have answered.
//
// Its calls go to a real server in memory, as JSON. So params and replies are
// copies, errors carry only what travels, and deadlines, cancellation and
// metadata work as usual. For another codec, or for options of your own, use
// [NewClient]. A panic of a stub is an error of the test; its caller gets
// Internal. A Fake may be used by many goroutines.
type Fake struct {
	t      testing.TB
	srv    *rpc.Server
	client *rpc.Client

	mu    sync.Mutex
	calls []Call
}

// Call is a call that a stub has answered, or is answering.
type Call struct {
	Method   string
	Params   any          // a pointer, as the stub gets it; nil without params
	Metadata rpc.Metadata // nil without any
}

// NewFake returns a Fake without stubs, which ends with the test.
func NewFake(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{t: t}
	f.srv = rpc.NewServer(
		rpc.WithServerInterceptors(f.record),
		rpc.WithPanicHandler(func(_ context.Context, value any, stack []byte) {
			t.Errorf("rpctest: a stub panicked: %v\n%s", value, stack)
		}),
	)
	f.client = NewClient(t, f.srv)
	return f
}

// Declared is a method that is declared for both sides: a [rpc.Method] or a
// [rpc.IdempotentMethod].
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

// Call makes a call: see [rpc.Caller].
func (f *Fake) Call(ctx context.Context, method string, params, reply any) error {
	return f.client.Call(ctx, method, params, reply)
}

// Calls returns the calls so far, in the order in which their stubs began.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

func (f *Fake) record(info rpc.MethodInfo, next rpc.Handler) rpc.Handler {
	return func(ctx context.Context, params any) (any, error) {
		f.mu.Lock()
		f.calls = append(f.calls, Call{info.Name, params, rpc.MetadataFrom(ctx)})
		f.mu.Unlock()
		return next(ctx, params)
	}
}
