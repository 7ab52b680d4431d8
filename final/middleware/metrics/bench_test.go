package metrics_test

import (
	"context"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

type nothing struct{}

var nop = rpc.Method[nothing, nothing]("Test.Nop")

// BenchmarkCall measures a call over TCP with and without metrics on both sides.
func BenchmarkCall(b *testing.B) {
	reg := prometheus.NewRegistry()
	for _, with := range []struct {
		name   string
		server []rpc.ServerOption
		client []rpc.ClientOption
	}{
		{name: "without"},
		{name: "server", server: []rpc.ServerOption{newServer(b, reg).Options()}},
		{name: "both", server: []rpc.ServerOption{newServer(b, reg).Options()}, client: []rpc.ClientOption{newClient(b, reg).Options()}},
	} {
		srv := rpc.NewServer(with.server...)
		answer := new(nothing)
		require.NoError(b, nop.Handle(srv, func(context.Context, *nothing) (*nothing, error) { return answer, nil }, rpc.NonBlocking()))
		ln, err := rpc.Listen("127.0.0.1:0")
		require.NoError(b, err)
		go srv.Serve(ln)
		client := dial(b, ln.Addr().String(), with.client...)
		b.Run(with.name+"/1 caller", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := nop.Call(b.Context(), client, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(with.name+"/64 callers", func(b *testing.B) {
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := nop.Call(b.Context(), client, answer); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
		client.Close()
		srv.Close()
	}
}

// BenchmarkHandler measures what the interceptor itself costs.
func BenchmarkHandler(b *testing.B) {
	srv := rpc.NewServer(newServer(b, nil).Options())
	require.NoError(b, srv.RegisterFunc("Test.Nop", func() error { return nil }))
	plain := rpc.NewServer()
	require.NoError(b, plain.RegisterFunc("Test.Nop", func() error { return nil }))
	for name, s := range map[string]*rpc.Server{"without": plain, "with": srv} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Invoke(b.Context(), rpc.Invocation{Method: "Test.Nop", Codec: rpc.JSON, Peer: &rpc.Peer{}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
