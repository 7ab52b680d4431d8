package gateway

import (
	"encoding/json"
	"io"
	"net/http"

	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/rpc"
)

// healthPath is where a probe asks, alone or behind the prefix. No method is
// called like that: methods have a dot.
const healthPath = "/healthz"

// serveHealth answers a probe: 200 if the server, or the service that the query
// names, is serving, else 503. It does not count as in flight.
func (g *Gateway) serveHealth(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, rpc.Errorf(rpc.InvalidArgument, "a probe is a GET"))
		return
	}
	query, err := queryOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	status, err := g.health(r, query.Get("service"))
	switch rpc.CodeOf(err) {
	case rpc.OK:
	case rpc.NotFound, rpc.Unauthenticated, rpc.PermissionDenied:
		fail(w, statusOf(rpc.CodeOf(err)), err)
		return
	default:
		fail(w, http.StatusServiceUnavailable, endOfCall(r.Context(), err))
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if status != health.Serving {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	io.WriteString(w, string(status)+"\n")
}

// health asks Health.Check, as a call would, or the server's state where that is
// not registered, and is all there is to know.
func (g *Gateway) health(r *http.Request, service string) (health.Status, error) {
	if state := g.server.State(); state != rpc.Serving || !g.has(health.Check.Name()) {
		return health.Status(stateName(state)), nil
	}
	md, _, err := metadataOf(r.Header, g.options.maxMetadata)
	if err != nil {
		return "", err
	}
	params, err := json.Marshal(map[string]string{"service": service})
	if err != nil {
		return "", err
	}
	result, err := g.server.Invoke(r.Context(), rpc.Invocation{Method: health.Check.Name(), Codec: rpc.JSON, Params: params, Peer: peerOf(r), Metadata: md})
	if err != nil {
		return "", err
	}
	var reply struct{ Status health.Status }
	err = json.Unmarshal(result, &reply)
	return reply.Status, err
}

// has reports whether a method is registered.
func (g *Gateway) has(method string) bool {
	for _, info := range g.server.Methods() {
		if info.Name == method {
			return true
		}
	}
	return false
}
