package http2

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// BenchmarkCall measures the same calls over TCP and over HTTP/2, with JSON:
//
//	go test -run none -bench . ./transport/http2
func BenchmarkCall(b *testing.B) {
	for _, transport := range []string{"tcp", "http2"} {
		client := benchClient(b, transport)
		b.Run(transport+"/small", func(b *testing.B) { benchCalls(b, client, &echoRequest{Text: "item1"}) })
		b.Run(transport+"/64KiB", func(b *testing.B) { benchCalls(b, client, &echoRequest{Text: strings.Repeat("x", 64<<10)}) })
	}
}

// benchClient connects to a server over a transport.
func benchClient(b *testing.B, transport string) *rpc.Client {
	b.Helper()
	srv := newService().server(b)
	if transport == "http2" {
		return connect(b, newDialer(b, nil), serve(b, srv, nil).addr)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go srv.Serve(ln)
	client, err := rpc.Dial(b.Context(), ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		client.Close()
		srv.Close()
	})
	return client
}

// benchCalls measures one caller, then 64 on the same connection.
func benchCalls(b *testing.B, client *rpc.Client, req *echoRequest) {
	ctx, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	call := func(b *testing.B) {
		if _, err := echo.Call(ctx, client, req); err != nil {
			b.Error(err)
		}
	}
	b.Run("1", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			call(b)
		}
	})
	b.Run("many", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				call(b)
			}
		})
	})
}
