package shop

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

// metricsPage serves a server's metrics, and those of its process, over HTTP. A
// nil page is none.
type metricsPage struct {
	ln     net.Listener
	server *http.Server
}

// newMetricsPage listens on addr, for hosts of these names as gateway.OnlyHosts has
// it, and returns what gives a server its metrics. Without an address there is no
// page, and no option.
func newMetricsPage(addr string, hosts []string) (*metricsPage, []rpc.ServerOption, error) {
	if addr == "" {
		return nil, nil, nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m, err := metrics.NewServer(registry)
	if err != nil {
		return nil, nil, err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	// Who asks may be anyone: a few at a time, and not for long.
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	server := &http.Server{
		Handler:           gateway.OnlyHosts(mux, hosts...),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	}
	return &metricsPage{ln, server}, []rpc.ServerOption{m.Options()}, nil
}

// serve says where the page is and serves it until close.
func (p *metricsPage) serve() {
	if p == nil {
		return
	}
	fmt.Printf("metrics on http://%s/metrics\n", p.ln.Addr())
	go func() {
		if err := p.server.Serve(p.ln); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "metrics:", err)
		}
	}()
}

// close ends the page.
func (p *metricsPage) close() {
	if p == nil {
		return
	}
	p.server.Close()
	p.ln.Close() // needed if it was never served
}
