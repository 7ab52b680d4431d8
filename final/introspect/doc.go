// Package introspect tells callers what a server can do: its services, their
// methods, and the types of params and replies down to the last field, over
// every codec. It is off unless registered, because it also tells those who
// should not know; [rpc.WithAuthorize] applies to it as to every method.
//
//	srv := rpc.NewServer()
//	h, err := health.Register(srv)
//	err = introspect.Register(srv, h)
//
// The program rpc (final/cmd/rpc) is its best customer: rpc list, rpc describe,
// and rpc call with gob and protobuf, which need the types.
package introspect
