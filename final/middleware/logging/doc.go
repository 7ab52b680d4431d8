// Package logging writes one line per call or stream to a [log/slog.Logger], on both
// sides: method, code, duration, who called, and what went wrong. Give it to a
// server before other interceptors, so that it sees what they do:
//
//	srv := rpc.NewServer(logging.New(slog.Default()).ServerOptions())
//
// And a client or a pool:
//
//	client, err := rpc.Dial(ctx, addr, logging.New(slog.Default()).ClientOptions())
//
// The messages are "call served" and "call made". Their attributes are method,
// code and duration and, where they exist, peer, identity and error. late is
// true if a handler returned a result after its context had ended: the caller
// had left. A call is logged once, when it ends. On a server that is when its
// handler returns, not when its caller leaves. A client logs one line for a
// call, however often it was tried.
//
// A stream has one line, too, when it has ended: "stream served" or "stream opened".
// Besides the attributes of a call it has sent and received, which count items, and
// bytes_sent and bytes_received. Its items are never logged.
//
// A panic in a handler is logged in its call's line, with its value and stack, and
// goes on to the server's [rpc.WithPanicHandler], as if there were no logging. A
// [slog.LogValuer] in the value, or among the errors that a call's error wraps,
// decides what the line shows of it. The text of an error is not shown if it may
// repeat in other words what an error in it hides, or if too many errors are in it.
//
// Calls that do not reach an interceptor are logged as "call refused". Results
// that cannot be encoded, or are too large for the client, are logged as "reply
// not sent": the one case in which a call has two lines. A peer can cause as
// many of both as it likes, so there are at most 10 per second: see
// [WithMaxRefusals].
//
// Params and results are not logged unless [WithPayloads] asks for them; a
// [slog.LogValuer] in them decides what is shown of it. Text that a peer may
// have made is cut, and loses characters that could forge a line or reverse
// text on a screen.
//
// A line is written on the goroutine that runs the call, by a slog.Handler that
// may wait for a disk. For a method that is [rpc.NonBlocking], and for a
// refused call, that is the goroutine that reads the connection. If lines must
// not delay calls, give New a slog.Logger whose Handler does not wait.
package logging
