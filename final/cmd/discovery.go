package cmd

import (
	"context"
	"flag"

	"example.com/rpc-from-scratch/final/rpc"
)

// A Discovery lets the shop's servers be found by name.
type Discovery interface {
	// Register tells others that a server of that service listens on addr.
	Register(ctx context.Context, service, addr string) (Registration, error)
	// Resolver follows where the servers of a service are.
	Resolver(service string) rpc.Resolver
}

// A Registration is a server's listing.
type Registration interface {
	// Shutdown takes the listing back, and then shuts srv down.
	Shutdown(ctx context.Context, srv *rpc.Server) error
}

// Discover returns the discovery that an agent at that address offers. Cmd/demo
// sets it: what it needs is in a module of its own. Without it the programs have
// no flag -consul.
var Discover func(agent string) (Discovery, error)

// inventoryService is what the inventory is registered as.
const inventoryService = "inventory"

// discoveryFlag is the flag -consul, or nil where there is no Discover.
func discoveryFlag(flags *flag.FlagSet, usage string) *string {
	if Discover == nil {
		return nil
	}
	return flags.String("consul", "", usage)
}

// discover returns the discovery that the flag asks for; nil if it does not.
func discover(agent *string) (Discovery, error) {
	if agent == nil || *agent == "" {
		return nil, nil
	}
	return Discover(*agent)
}

// resolver finds a service: through d, or at addr if that is nil.
func resolver(d Discovery, service, addr string) rpc.Resolver {
	if d == nil {
		return rpc.StaticResolver{addr}
	}
	return d.Resolver(service)
}

// A listing is a server's place in a discovery; in none, the zero value.
type listing struct {
	discovery    Discovery
	service      string
	registration Registration
}

// begin registers a server that listens on addr.
func (l *listing) begin(ctx context.Context, addr string) (err error) {
	if l.discovery != nil {
		l.registration, err = l.discovery.Register(ctx, l.service, addr)
	}
	return err
}

// shutdown takes the listing back, if there is one, and shuts srv down.
func (l *listing) shutdown(ctx context.Context, srv *rpc.Server) error {
	if l.registration == nil {
		return srv.Shutdown(ctx)
	}
	return l.registration.Shutdown(ctx, srv)
}
