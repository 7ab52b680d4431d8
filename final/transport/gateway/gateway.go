package gateway

import (
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	_ "example.com/rpc-from-scratch/final/codec/protobuf" // messages over JSON
	"example.com/rpc-from-scratch/final/rpc"
)

// Gateway is an http.Handler that answers calls. It may be used by many
// goroutines, as handlers are.
type Gateway struct {
	server   *rpc.Server
	options  options
	origins  *http.CrossOriginProtection
	inFlight atomic.Int64 // requests being read, and handlers running
}

// Option sets something of a Gateway in New.
type Option func(*options)

type options struct {
	prefix      string
	maxBody     int64
	maxMetadata int
	maxInFlight int
	readTimeout time.Duration
	hosts       map[string]bool // nil: any
	page        *page           // nil: none
}

// New returns a Gateway to srv's methods, those that will be registered later included.
func New(srv *rpc.Server, opts ...Option) *Gateway {
	g := &Gateway{
		server:  srv,
		origins: http.NewCrossOriginProtection(),
		options: options{
			prefix:      "/rpc",
			maxBody:     4 << 20,
			maxMetadata: 8 << 10,
			maxInFlight: 1024,
			readTimeout: 30 * time.Second,
		},
	}
	for _, opt := range opts {
		opt(&g.options)
	}
	return g
}

// WithPrefix sets the path that stands before "/Service.Method". Default "/rpc".
func WithPrefix(path string) Option {
	return func(o *options) { o.prefix = "/" + strings.Trim(path, "/") }
}

// WithMaxBody bounds a request's body, in bytes. Default 4 MiB.
func WithMaxBody(bytes int64) Option {
	return func(o *options) { o.maxBody = bytes }
}

// WithMaxMetadata bounds what comes as metadata in headers, in bytes: keys,
// values, and four for each pair, apart from a trace's. Default 8 KiB.
func WithMaxMetadata(bytes int) Option {
	return func(o *options) { o.maxMetadata = bytes }
}

// WithMaxInFlight bounds the requests that are read or run at once; one more gets
// 429. Their bodies may take this times the largest body. Default 1024.
func WithMaxInFlight(n int) Option {
	return func(o *options) { o.maxInFlight = max(n, 1) }
}

// WithReadTimeout bounds the time that a body may take to arrive. Default 30 s.
func WithReadTimeout(d time.Duration) Option {
	return func(o *options) { o.readTimeout = d }
}

// WithHosts allows only requests for these hosts, names or addresses without a
// port. Default: any.
func WithHosts(hosts ...string) Option {
	return func(o *options) {
		o.hosts = map[string]bool{}
		for _, host := range hosts {
			o.hosts[strings.ToLower(host)] = true
		}
	}
}

// WithPage adds the page. It shows what recorder has seen; nil: no figures.
func WithPage(recorder *Recorder) Option {
	return func(o *options) { o.page = newPage(recorder) }
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if !g.options.allows(r.Host) {
		fail(w, http.StatusMisdirectedRequest, rpc.Errorf(rpc.PermissionDenied, "this is not the server of %q", r.Host))
		return
	}
	path, found := strings.CutPrefix(r.URL.Path, g.options.prefix)
	name := strings.TrimPrefix(path, "/")
	switch isPage := g.options.page != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead); {
	case !found || path == name && path != "" || r.URL.RawPath != "": // RawPath: needless escapes, by which one name could be spelt in many ways
		fail(w, http.StatusNotFound, rpc.Errorf(rpc.NotFound, "no such path: want %s/Service.Method", g.options.prefix))
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

func (g *Gateway) refuseMethod(w http.ResponseWriter) {
	allow := "POST"
	if g.options.page != nil {
		allow = "GET, HEAD, POST"
	}
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, rpc.Errorf(rpc.InvalidArgument, "a call is a POST"))
}

// allows reports whether the server answers to a Host header's name.
func (o *options) allows(hostport string) bool {
	if o.hosts == nil {
		return true
	}
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = strings.Trim(hostport, "[]")
	}
	return o.hosts[strings.ToLower(host)]
}
