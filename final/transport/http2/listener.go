package http2

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/misuse"
)

// Listener is an http.Handler whose requests are the connections that its Accept
// returns. All its methods may be called by many goroutines.
type Listener struct {
	conns   chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

// NewListener returns a Listener, to be given to an http.Server as a handler and
// to rpc.Server.Serve as a listener.
func NewListener() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener: new requests get 503, connections go on.
func (l *Listener) Close() error {
	l.closing.Do(func() { close(l.closed) })
	return nil
}

// OwnTLS tells rpc.Server.Serve that TLS is the http.Server's, so that it refuses
// rpc.WithTLS.
func (l *Listener) OwnTLS() {}

// Addr implements net.Listener. It says little: addresses are the http.Server's.
func (l *Listener) Addr() net.Addr { return httpAddr("http2") }

// ServeHTTP turns the request into a connection, and returns when that has
// ended. Other requests get an error in plain text: 505 below HTTP/2, 405 for
// another method than POST, 415 for another content type, and 503 once the
// Listener is closed.
func (l *Listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if status, text := refusal(r); status != 0 {
		readSmallBody(w, r)
		if status == http.StatusMethodNotAllowed {
			w.Header().Set("Allow", http.MethodPost)
		}
		http.Error(w, text, status)
		return
	}
	control := http.NewResponseController(w)
	if err := control.SetReadDeadline(time.Time{}); err != nil { // the server's ReadTimeout is for requests that end
		http.Error(w, "the ResponseWriter cannot be controlled: "+err.Error(), http.StatusInternalServerError)
		return
	}
	control.SetWriteDeadline(time.Time{})
	c := newConn()
	c.local, c.remote = addrs(r)
	c.abort = func() { control.SetWriteDeadline(time.Unix(1, 0)) } // long past: net/http resets the stream
	select {
	case l.conns <- withTLS(c, r.TLS):
		c.serve(w, control, r.Body)
	case <-l.closed:
		http.Error(w, "the server is shutting down", http.StatusServiceUnavailable)
	case <-r.Context().Done():
	}
}

// serve is a handler's life: it carries bytes both ways until this side has
// closed its own. net/http ends the stream then.
func (c *conn) serve(w http.ResponseWriter, control *http.ResponseController, body io.Reader) {
	defer c.ended()
	go c.in.fill(body) // ends with the handler at the latest: net/http closes the body
	w.Header().Set("Content-Type", ContentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	err := control.Flush()
	if err == nil {
		err = c.out.drain(flushing{w, control})
	}
	c.out.closeRead(err)
	c.in.closeWrite(err)
}

// flushing writes a response without keeping anything back.
type flushing struct {
	w       io.Writer
	control *http.ResponseController
}

func (f flushing) Write(b []byte) (int, error) {
	n, err := f.w.Write(b)
	if err != nil {
		return n, err
	}
	return n, f.control.Flush()
}

// refusal says why a request is none for a connection; 0: it is one.
func refusal(r *http.Request) (status int, text string) {
	switch {
	case r.ProtoMajor < 2:
		return http.StatusHTTPVersionNotSupported, fmt.Sprintf("%s cannot carry RPC frames: use HTTP/2", r.Proto)
	case r.Method != http.MethodPost:
		return http.StatusMethodNotAllowed, "RPC frames travel in a POST"
	case r.Header.Get("Content-Type") != ContentType:
		return http.StatusUnsupportedMediaType, "the Content-Type of RPC frames is " + ContentType
	}
	return 0, ""
}

// readSmallBody reads the body of a request that will be refused, if it is small
// and said to end: curl shows no answer to a request that was not read.
func readSmallBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength > 0 && r.ContentLength <= pipeSize {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime))
		io.Copy(io.Discard, r.Body)
	}
}

// Configure sets what hs needs for a Listener: HTTP/2, with TLS and without,
// beside HTTP/1.1. It also sets these values of hs.HTTP2 if they are not set: a
// ping after 30 s of silence, the end 15 s later, the end after 30 s without a
// byte that could be written, and frames of at most 16 KiB. Small frames let
// streams take turns, and an idle stream costs a client 16 KiB, not 512.
// hs.ReadHeaderTimeout becomes 10 s if it is not set. ReadTimeout and
// WriteTimeout do not apply to the Listener's requests. Call it before hs
// serves. It panics if hs is nil.
func Configure(hs *http.Server) {
	misuse.NotNil("http2: Configure", "server", hs)
	if hs.Protocols == nil {
		hs.Protocols = new(http.Protocols)
		hs.Protocols.SetHTTP1(true)
	}
	hs.Protocols.SetHTTP2(true)
	hs.Protocols.SetUnencryptedHTTP2(true)
	if hs.HTTP2 == nil {
		hs.HTTP2 = new(http.HTTP2Config)
	}
	orElse(&hs.HTTP2.SendPingTimeout, 30*time.Second)
	orElse(&hs.HTTP2.PingTimeout, 15*time.Second)
	orElse(&hs.HTTP2.WriteByteTimeout, 30*time.Second)
	orElse(&hs.HTTP2.MaxReadFrameSize, 16<<10)
	orElse(&hs.ReadHeaderTimeout, 10*time.Second)
}

func orElse[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// httpAddr is an address that is only text.
type httpAddr string

// Network implements net.Addr.
func (httpAddr) Network() string { return "http2" }

// String implements net.Addr.
func (a httpAddr) String() string { return string(a) }

// addrs returns both ends of a request's connection, as TCP's where they are.
func addrs(r *http.Request) (local, remote net.Addr) {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		local = httpAddr(r.Host)
	}
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		return local, net.TCPAddrFromAddrPort(addr)
	}
	return local, httpAddr(r.RemoteAddr)
}
