package gateway

import (
	"cmp"
	"net/http"
	"path"
	"strings"
	"sync/atomic"
	"time"

	_ "example.com/rpc-from-scratch/final/codec/protobuf" // messages over JSON
	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Gateway is an http.Handler that answers calls. It may be used by many
// goroutines, as handlers are.
type Gateway struct {
	server   *rpc.Server
	options  options
	origins  *http.CrossOriginProtection
	shared   http.Handler // route, with what lets pages of other origins call
	inFlight atomic.Int64 // requests being read, and handlers running
}

// The defaults that a 0 stands for.
const (
	defaultMaxBody     = 4 << 20
	defaultMaxInFlight = 1024
)

// Option configures a Gateway in New. If a value is given twice, the last one
// counts. An option panics on a value that makes no sense, and New on a nil
// option.
type Option func(*options)

type options struct {
	prefix      string
	maxBody     int64
	maxMetadata int
	maxInFlight int
	readTimeout time.Duration
	hosts       hosts    // nil: any, over loopback this machine's
	origins     []string // of pages of other sites that may call
	page        *page    // nil: none
}

// New returns a Gateway to srv's methods, also to those that are registered
// later. It panics if srv is nil.
func New(srv *rpc.Server, opts ...Option) *Gateway {
	g := &Gateway{
		server:  srv,
		origins: http.NewCrossOriginProtection(),
		options: options{
			prefix:      "/rpc",
			maxBody:     defaultMaxBody,
			maxMetadata: 8 << 10,
			maxInFlight: defaultMaxInFlight,
			readTimeout: 30 * time.Second,
		},
	}
	misuse.NotNil("gateway: New", "server", srv)
	for _, opt := range opts {
		misuse.NotNil("gateway: New", "option", opt)
		opt(&g.options)
	}
	g.shared = http.HandlerFunc(g.route)
	if origins := g.options.origins; len(origins) > 0 {
		for _, origin := range origins {
			g.origins.AddTrustedOrigin(origin) // WithCORS has checked it
		}
		g.shared = share(origins, g.shared)
	}
	return g
}

// WithPrefix sets the path before "/Service.Method". Slashes at its ends make
// no difference: "/" and "" are no prefix. Default "/rpc".
func WithPrefix(prefix string) Option {
	return func(o *options) { o.prefix = strings.TrimSuffix(path.Clean("/"+prefix), "/") }
}

// WithMaxBody bounds a request's body, in bytes. Default 4 MiB, which 0 stands
// for; it panics on a negative size.
func WithMaxBody(bytes int64) Option {
	return func(o *options) {
		o.maxBody = cmp.Or(misuse.NotNegative("gateway: WithMaxBody", bytes), defaultMaxBody)
	}
}

// WithMaxMetadata limits the metadata in a request's headers, in bytes: keys,
// values, and four for each pair, without those of a trace. Default 8 KiB. 0
// allows none; it panics on a negative size.
func WithMaxMetadata(bytes int) Option {
	return func(o *options) { o.maxMetadata = misuse.NotNegative("gateway: WithMaxMetadata", bytes) }
}

// WithMaxInFlight limits the requests that are read or run at once; one more
// gets 429. Their bodies can take this number times [WithMaxBody]. Default
// 1024, which 0 stands for; it panics on a negative number.
func WithMaxInFlight(n int) Option {
	return func(o *options) {
		o.maxInFlight = cmp.Or(misuse.NotNegative("gateway: WithMaxInFlight", n), defaultMaxInFlight)
	}
}

// WithReadTimeout bounds the time that a body may take to arrive. Default 30 s; 0: no
// bound. It panics on a negative time.
func WithReadTimeout(d time.Duration) Option {
	return func(o *options) { o.readTimeout = misuse.NotNegative("gateway: WithReadTimeout", d) }
}

// WithHosts allows only requests for these hosts, which are names or addresses
// without a port; "*" allows any. Without names it refuses all requests but
// probes, which it answers whatever the host. Without the option any host is
// allowed, but at a loopback address only this machine's own names: see
// [OnlyHosts]. Behind a proxy on the same machine that passes on the outer
// name, give that name: WithHosts("shop.example"). It panics on a name that no
// host has: there are no wildcards but "*".
func WithHosts(names ...string) Option {
	allowed := newHosts("WithHosts", names)
	return func(o *options) { o.hosts = allowed }
}

// WithPage adds the pages for browsers, with the figures of recorder; nil: no
// figures.
func WithPage(recorder *Recorder) Option {
	return func(o *options) { o.page = newPage(recorder) }
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	g.limitBody(w, r)
	if !g.isProbe(r) && !g.options.hosts.allow(r) { // a probe may know an address only
		hangUp(w)
		g.refuse(w, r, http.StatusMisdirectedRequest, errHost(r))
		return
	}
	g.shared.ServeHTTP(w, r)
}

func (g *Gateway) isProbe(r *http.Request) bool {
	return r.URL.Path == healthPath || r.URL.Path == g.options.prefix+healthPath
}

// route finds what a request is for.
func (g *Gateway) route(w http.ResponseWriter, r *http.Request) {
	path, found := strings.CutPrefix(r.URL.Path, g.options.prefix)
	name, isPath := strings.CutPrefix(path, "/")
	switch isPage := g.isPage(r); {
	case g.isProbe(r):
		g.serveHealth(w, r)
	case !found || !isPath && path != "" || r.URL.RawPath != "": // RawPath: needless escapes, by which one name could be spelt in many ways
		g.refuse(w, r, http.StatusNotFound, rpc.Errorf(rpc.NotFound, "no such path: want %s/Service.Method", g.options.prefix))
	case name == "" && isPage:
		g.showMethods(w, r)
	case isPage:
		g.showMethod(w, r, name)
	case name == "":
		fail(w, http.StatusNotFound, rpc.Errorf(rpc.NotFound, "no method in the path: want %s/Service.Method", g.options.prefix))
	case r.Method != http.MethodPost:
		g.refuseMethod(w)
	default:
		g.serveCall(w, r, name)
	}
}

// isPage reports whether a request is for the page, if there is one.
func (g *Gateway) isPage(r *http.Request) bool {
	return g.options.page != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

func (g *Gateway) refuseMethod(w http.ResponseWriter) {
	allow := "POST"
	if g.options.page != nil {
		allow = "GET, HEAD, POST"
	}
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, rpc.Errorf(rpc.InvalidArgument, "a call is a POST"))
}
