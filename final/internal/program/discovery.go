package program

import (
	"context"
	"flag"
	"fmt"

	"example.com/rpc-from-scratch/final/rpc"
)

// A Discovery lets servers be found by name.
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

// Discover returns the discovery that the agent at an address offers. What it needs may be
// in a module of its own, so a program that has one hands it down from its main. Nil is
// none: then there is no flag -consul.
type Discover func(agent string) (Discovery, error)

// An AgentFlag is the flag -consul, the address of an agent.
type AgentFlag struct {
	discover Discover
	addr     *string // nil without discover
}

// NewAgentFlag adds the flag, unless discover is nil.
func NewAgentFlag(flags *flag.FlagSet, discover Discover, usage string) AgentFlag {
	f := AgentFlag{discover: discover}
	if discover != nil {
		f.addr = flags.String("consul", "", usage)
	}
	return f
}

func (f AgentFlag) given() bool { return f.addr != nil && *f.addr != "" }

// Open returns the discovery that the flag asks for; nil if it does not.
func (f AgentFlag) Open() (Discovery, error) {
	if !f.given() {
		return nil, nil
	}
	return f.discover(*f.addr)
}

// Args returns the flag as it was given, for the command line of another program.
func (f AgentFlag) Args() []string {
	if !f.given() {
		return nil
	}
	return []string{"-consul", *f.addr}
}

// Resolver finds a service: through d, or at addr if that is nil.
func Resolver(d Discovery, service, addr string) rpc.Resolver {
	if d == nil {
		return rpc.StaticResolver{addr}
	}
	return d.Resolver(service)
}

// A Listing is a server's place in a discovery; in none, the zero value.
type Listing struct {
	Discovery Discovery
	Service   string

	registration Registration
}

// begin registers a server that listens on addr.
func (l *Listing) begin(ctx context.Context, addr string) (err error) {
	if l.Discovery != nil {
		l.registration, err = l.Discovery.Register(ctx, l.Service, addr)
	}
	return err
}

// stop takes the listing back and lets running calls finish, for as long as Drain.
func (l *Listing) stop(srv *rpc.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), Drain)
	defer cancel()
	err := l.shutdown(ctx, srv)
	if err == context.DeadlineExceeded { // Shutdown's own, and no registration's
		return fmt.Errorf("calls were still running after %v, and were cut", Drain)
	}
	return err
}

// shutdown takes the listing back, if there is one, and shuts srv down.
func (l *Listing) shutdown(ctx context.Context, srv *rpc.Server) error {
	if l.registration == nil {
		return srv.Shutdown(ctx)
	}
	return l.registration.Shutdown(ctx, srv)
}
