// Package gateway lets any HTTP client call the methods of an rpc.Server: a
// POST with JSON in and JSON out, over HTTP/1.1 or HTTP/2. One line serves it
// beside the other handlers of an http.ServeMux:
//
//	mux.Handle("/rpc/", gateway.New(srv))
//
// and one line calls it:
//
//	curl -H 'Content-Type: application/json' -d '{"Item":"item1"}' http://127.0.0.1:8080/rpc/Inventory.CheckStock
//
// and one line probes it:
//
//	curl http://127.0.0.1:8080/rpc/healthz
//
// A call passes the same checks as over TCP: the Authorize hook, the
// interceptors, the server's limit of handlers. The peer's address is
// http.Request's RemoteAddr, and a verified client certificate names the
// caller.
//
// # A call
//
// The body is the params, in JSON; an empty body is the zero value. The answer
// is 200 with the result in JSON, null if the method returns only an error.
// Headers carry the rest:
//
//	Rpc-Timeout: 1500ms        its deadline, as time.ParseDuration reads it
//	Rpc-Meta-Tenant: blue      metadata: "tenant" is "blue"
//	Authorization, Baggage, Traceparent, Tracestate
//	                           metadata, too, by their own names in lower case
//
// The metadata of the reply (rpc.SetHeader) are headers of the answer, with the same
// prefix, also beside an error of the call. Answers that the gateway gives by itself have
// none: at the deadline, and those to a request that is no call.
//
// Metadata that are given twice are refused. A trace never fails a call:
// several Baggage and Tracestate headers are joined, and if there are two
// Traceparents, none is taken. Members that are not UTF-8 are left out, and so
// are those beyond 8 KiB of baggage or 2 KiB of state.
//
// The handler's context ends with the deadline, or when the client leaves. At
// the deadline the client gets its answer, even if the handler has not
// returned, or the body has not arrived.
//
// # Streams
//
// A server stream (rpc.ServerStream) is a call with many results. It is opened as a call
// is made, and the header Accept decides how the items arrive:
//
//	curl -N -H 'Content-Type: application/json' -d '{"Item":"item1"}' http://127.0.0.1:8080/rpc/Inventory.Watch
//
//	{"item":{"Item":"item1","Count":3}}
//	{"item":{"Item":"item1","Count":2}}
//	{"end":{"code":"ok"}}
//
// These are lines of JSON, application/x-ndjson. With text/event-stream in Accept, they are
// events for a browser's EventSource:
//
//	data: {"Item":"item1","Count":3}
//
//	event: end
//	data: {"code":"ok"}
//
// The last line or event is the end, with the code, and with the message and details of an
// error. A stream without an end was cut off. An error before the first item has the status
// and the form of a call's. If neither an item nor the end is there after a second, the
// client is told that the stream is open (200), and an error is the end. A silent event
// stream has a comment every 15 seconds. Lines have a space then, before the next one, which
// JSON allows. What the handler sets by rpc.SetHeader are headers
// of the answer, if it is set by then. What it sets by rpc.SetTrailer is in the end, as "trailer".
//
// The handler's Send waits while the client does not read: at most one item is on its way,
// and the next one made. Each has the time of WithWriteTimeout, so a client may read
// slowly for hours. One that stops reading loses its connection, and the handler's context
// ends. It also ends when the client leaves, and with Rpc-Timeout. Streams have a limit of
// their own: see WithMaxStreams. Client and bidi streams need a connection of package rpc:
// the answer is 501.
//
// EventSource sends GET, without headers or a body. WithGET names the streams that may be
// opened so, with the params in the query:
//
//	const changes = new EventSource("/rpc/Inventory.Watch?params=" + encodeURIComponent('{"Item":"item1"}'))
//	changes.onmessage = (event) => show(JSON.parse(event.data))
//	changes.addEventListener("end", () => changes.close())
//
// Without the last line, EventSource opens the stream again after its end: after the pause
// that the error names (rpc.RetryAfter), or after its own.
//
// # Errors
//
// An error is {"code": "not_found", "message": "…", "details": {…}} with the
// status that gRPC's gateway gives its code
// (https://github.com/grpc-ecosystem/grpc-gateway/blob/main/runtime/errors.go):
//
//	200  OK
//	400  InvalidArgument, FailedPrecondition, OutOfRange
//	401  Unauthenticated
//	403  PermissionDenied
//	404  NotFound
//	409  AlreadyExists, Aborted
//	429  ResourceExhausted
//	499  Canceled: the client has left
//	500  Unknown, Internal, DataLoss
//	501  Unimplemented: no such method, or a client or bidi stream
//	503  Unavailable
//	504  DeadlineExceeded
//
// Canceled is only for a client that has left. A call that the server ended, as by
// rpc.Server.Close, or whose handler returned Canceled for a reason of its own, is
// Unavailable. If the http.Server has a BaseContext that you cancel, give it a cause
// (context.WithCancelCause): without one, its end looks like that of the client.
//
// The message has at most 4 KiB. Details that take more than 16 KiB, counted as in rpc.Error,
// are left out, as over a connection.
//
// If the error's details have a pause (rpc.RetryAfter), the header Retry-After
// has it, too, in whole seconds. A request that is no call gets a status of its
// own, with an error of the same form: 400 for a query that does not decode, 403
// for a page of another site, 404 for a path that is not a method's, 405 for
// another method than POST, 406 if Accept leaves out the page that a GET would
// get, 408 for a body that took too long, 413 for one that is too large, 415 for
// one that is not application/json, 421 for another host's name, 431 for too
// much metadata.
//
// # Strangers
//
// A caller is authorized before its body is read. Bodies on their way are
// bounded in size, in time and in number, and one that is slow gives its place to
// the next request: see WithMaxBody, WithReadTimeout and WithMaxInFlight. One
// address leaves some places to the others: see WithPeerShare. A client that does
// not read its answer loses its connection: see WithWriteTimeout. Until then its
// answer is in memory, within rpc.WithReplyMemory. Set ReadHeaderTimeout, IdleTimeout and MaxHeaderBytes of
// the http.Server, and limit its connections. Over TLS, give it a listener of
// transport.BoundWrites.
//
// # Probes
//
// GET /rpc/healthz answers 200 if the server is serving, else 503, with the
// status as its text. GET /rpc/healthz?service=Inventory is about one service,
// and answers 404 if it does not exist. HEAD works, too, and /healthz does if
// the gateway gets that path: mux.Handle("/healthz", gw). A probe calls
// Health.Check (package health), and passes the Authorize hook as any call
// does. If that method is not registered, the answer is the server's state,
// whatever service is asked about. Neither WithMaxInFlight nor
// rpc.WithMaxHandlers limits probes.
//
// # Pages of other sites
//
// A browser lets any site send forms here, with the user's cookies and from
// inside the user's network. But a form cannot have the content type that the
// gateway insists on. For that content type the browser asks first (CORS), and
// the gateway says yes only to the origins of WithCORS. If the browser itself
// says that a page of another site is asking, the answer is 403.
//
// A site can also make its own name point at the server (DNS rebinding). At a
// loopback address the gateway therefore answers only requests for localhost or
// a loopback address, unless WithHosts names other hosts. A proxy on the same
// machine that passes on the outer name needs WithHosts. At other addresses,
// use WithHosts wherever there is no authorisation. OnlyHosts protects the
// handlers beside the gateway.
//
// # A page to look at
//
// WithPage adds two pages. GET /rpc/ lists services and methods, how often they
// were called and how long that took. GET /rpc/Service.Method shows a method's
// types and the line that calls it. That of a server stream can open it, and shows the
// items as they arrive. A browser (Accept: text/html) also gets a
// page if a path is wrong. The pages show what the server can do to everyone
// who can reach it, so they are off unless asked for.
//
// # Ending
//
// Shut down the rpc.Server first: new calls get 503, and the handlers of streams are told
// (rpc.DrainingFrom). Then the http.Server, which waits for the running ones.
package gateway
