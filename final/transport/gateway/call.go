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

// call is a request that has been understood.
type call struct {
	method   string
	metadata rpc.Metadata
	timeout  time.Duration // 0: none
	body     []byte
}

// serveCall answers a POST. Its place among those in flight is given back when
// both this and the handler have ended.
func (g *Gateway) serveCall(w http.ResponseWriter, r *http.Request, method string) {
	room := int64(0)
	if method == health.Check.Name() {
		room = healthInFlight
	}
	if g.inFlight.Add(1)-room > int64(g.options.maxInFlight) {
		g.inFlight.Add(-1)
		fail(w, http.StatusTooManyRequests, rpc.Errorf(rpc.ResourceExhausted, "more than %d requests are in flight", g.options.maxInFlight))
		return
	}
	c, status, err := g.read(w, r, method)
	if err != nil {
		g.inFlight.Add(-1)
		fail(w, status, err)
		return
	}
	ctx := r.Context()
	if c.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.timeout)
		defer cancel()
	}
	result, err := g.run(ctx, peerOf(r), c)
	if err != nil {
		fail(w, statusOf(rpc.CodeOf(err)), err)
		return
	}
	if len(result) == 0 {
		result = []byte("null")
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(append(result, '\n'))
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

// read understands a request, or says with which status it is refused. Once the
// body has been read, its deadline is taken off: else its passing would be taken
// for the client's leaving.
func (g *Gateway) read(w http.ResponseWriter, r *http.Request, method string) (c *call, status int, err error) {
	if g.origins.Check(r) != nil {
		return nil, http.StatusForbidden, rpc.Errorf(rpc.PermissionDenied, "a page of another site may not call")
	}
	if !isJSON(r.Header) {
		return nil, http.StatusUnsupportedMediaType, rpc.Errorf(rpc.InvalidArgument, "the Content-Type of a call is application/json, in UTF-8 and not encoded any further")
	}
	c = &call{method: method}
	if c.timeout, err = timeoutOf(r.Header); err != nil {
		return nil, http.StatusBadRequest, err
	}
	if c.metadata, status, err = metadataOf(r.Header, g.options.maxMetadata); err != nil {
		return nil, status, err
	}
	c.body, status, err = g.readBody(w, r)
	if err == nil {
		setReadDeadline(w, time.Time{})
	}
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

// readBody reads the body within its bounds of size and time.
func (g *Gateway) readBody(w http.ResponseWriter, r *http.Request) (body []byte, status int, err error) {
	body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, g.options.maxBody))
	var large *http.MaxBytesError
	switch {
	case causes.As(err, &large):
		return nil, http.StatusRequestEntityTooLarge, rpc.Errorf(rpc.ResourceExhausted, "a body of more than %d bytes", large.Limit)
	case causes.Is(err, os.ErrDeadlineExceeded):
		return nil, http.StatusRequestTimeout, rpc.Errorf(rpc.DeadlineExceeded, "the body took too long to arrive")
	case err != nil:
		return nil, http.StatusBadRequest, rpc.Errorf(rpc.InvalidArgument, "the body did not arrive as a whole")
	}
	return body, 0, nil
}

// outcome is a call's result, or its error.
type outcome struct {
	result []byte
	err    error
}

// run waits for the handler or for the end of ctx. A handler that does not look
// at its context runs on, and keeps its place in flight.
func (g *Gateway) run(ctx context.Context, peer *rpc.Peer, c *call) ([]byte, error) {
	done := make(chan outcome, 1)
	go func() {
		out := outcome{err: rpc.Errorf(rpc.Internal, "the handler of %s ended its goroutine", c.method)}
		defer func() {
			g.inFlight.Add(-1)
			done <- out
		}()
		out.result, out.err = g.server.Invoke(ctx, rpc.Invocation{Method: c.method, Codec: rpc.JSON, Params: c.body, Peer: peer, Metadata: c.metadata})
	}()
	select {
	case out := <-done:
		return out.result, out.err
	case <-ctx.Done():
		return nil, rpc.Errorf(rpc.CodeOf(ctx.Err()), "%w", ctx.Err())
	}
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
