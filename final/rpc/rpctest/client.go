package rpctest

import (
	"testing"

	"example.com/rpc-from-scratch/final/rpc"
)

// NewClient returns a client that is connected to srv in memory. When the test
// ends, the client is closed, and NewClient waits until srv has seen that. It does
// not close srv: several clients may share it.
//
// The client has the one connection: when srv closes it, calls fail with
// Unavailable. It panics where [rpc.NewClient] does.
func NewClient(t testing.TB, srv *rpc.Server, opts ...rpc.ClientOption) *rpc.Client {
	t.Helper()
	near, far := pipe("client", "server")
	served := make(chan struct{})
	go func() {
		defer close(served)
		srv.ServeConn(far)
	}()
	client := rpc.NewClient(near, opts...)
	t.Cleanup(func() {
		client.Close()
		<-served
	})
	return client
}
