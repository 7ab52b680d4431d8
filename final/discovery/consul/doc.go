// Package consul finds servers through HashiCorp Consul: a server registers
// itself and says that it is alive, and a client's pool follows the list of those
// that are.
//
//	reg, err := consul.Register(ctx, client, consul.Service{Name: "inventory", Addr: "10.0.0.1:7000"})
//	defer reg.Shutdown(shutdownCtx, srv, time.Second)
//
//	pool := rpc.NewPool(&consul.Resolver{Client: client, Service: "inventory"})
//
// client is a *api.Client of github.com/hashicorp/consul/api. Datacenter, token,
// namespace, TLS and the agent's address are set in its api.Config, or by Consul's
// usual environment variables; leave HttpClient.Timeout at 0, since a query is
// meant to last.
//
// Consul is asked where servers are, never whether a call may be made: while it is
// away, pools go on with the addresses that they know. It is a module of its own,
// because Consul's client brings many others.
package consul
