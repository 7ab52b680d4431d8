package shop

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

// callsPage serves calls by POST, for curl, and a page that lists the methods. A
// nil page is none.
type callsPage struct {
	ln       net.Listener
	hosts    []string
	secure   program.Security
	recorder *gateway.Recorder
	server   *http.Server
}

// newCallsPage listens on addr, for hosts of these names as gateway.OnlyHosts has
// it, and returns what lets a page see a server's calls. Without an address there
// is no page, and no option.
func newCallsPage(addr string, hosts []string, secure program.Security) (*callsPage, []rpc.ServerOption, error) {
	if addr == "" {
		return nil, nil, nil
	}
	ln, err := rpc.Listen(addr)
	if err != nil {
		return nil, nil, err
	}
	p := &callsPage{ln: ln, hosts: hosts, secure: secure, recorder: gateway.NewRecorder()}
	return p, []rpc.ServerOption{rpc.WithServerMiddleware(p.recorder.Middleware())}, nil
}

// serve says where srv can be called and serves it there until close.
func (p *callsPage) serve(srv *rpc.Server) {
	if p == nil {
		return
	}
	mux := http.NewServeMux()
	opts := []gateway.Option{gateway.WithHosts("*")} // OnlyHosts stands before all
	if p.secure.Open {
		opts = append(opts, gateway.WithPage(p.recorder))
	}
	calls := gateway.New(srv, opts...)
	mux.Handle("/rpc/", calls)
	mux.Handle("/healthz", calls)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Second)) // a gateway has its own
		http.NotFound(w, r)
	})
	p.server = &http.Server{
		Handler:           gateway.OnlyHosts(mux, p.hosts...),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second, // of what is no call: a gateway has its own for those
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
	}
	fmt.Printf("calls on %s/rpc/\n", siteOf(p.ln, p.secure))
	go serveSite("http", p.server, p.ln, p.secure)
}

// close ends the page once the calls over it have ended, as program.Serve does with
// the others.
func (p *callsPage) close() {
	if p == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), program.Drain)
	defer cancel()
	if p.server != nil && p.server.Shutdown(ctx) != nil {
		p.server.Close()
	}
	p.ln.Close() // needed if it was never served
}
