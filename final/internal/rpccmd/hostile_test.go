package rpccmd_test

import (
	"context"
	"errors"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// harm is what a terminal or a shell would obey.
const harm = "\x1b[31m\a\r\x7f\u009b2J\u202e$(touch owned)`touch owned`'; touch owned; '\"\nforged line"

// serveHostile serves a server that lies about itself.
func serveHostile() error {
	srv := rpc.NewServer()
	name := func(ctx context.Context, of string) string {
		const typed = "-f'; touch owned; '$(touch owned)`touch owned`\\'\"; touch owned; \"\\'"
		if of == "Test.Quotes" || of == typed { // characters that can be typed
			return typed
		}
		return of + harm
	}
	failure := &rpc.Error{Code: rpc.NotFound, Message: harm, Details: map[string]string{"key" + harm: harm}}
	err := errors.Join(
		introspect.Describe.Handle(srv, func(ctx context.Context, req *introspect.DescribeRequest) (*introspect.DescribeReply, error) {
			called := name(ctx, req.GetMethod())
			return &introspect.DescribeReply{
				Method: &introspect.Method{Name: called, Params: called, Reply: called},
				Types:  []*introspect.Type{{Name: called, Kind: "struct", Fields: []*introspect.Field{{Name: called, GoName: called, Type: "string"}}}},
			}, nil
		}),
		introspect.List.Handle(srv, func(ctx context.Context, _ *introspect.ListRequest) (*introspect.ListReply, error) {
			odd := &introspect.Method{Name: "Test.Odd" + harm, Params: harm, Reply: harm}
			return &introspect.ListReply{Services: []*introspect.Service{{Name: "Test" + harm, Status: harm, Methods: []*introspect.Method{odd, {Name: "Test.Plain", Params: harm}}}}}, nil
		}),
		health.Check.Handle(srv, func(context.Context, *health.CheckRequest) (*health.CheckReply, error) {
			return &health.CheckReply{Status: "serving", Services: map[string]string{"Test" + harm: harm}}, nil
		}),
		srv.RegisterFunc("Test.Text", func() string { return harm }),
		srv.RegisterFunc("Test.Fails", func() error { return failure }),
	)
	if err != nil {
		return err
	}
	return serveUntilEOF(srv)
}
