package health

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	_ "example.com/rpc-from-scratch/final/codec/protobuf" // messages over JSON
	"example.com/rpc-from-scratch/final/rpc"
)

// Check asks for the status of a service, or of all: see [CheckRequest]. A
// service that the server does not have is NotFound.
var Check = rpc.IdempotentMethod[CheckRequest, CheckReply]("Health.Check")

// Watch sends what [Check] would answer now, and then each change of it. A reader that is
// slow gets the latest. Of a service that the server does not have, the status is
// [Unknown]. When the server shuts down, Watch sends that, and ends with Unavailable. See
// [Follow].
var Watch = rpc.ServerStream[CheckRequest, CheckReply]("Health.Watch")

// Status says whether a service can take calls. It is text, so that it is
// readable in every codec.
type Status string

// The statuses.
const (
	Serving    Status = "serving"
	Draining   Status = "draining"    // runs what it has, wants nothing new
	NotServing Status = "not_serving" // cannot do its work: its database is away
	Unknown    Status = "unknown"     // of Watch: the server has no such service
)

// Health holds the status of a server. Make one with [Register]. Its methods
// may be called by many goroutines.
type Health struct {
	server *rpc.Server

	mu      sync.Mutex
	set     map[string]Status // by Set; "" is the server
	changed chan struct{}     // is closed, and replaced, by Set
}

// Register publishes Health.Check and Health.Watch on srv, as methods that are
// [rpc.Vital]: they answer on a full server, too. Every service is serving until Set
// says otherwise. Register fails if srv is nil or has methods of these names. A server
// with an interceptor that is for calls only takes no streams, and so gets no
// Health.Watch: see [rpc.ErrUnaryOnly].
func Register(srv *rpc.Server) (*Health, error) {
	if srv == nil {
		return nil, errors.New("health: the server is nil")
	}
	h := &Health{server: srv, set: map[string]Status{}, changed: make(chan struct{})}
	if err := Check.Handle(srv, h.check, rpc.Vital()); err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	if err := Watch.Handle(srv, h.watch, rpc.Vital()); err != nil && !errors.Is(err, rpc.ErrUnaryOnly) {
		return nil, fmt.Errorf("health: %w", err)
	}
	return h, nil
}

// Set sets the status of service. "" is the server as a whole: no service has a
// better status than that. A service need not have methods: after
// Set("database", …), "database" is one. A status that is none of the constants
// counts as worse than NotServing.
func (h *Health) Set(service string, status Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set[service] = status
	close(h.changed)
	h.changed = make(chan struct{})
}

// Status returns the status of service, and whether it exists; "" is the server
// as a whole.
func (h *Health) Status(service string) (Status, bool) {
	if service == "" {
		return h.whole(), true
	}
	status, found := h.statuses()[service]
	return status, found
}

// check answers Check.
func (h *Health) check(_ context.Context, req *CheckRequest) (*CheckReply, error) {
	reply, found := h.reply(req.GetService())
	if !found {
		return nil, rpc.Errorf(rpc.NotFound, "no service %q on this server", req.GetService())
	}
	return reply, nil
}

// reply returns the status of a service, and those of all if it is "".
func (h *Health) reply(service string) (reply *CheckReply, found bool) {
	status, found := h.Status(service)
	if !found {
		return &CheckReply{Status: string(Unknown)}, false
	}
	reply = &CheckReply{Status: string(status)}
	if service == "" {
		reply.Services = map[string]string{}
		for service, status := range h.statuses() {
			reply.Services[service] = string(status)
		}
	}
	return reply, true
}

// whole returns how the server as a whole is.
func (h *Health) whole() Status {
	if h.server.State() != rpc.Serving {
		return Draining
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if status, found := h.set[""]; found {
		return status
	}
	return Serving
}

// statuses returns how each service is. Methods may be registered at any time,
// so the services are found anew.
func (h *Health) statuses() map[string]Status {
	whole := h.whole()
	statuses := map[string]Status{}
	for _, m := range h.server.Methods() {
		statuses[ServiceOf(m.Name)] = Serving
	}
	h.mu.Lock()
	maps.Copy(statuses, h.set)
	h.mu.Unlock()
	delete(statuses, "")
	for service, status := range statuses {
		statuses[service] = worse(status, whole)
	}
	return statuses
}

// worse returns the one of two statuses that promises less. A status of the
// user's own making is worst.
func worse(a, b Status) Status {
	order := []Status{Serving, Draining, NotServing}
	rank := func(s Status) uint { return uint(slices.Index(order, s)) } // -1 becomes the largest
	if rank(a) < rank(b) {
		return b
	}
	return a
}

// ServiceOf returns a method's service: its name without the last part.
func ServiceOf(method string) string {
	return method[:max(strings.LastIndexByte(method, '.'), 0)]
}
