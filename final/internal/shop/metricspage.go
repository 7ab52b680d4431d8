package shop

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

// metricsPage serves a server's metrics, and those of its process, over HTTP. A
// nil page is none.
type metricsPage struct {
	ln     net.Listener
	secure program.Security
	server *http.Server
}

// newMetricsPage listens on addr, for hosts of these names as gateway.OnlyHosts has
// it, and returns what gives a server its metrics. Without an address there is no
// page, and no option.
func newMetricsPage(addr string, hosts []string, secure program.Security) (*metricsPage, []rpc.ServerOption, error) {
	if addr == "" {
		return nil, nil, nil
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m, err := metrics.NewServer(registry)
	if err != nil {
		return nil, nil, err
	}
	ln, err := rpc.Listen(addr)
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
	return &metricsPage{ln, secure, server}, []rpc.ServerOption{m.Options()}, nil
}

// serve says where the page is and serves it until close.
func (p *metricsPage) serve() {
	if p == nil {
		return
	}
	fmt.Printf("metrics on %s/metrics\n", siteOf(p.ln, p.secure))
	go serveSite("metrics", p.server, p.ln, p.secure)
}

// close ends the page.
func (p *metricsPage) close() {
	if p == nil {
		return
	}
	p.server.Close()
	p.ln.Close() // needed if it was never served
}
