package rpc

import (
	"context"
	"reflect"
	"slices"
)

// Method is a method's name with the types of its params and reply: one
// declaration for both sides, checked by the compiler, with no generated code.
//
//	var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")
//
// A Method does not change, and may be used by any number of goroutines. For a
// method that does no harm when it runs twice, see [IdempotentMethod].
type Method[Req, Reply any] string

// Name returns the full name, "Service.Method".
func (m Method[Req, Reply]) Name() string { return string(m) }

// Handle registers fn on s. It returns an error if fn is nil, or if the name is
// not valid (see [Server.RegisterFunc]) or is taken. See [Handler] for what
// belongs to whom, and for when the context ends. fn gets a req that is never
// nil, and must return a reply or an error; if it returns nil and nil, the
// caller gets Internal. If Reply is an interface, such as any, and holds an
// error, the call fails with it.
func (m Method[Req, Reply]) Handle(s *Server, fn func(context.Context, *Req) (*Reply, error), opts ...MethodOption) error {
	return handle(s, string(m), fn, opts)
}

// Call calls the method through c, a Client, a Pool or middleware around one.
// It returns the error of c, an *[Error], and then the reply is nil. Without c the
// call fails with InvalidArgument. A nil req depends on the codec: from [JSON] and
// protobuf the handler gets the zero value, and [Gob] refuses it.
func (m Method[Req, Reply]) Call(ctx context.Context, c Caller, req *Req) (*Reply, error) {
	return call[Req, Reply](ctx, c, string(m), req)
}

// IdempotentMethod is a [Method] that does no harm when a call of it runs twice:
// one that only reads, or that knows a request again. A client may send its call
// once more when it is not known whether it ran: after a lost connection, or when
// a server that ran it asks for a pause. See [WithMaxAttempts].
type IdempotentMethod[Req, Reply any] string

// Name returns the full name, "Service.Method".
func (m IdempotentMethod[Req, Reply]) Name() string { return string(m) }

// Handle registers fn on s, as [Method.Handle] does. [MethodInfo] says that the
// method is idempotent.
func (m IdempotentMethod[Req, Reply]) Handle(s *Server, fn func(context.Context, *Req) (*Reply, error), opts ...MethodOption) error {
	idempotent := methodOption(func(m *method) { m.info.Idempotent = true })
	return handle(s, string(m), fn, append(slices.Clip(opts), MethodOption(idempotent)))
}

// Call calls the method, as [Method.Call] does, and lets the call be repeated.
func (m IdempotentMethod[Req, Reply]) Call(ctx context.Context, c Caller, req *Req) (*Reply, error) {
	if ctx == nil {
		return nil, errNoCallContext
	}
	return call[Req, Reply](MarkIdempotent(ctx, string(m)), c, string(m), req)
}

func handle[Req, Reply any](s *Server, name string, fn func(context.Context, *Req) (*Reply, error), opts []MethodOption) error {
	if fn == nil {
		return Errorf(InvalidArgument, "register %s: the function is nil", name)
	}
	return s.register(&method{
		info: MethodInfo{
			Name:   name,
			Params: reflect.TypeFor[Req](),
			Reply:  reflect.TypeFor[Reply](),
		},
		newParams: func() any { return new(Req) },
		handler: func(ctx context.Context, params any) (any, error) {
			reply, err := fn(ctx, params.(*Req))
			if err != nil {
				return nil, err
			}
			if reply == nil {
				return nil, Errorf(Internal, "%s returned neither reply nor error", name)
			}
			return reply, nil
		},
	}, opts)
}

// noCaller is the error of a call or a stream that nothing can make.
func noCaller(what string) *Error {
	return unrun(Errorf(InvalidArgument, "%s: the Caller is nil: want a Client or a Pool", what))
}

func call[Req, Reply any](ctx context.Context, c Caller, name string, req *Req) (*Reply, error) {
	if c == nil {
		return nil, noCaller("call " + name)
	}
	reply := new(Reply)
	if err := c.Call(ctx, name, req, reply); err != nil {
		return nil, err
	}
	return reply, nil
}
