// Package logging writes one line a call to a [log/slog.Logger], on both sides:
// method, code, duration, who called, and what went wrong. A server is given it
// like this, before other interceptors, so that it sees what they do:
//
//	srv := rpc.NewServer(logging.New(slog.Default()).ServerOptions())
//
// And a client or a pool:
//
//	client, err := rpc.Dial(ctx, addr, logging.New(slog.Default()).ClientOptions())
//
// The messages are "call served" and "call made". Their attributes are method,
// code, duration and, where there are any, peer, identity and error; late is true
// if a handler returned a result when its context had ended, so that its caller
// has left. A call is logged when it ends, once, however slow it was: on a server
// when its handler returns, and not when its caller leaves. A client logs a call
// as its program made it, once, however often it was tried.
//
// A panic in a handler is logged in its call's line, with its value and stack, and
// goes on to the server's [rpc.WithPanicHandler], as if there were no logging.
//
// Calls that never come to an interceptor are logged as "call refused", and
// results that cannot be encoded or are too large for the client as "reply not
// sent", the one case of a second line. A peer can cause as many of both as it
// likes, so there are at most 10 a second: see [WithMaxRefusals].
//
// Params and results are not logged unless [WithPayloads] asks for them; a
// [slog.LogValuer] in them says what is shown of it. Texts
// that a peer may have made are cut, and stripped of what could forge a line or
// turn text around on a screen.
//
// The line is written on the goroutine that runs the call, by a handler of slog's
// that may wait for a disk. That is no place for it in a method that is
// [rpc.NonBlocking], and a refused call is logged by the goroutine that reads the
// connection: where lines must not hold up calls, give New a slog.Handler that
// does not wait.
package logging
