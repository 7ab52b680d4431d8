// Package gateway lets anything that speaks HTTP call the methods of an
// rpc.Server: a POST with JSON in, JSON out, HTTP/1.1 or HTTP/2. One line serves
// it beside whatever else an http.ServeMux has:
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
// A call passes what calls over TCP pass: the Authorize hook, the interceptors,
// the server's bound of handlers. The peer's address is http.Request's
// RemoteAddr, and a verified client certificate names the caller.
//
// # A call
//
// The body is the params, in JSON; none is the zero value. The answer is 200 with
// the result in JSON, null if the method returns only an error. What else a call
// carries is in headers:
//
//	Rpc-Timeout: 1500ms        its deadline, as time.ParseDuration reads it
//	Rpc-Meta-Tenant: blue      metadata: "tenant" is "blue"
//	Authorization, Baggage, Traceparent, Tracestate
//	                           metadata, too, by their own names in lower case
//
// Metadata that are given twice are refused, except for a trace's, which fail no
// call: several Baggage and Tracestate headers are joined, members that are not
// UTF-8 or beyond 8 KiB of baggage and 2 KiB of state are left out, and of two
// traceparents none is taken.
//
// The handler's context ends with the deadline, and when the client leaves. At the
// deadline the client is answered, whether the handler has returned or not.
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
//	499  Canceled
//	500  Unknown, Internal, DataLoss
//	501  Unimplemented: no such method
//	503  Unavailable
//	504  DeadlineExceeded
//
// When the error's details say after what time to come back (rpc.RetryAfter), so
// does Retry-After, in whole seconds. A request that is no call gets a status of
// its own, with an error of the same form: 403 from a page of another site, 404
// a path that is not a method's, 405 not a POST, 408 a body that took too long,
// 413 one that is too large, 415 one that is not application/json, 421 another
// host's name, 431 too much metadata.
//
// # Probes
//
// GET /rpc/healthz answers 200 if the server is serving, else 503, with the status
// as its text; GET /rpc/healthz?service=Inventory is about one service, and 404 if
// there is none. HEAD is answered, too, and so is /healthz where the gateway gets
// that path: mux.Handle("/healthz", gw). It asks Health.Check (package health), as
// a call that passes the Authorize hook, or the server's state where that is not
// registered. Neither WithMaxInFlight nor rpc.WithMaxHandlers keeps it from answering.
//
// # Pages of other sites
//
// A browser lets any site send forms here, with the user's cookies and from
// inside the user's network, but not with the content type that the gateway
// insists on: for that it asks first (CORS), and the gateway says yes to the
// origins of WithCORS alone. Where the browser says itself that a page of another
// site is asking, the answer is 403.
//
// A site can also make its own name point at the server (DNS rebinding). At a
// loopback address the gateway therefore answers only requests for localhost or a
// loopback address, unless WithHosts names other hosts: a proxy on the same machine
// that passes the outer name on needs it. At other addresses WithHosts belongs
// wherever there is no authorisation. OnlyHosts protects what is served beside the
// gateway.
//
// # A page to look at
//
// WithPage adds GET /rpc/, which lists services and methods, how often they were
// called and how long that took, and GET /rpc/Service.Method, which shows a
// method's types and the line that calls it. What is wrong with the path is told on
// a page, too, to a browser (Accept: text/html). It tells what the server can do to
// everyone who can reach it, so it is off unless asked for.
//
// # Ending
//
// Shut down the rpc.Server first: new calls get 503. Then the http.Server, which
// waits for the running ones.
package gateway
