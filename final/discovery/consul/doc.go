// Package consul finds servers through HashiCorp Consul. A server registers
// itself and reports that it is alive, and a client's pool follows the list of
// the servers that are alive.
//
//	reg, err := consul.Register(ctx, client, consul.Service{Name: "inventory", Addr: "10.0.0.1:7000"})
//	defer reg.Shutdown(shutdownCtx, srv, time.Second)
//
//	pool := rpc.NewPool(&consul.Resolver{Client: client, Service: "inventory"})
//
// client is a *api.Client of github.com/hashicorp/consul/api, made by [NewClient].
// Set datacenter, token, namespace, TLS and the agent's address in its api.Config, or by
// Consul's usual environment variables. Leave HttpClient.Timeout at 0, because
// a query waits for a change.
//
// Consul is asked where servers are, never whether a call may be made: if
// Consul cannot be reached, pools go on with the addresses that they know. The
// package is a module of its own, because Consul's client has many
// dependencies.
package consul
