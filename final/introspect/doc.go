// Package introspect tells callers what a server can do: its services, their
// methods, and the types of params and replies down to the last field, over
// every codec. It is off unless registered, because strangers can ask, too;
// [rpc.WithAuthorize] applies to it as to every method.
//
//	srv := rpc.NewServer()
//	h, err := health.Register(srv)
//	err = introspect.Register(srv, h)
//
// The program rpc (final/cmd/rpc) is its main user: rpc list, rpc describe, and
// rpc call with gob and protobuf, which need the types.
package introspect
