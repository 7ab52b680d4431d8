// Package health tells callers how a server is: serving, draining or not
// serving, as a whole and service by service, over every codec. It is off
// unless registered:
//
//	srv := rpc.NewServer()
//	h, err := health.Register(srv)
//
// A server that knows it will go away says so first, gives those who ask time
// to go elsewhere, and then shuts down:
//
//	h.Set("", health.Draining)
//	…
//	err = srv.Shutdown(ctx)
//
// The pause matters: once Shutdown has begun, new calls are refused, and that
// includes the question how the server is.
package health
