package gateway

import (
	"context"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/rpc"
)

// timeoutHeader is the header that says how long a call may take.
const timeoutHeader = "Rpc-Timeout"

// healthInFlight is how many health checks more may be in flight, so that a
// gateway that is full still says how the server is.
const healthInFlight = 64

// call is what the headers of a request ask for: a call, or a stream.
type call struct {
	method   string
	kind     rpc.MethodKind
	metadata rpc.Metadata
	timeout  time.Duration // 0: none

	// Of the reply; the goroutine's that authorizes or makes the call.
	header, trailer rpc.Metadata
}

// room is how many places more there are for the call.
func (c *call) room() int {
	if c.method == health.Check.Name() {
		return healthInFlight
	}
	return 0
}

// serveCall answers a POST. Its caller is authorized before it takes a place and its
// body is read.
func (g *Gateway) serveCall(w http.ResponseWriter, r *http.Request, method string) {
	c, status, err := g.understand(r, method)
	if err != nil {
		fail(w, status, err)
		return
	}
	g.ifAuthorized(w, r, c, func(ctx context.Context, a *rpc.Authorized) { g.serveAuthorized(ctx, w, r, c, a) })
}

// ifAuthorized lets serve go on for a caller who may make the call, and refuses others.
func (g *Gateway) ifAuthorized(w http.ResponseWriter, r *http.Request, c *call, serve func(context.Context, *rpc.Authorized)) {
	switch {
	case c.kind == rpc.ClientStreaming || c.kind == rpc.BidiStreaming:
		refuseUnread(w, r, http.StatusNotImplemented, errNoHTTP(c))
		return
	case !g.places.knock(g.options.maxInFlight, c.room()):
		refuseUnread(w, r, http.StatusTooManyRequests, g.errFull(""))
		return
	}
	ctx := r.Context()
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	if out := g.authorize(ctx, r, c); out.err != nil {
		addMetadata(w.Header(), out.header)
		err := endOfCall(ctx, out.err)
		refuseUnread(w, r, statusOf(rpc.CodeOf(err)), err)
	} else {
		serve(ctx, out.authorized)
	}
}

// refuseUnread answers with an error before the body is read. Net/http reads what is left
// of that before it answers: it has little time for it, since it may never arrive.
func refuseUnread(w http.ResponseWriter, r *http.Request, status int, err error) {
	if r.ContentLength != 0 {
		setReadDeadline(w, time.Now().Add(lingerTime))
	}
	fail(w, status, err)
}

// serveAuthorized reads the body, makes the call and writes the answer. The place is given
// back when both the handler and this have ended, and with it the memory of the result.
func (g *Gateway) serveAuthorized(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, a *rpc.Authorized) {
	b := boundOf(g.options.maxInFlight, g.options.peerInFlight)
	p, fair := g.places.take(b, c.room(), originOf(r), func() { setReadDeadline(w, time.Unix(1, 0)) })
	if p == nil {
		err := g.errFull("")
		if !fair {
			err = errUnfair(b, "requests of this address are in flight")
		}
		refuseUnread(w, r, http.StatusTooManyRequests, err)
		return
	}
	p.release = a.Release
	leave := sync.OnceFunc(p.leave)
	defer leave()
	body, status, err := g.readBody(ctx, w, r, p)
	if !p.arrived() {
		hangUp(w)
		fail(w, http.StatusTooManyRequests, g.errFull(", and this one's body was the slowest to arrive"))
		return
	}
	if err != nil {
		fail(w, status, err)
		return
	}
	setReadDeadline(w, time.Time{}) // else its passing would be taken for the client's leaving
	if c.kind != rpc.Unary {
		leave() // streams have places of their own
		g.serveStream(ctx, w, r, c, a, body)
		return
	}
	out := g.invoke(ctx, c, a, body, p)
	addMetadata(w.Header(), out.header)
	if out.err != nil {
		err = endOfCall(ctx, out.err)
		fail(w, statusOf(rpc.CodeOf(err)), err)
		return
	}
	if len(out.result) == 0 {
		out.result = []byte("null")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(out.result)
	io.WriteString(w, "\n")
}

func (g *Gateway) errFull(more string) *rpc.Error {
	return rpc.Errorf(rpc.ResourceExhausted, "more than %d requests are in flight%s", g.options.maxInFlight, more)
}

// errUnfair refuses what would take more than its address's share of the places.
func errUnfair(b bound, what string) *rpc.Error {
	return rpc.Errorf(rpc.ResourceExhausted, "more than %d %s, and more than %d in all (WithPeerShare)", b.peer, what, b.threeQuarters())
}

// limitBody sets the deadline for a request's body, before anything is decided: a
// refused request keeps it, since net/http reads what is left of the body before it
// answers, and would wait for the rest for ever.
func (g *Gateway) limitBody(w http.ResponseWriter, r *http.Request) {
	if g.options.readTimeout > 0 && r.ContentLength != 0 {
		setReadDeadline(w, time.Now().Add(g.options.readTimeout))
	}
}

// setReadDeadline sets the time by which a body has to be there. A ResponseWriter
// that knows no deadlines goes without.
func setReadDeadline(w http.ResponseWriter, t time.Time) {
	http.NewResponseController(w).SetReadDeadline(t)
}

// understand reads the headers of a request, or says with which status it is refused.
func (g *Gateway) understand(r *http.Request, method string) (c *call, status int, err error) {
	if g.origins.Check(r) != nil {
		return nil, http.StatusForbidden, errOrigin
	}
	if !isJSON(r.Header) {
		return nil, http.StatusUnsupportedMediaType, rpc.Errorf(rpc.InvalidArgument, "the Content-Type of a call is application/json, in UTF-8 and not encoded any further")
	}
	return g.readHeader(r, method)
}

var errOrigin = rpc.Errorf(rpc.PermissionDenied, "a page of another site may not call")

// readHeader understands what headers say of a call.
func (g *Gateway) readHeader(r *http.Request, method string) (c *call, status int, err error) {
	info, _ := g.server.Method(method)
	c = &call{method: method, kind: info.Kind}
	if c.timeout, err = timeoutOf(r.Header); err != nil {
		return nil, http.StatusBadRequest, err
	}
	c.metadata, status, err = metadataOf(r.Header, g.options.maxMetadata)
	return c, status, err
}

// isJSON reports whether the body is said to be JSON. A form cannot say so.
func isJSON(h http.Header) bool {
	kind, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil || kind != "application/json" || h.Get("Content-Encoding") != "" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

func timeoutOf(h http.Header) (time.Duration, error) {
	values := h.Values(timeoutHeader)
	if len(values) == 0 {
		return 0, nil
	}
	d, err := time.ParseDuration(values[0])
	if err != nil || d <= 0 || len(values) > 1 {
		return 0, rpc.Errorf(rpc.InvalidArgument, "%s: want one positive duration, such as 1500ms", timeoutHeader)
	}
	return d, nil
}

// readBody reads the body within its bounds of size and time, and the deadline of the call.
func (g *Gateway) readBody(ctx context.Context, w http.ResponseWriter, r *http.Request, p *place) (body []byte, status int, err error) {
	g.limitBody(w, r) // anew: to authorize the caller has taken time
	stop := context.AfterFunc(ctx, p.evict)
	body, err = io.ReadAll(http.MaxBytesReader(untimed(w), r.Body, g.options.maxBody))
	stop()
	var large *http.MaxBytesError
	switch {
	case causes.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, rpc.Errorf(rpc.ResourceExhausted, "a body of more than %d bytes", large.Limit)
	case err != nil && causes.Is(ctx.Err(), context.DeadlineExceeded): // not if it is cancelled: net/http does so when reading fails
		return nil, http.StatusGatewayTimeout, errEnded(ctx)
	case causes.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, rpc.Errorf(rpc.DeadlineExceeded, "the body took too long to arrive")
	case err != nil:
		return nil, http.StatusBadRequest, rpc.Errorf(rpc.InvalidArgument, "the body did not arrive as a whole")
	}
	return body, 0, nil
}

// outcome is the result of a call, or of asking whether it may be made.
type outcome struct {
	authorized *rpc.Authorized
	result     []byte
	header     rpc.Metadata // of the reply
	err        error
}

// apart runs f on a goroutine of its own and then leave, and waits for f or for the end of
// ctx. A hook or a handler that does not look at its context runs on, and keeps its place.
func apart(ctx context.Context, method string, leave func(), f func(out *outcome)) outcome {
	done := make(chan outcome, 1)
	go func() {
		out := outcome{err: rpc.Errorf(rpc.Internal, "the handler of %s ended its goroutine (runtime.Goexit)", method)}
		defer func() {
			leave()
			done <- out
		}()
		f(&out)
	}()
	select {
	case out := <-done:
		return out
	case <-ctx.Done():
		return outcome{err: errEnded(ctx)}
	}
}

func errEnded(ctx context.Context) error { return rpc.Errorf(rpc.CodeOf(ctx.Err()), "%w", ctx.Err()) }

// authorize asks whether the call may be made.
func (g *Gateway) authorize(ctx context.Context, r *http.Request, c *call) outcome {
	peer := peerOf(r)
	return apart(ctx, c.method, g.places.enterFromDoor, func(out *outcome) {
		out.authorized, out.err = g.server.Authorize(ctx, rpc.Invocation{Method: c.method, Codec: rpc.JSON, Peer: peer, Metadata: c.metadata, Header: &c.header, Trailer: &c.trailer})
		out.header = c.header
	})
}

// invoke makes the call.
func (g *Gateway) invoke(ctx context.Context, c *call, a *rpc.Authorized, body []byte, p *place) outcome {
	p.share()
	return apart(ctx, c.method, p.leave, func(out *outcome) {
		defer func() { out.header = c.header }()
		out.result, out.err = a.Invoke(ctx, body)
	})
}

// peerOf says who calls, as over TCP.
func peerOf(r *http.Request) *rpc.Peer {
	peer := &rpc.Peer{Addr: textAddr(r.RemoteAddr), TLS: r.TLS, Identity: rpc.IdentityOf(r.TLS), Codec: rpc.JSON.Name()}
	if addr, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		peer.Addr = net.TCPAddrFromAddrPort(addr)
	}
	return peer
}

// textAddr is an address that is not TCP's, such as a Unix socket's.
type textAddr string

// Network implements net.Addr.
func (textAddr) Network() string { return "http" }

// String implements net.Addr.
func (a textAddr) String() string { return string(a) }
