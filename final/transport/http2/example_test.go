package http2_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/http2"
)

type (
	CheckStockRequest struct{ Item string }
	CheckStockReply   struct{ Count int }
)

var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")

// One port for a web page and for calls.
func Example() {
	srv := rpc.NewServer()
	err := CheckStock.Handle(srv, func(context.Context, *CheckStockRequest) (*CheckStockReply, error) {
		return &CheckStockReply{Count: 100}, nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln := http2.NewListener()
	mux := http.NewServeMux()
	mux.Handle(http2.DefaultPath, ln)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "the shop") })
	hs := &http.Server{Handler: mux}
	http2.Configure(hs)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	served := make(chan error, 2)
	go func() { served <- hs.Serve(tcp) }()
	go func() { served <- srv.Serve(ln) }()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var dialer http2.Dialer // for https: http2.Dialer{TLS: &tls.Config{…}}
	client, err := rpc.Dial(ctx, tcp.Addr().String(), rpc.WithDialer(dialer.Dial))
	if err != nil {
		fmt.Println(err)
		return
	}
	reply, err := CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Count)

	fmt.Println(client.Close(), dialer.Close())
	fmt.Println(srv.Shutdown(ctx), <-served) // first the calls, then HTTP
	fmt.Println(hs.Shutdown(ctx), <-served)
	// Output:
	// 100
	// <nil> <nil>
	// <nil> rpc: server closed
	// <nil> http: Server closed
}
