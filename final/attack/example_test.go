package attack_test

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

// forStrangers returns a server that strangers may reach.
func forStrangers(cfg *tls.Config, guard *auth.Guard, limits *ratelimit.Limiter) *rpc.Server {
	return rpc.NewServer(
		rpc.WithTLS(cfg),
		rpc.WithAuthorize(limits.Before(guard.Authorize)),
		rpc.WithMaxConns(4000), // with the gateway's connections, fewer than file descriptors
		rpc.WithMaxInFlight(64),
		rpc.WithMaxHandlers(1000),
		rpc.WithMaxMessage(256<<10),
		rpc.WithParamsMemory(256<<20, 8<<20),
		rpc.WithReplyMemory(128<<20, 2<<20),
		rpc.WithMaxStreams(64),
		rpc.WithStreamMemory(128<<20),
		rpc.WithConnStreamMemory(4<<20),
		rpc.WithMaxMetadata(4<<10),
		rpc.WithHandshakeTimeout(5*time.Second),
		rpc.WithReadFrameTimeout(10*time.Second),
		rpc.WithWriteTimeout(10*time.Second),
		rpc.WithIdleTimeout(2*time.Minute),
		rpc.WithHandlerTimeout(10*time.Second),
	)
}

// forBrowsers returns a server for the same methods over HTTP.
func forBrowsers(cfg *tls.Config, srv *rpc.Server) *http.Server {
	calls := gateway.New(srv,
		gateway.WithHosts("shop.example"),
		gateway.WithMaxBody(256<<10),
		gateway.WithMaxInFlight(500),
		gateway.WithReadTimeout(10*time.Second),
	)
	return &http.Server{
		Handler:           calls,
		TLSConfig:         cfg,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second, // longer than the body and the handler may take together
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
}

func Example() {
	cert, _, err := newCertificate()
	if err != nil {
		fmt.Println(err)
		return
	}
	tokens, err := auth.NewTokens(map[string]string{"2YotnFZFEjr1zCsicMWpAA": "ann"})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := auth.New(tokens.Verify, auth.Nobody(), auth.Rules{"Inventory.*": auth.Known()})
	if err != nil {
		fmt.Println(err)
		return
	}
	limits, err := ratelimit.New(ratelimit.Peer(ratelimit.Host, 200, 400))
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := forStrangers(&tls.Config{Certificates: []tls.Certificate{cert}}, guard, limits)
	web := forBrowsers(&tls.Config{Certificates: []tls.Certificate{cert}}, srv)
	fmt.Println(web.Close(), srv.Close())
	// Output:
	// <nil> <nil>
}
