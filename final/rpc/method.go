package rpc

import (
	"context"
	"reflect"
)

// Method is a method's name with the types of its params and reply: one
// declaration for both sides, checked by the compiler, with no generated code.
//
//	var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")
//
// A Method does not change, and may be used by any number of goroutines.
type Method[Req, Reply any] string

// Name returns the full name, "Service.Method".
func (m Method[Req, Reply]) Name() string { return string(m) }

// Handle registers fn on s. It returns an error if fn is nil, or if the name is
// not valid or is taken. fn must return a reply or an error; if it returns nil
// and nil, the caller gets Internal.
func (m Method[Req, Reply]) Handle(s *Server, fn func(context.Context, *Req) (*Reply, error), opts ...MethodOption) error {
	if fn == nil {
		return Errorf(InvalidArgument, "register %s: the function is nil", string(m))
	}
	return s.register(&method{
		info: MethodInfo{
			Name:   string(m),
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
				return nil, Errorf(Internal, "%s returned neither reply nor error", string(m))
			}
			return reply, nil
		},
	}, opts)
}

// Call calls the method through c, a Client, a Pool or middleware around one.
// The reply is nil when there is an error.
func (m Method[Req, Reply]) Call(ctx context.Context, c Caller, req *Req) (*Reply, error) {
	reply := new(Reply)
	if err := c.Call(ctx, string(m), req, reply); err != nil {
		return nil, err
	}
	return reply, nil
}
