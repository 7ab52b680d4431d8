// Package http2 carries the frames of final/rpc over HTTP/2, for places where
// only HTTP passes: the same port as a web site, an ingress, a service mesh.
// One connection of an rpc.Client is one stream: a POST whose request and
// response bodies stay open and hold the bytes that TCP would carry. The rest
// of package rpc works as before: the server takes connections from a
// [Listener], the client makes them with a [Dialer]. It needs net/http only,
// with TLS (h2) and without (h2c).
//
// The server mounts the Listener beside whatever else it serves:
//
//	ln := http2.NewListener()
//	mux.Handle(http2.DefaultPath, ln)
//	hs := &http.Server{Addr: ":8080", Handler: mux}
//	http2.Configure(hs)
//	go srv.Serve(ln)
//	err := hs.ListenAndServe() // or ListenAndServeTLS
//
// The client has one line more:
//
//	var dialer http2.Dialer // TLS: &tls.Config{…} for https
//	client, err := rpc.Dial(ctx, "shop.example:8080", rpc.WithDialer(dialer.Dial))
//
// TLS is net/http's here, so leave rpc.WithTLS unset on both sides. A
// client certificate that the http.Server has verified names the caller to
// rpc.IdentityFrom, as it does over TCP. Where strangers can connect, give the
// http.Server a listener of transport.BoundWrites.
//
// # Many connections, one TCP connection
//
// A Dialer's connections to one address share a TCP connection, up to as many
// streams as the server allows (250 with net/http); then it opens another one.
// Each stream has its own flow control, so one that is not read does not delay
// the others. When a TCP connection is lost, all streams on it end, and each of
// their clients connects anew.
//
// # Ending
//
// Shut down the rpc.Server first, which ends the streams politely, then the
// http.Server, which waits for streams and tells them nothing. Close the Client,
// then the Dialer.
//
// # Behind a proxy
//
// A proxy must speak HTTP/2 on both sides and pass on each piece of a body at
// once, in both directions at the same time. gRPC needs the same, and trailers.
// We tried net/http/httputil.ReverseProxy with FlushInterval -1 (a test here
// does it), nginx 1.22 with grpc_pass and client_max_body_size 0, and HAProxy
// 2.6 with "proto h2" on both sides. If the proxy has a timeout for requests
// without traffic, it should be longer than rpc.WithKeepalive.
//
// The caller's address is http.Request's RemoteAddr. Behind a proxy that is the
// proxy's address: no header is believed. A handler around the Listener that
// trusts its proxy may set RemoteAddr.
//
// # What it costs
//
// Each message passes through net/http's frames and two more goroutines a side.
// BenchmarkCall in this package measures it beside plain TCP.
package http2

import "time"

const (
	// DefaultPath is where a Dialer looks for a Listener.
	DefaultPath = "/rpc.v1"

	// ContentType is that of request and response. A web page cannot send it to
	// another site without asking first (CORS), and this package never says yes.
	ContentType = "application/x-rpc-frames"
)

// lingerTime is how long a client that has closed its side waits for the
// server's end, which is politer than a reset and lets the last bytes arrive.
const lingerTime = time.Second
