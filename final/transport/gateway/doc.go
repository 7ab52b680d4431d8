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
// Metadata that are given twice are refused. A trace never fails a call:
// several Baggage and Tracestate headers are joined, and if there are two
// Traceparents, none is taken. Members that are not UTF-8 are left out, and so
// are those beyond 8 KiB of baggage or 2 KiB of state.
//
// The handler's context ends with the deadline, or when the client leaves. At
// the deadline the client gets its answer, even if the handler has not
// returned.
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
// If the error's details have a pause (rpc.RetryAfter), the header Retry-After
// has it, too, in whole seconds. A request that is no call gets a status of its
// own, with an error of the same form: 403 for a page of another site, 404 for
// a path that is not a method's, 405 for another method than POST, 408 for a
// body that took too long, 413 for one that is too large, 415 for one that is
// not application/json, 421 for another host's name, 431 for too much metadata.
//
// # Probes
//
// GET /rpc/healthz answers 200 if the server is serving, else 503, with the
// status as its text. GET /rpc/healthz?service=Inventory is about one service,
// and answers 404 if it does not exist. HEAD works, too. So does /healthz, if
// the gateway gets that path: mux.Handle("/healthz", gw). A probe calls
// Health.Check (package health), and passes the Authorize hook as any call
// does. If that method is not registered, the answer is the server's state,
// whatever service is asked about.
// Neither WithMaxInFlight nor rpc.WithMaxHandlers limits probes.
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
// types and the line that calls it. A browser (Accept: text/html) also gets a
// page if a path is wrong. The pages show what the server can do to everyone
// who can reach it, so they are off unless asked for.
//
// # Ending
//
// Shut down the rpc.Server first: new calls get 503. Then the http.Server, which
// waits for the running ones.
package gateway
