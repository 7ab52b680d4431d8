package main

import (
	"context"
	"time"

	"github.com/hashicorp/consul/api"

	"example.com/rpc-from-scratch/final/discovery/consul"
	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/rpc"
)

// An agent is a Consul agent, as the shop's discovery.
type agent struct{ client *api.Client }

// discover is a [program.Discover].
func discover(addr string) (program.Discovery, error) {
	config := api.DefaultConfig()
	config.Address = addr
	client, err := consul.NewClient(config)
	if err != nil {
		return nil, err
	}
	return agent{client}, nil
}

// Register implements [program.Discovery].
func (a agent) Register(ctx context.Context, service, addr string) (program.Registration, error) {
	// The least there is: a killed server is to be forgotten within the demo.
	reg, err := consul.Register(ctx, a.client, consul.Service{Name: service, Addr: addr, TTL: time.Second})
	if err != nil {
		return nil, err
	}
	return registration{reg}, nil
}

// Resolver implements [program.Discovery].
func (a agent) Resolver(service string) rpc.Resolver {
	return &consul.Resolver{Client: a.client, Service: service}
}

type registration struct{ *consul.Registration }

// Shutdown implements [program.Registration]. The demo's clients are gone by then, so
// no notice is needed.
func (r registration) Shutdown(ctx context.Context, srv *rpc.Server) error {
	return r.Registration.Shutdown(ctx, srv, 0)
}
