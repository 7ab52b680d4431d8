package gateway

import (
	"cmp"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	_ "example.com/rpc-from-scratch/final/codec/protobuf" // messages over JSON
	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// Gateway is an http.Handler that answers calls. It may be used by many
// goroutines, as handlers are.
type Gateway struct {
	server  *rpc.Server
	options options
	origins *http.CrossOriginProtection
	shared  http.Handler // route, with what lets pages of other origins call
	places  places       // of requests in flight
	streams places       // of streams
}

// The defaults that a 0 stands for.
const (
	defaultMaxBody     = 4 << 20
	defaultMaxInFlight = 1024
	defaultMaxStreams  = 1024

	defaultWriteTimeout = 30 * time.Second
)

// Option configures a Gateway in New. If a value is given twice, the last one
// counts. An option panics on a value that makes no sense, and New on a nil
// option.
type Option func(*options)

type options struct {
	prefix       string
	maxBody      int64
	maxMetadata  int
	maxInFlight  int
	maxStreams   int
	peerInFlight int             // 0: see boundOf
	peerStreams  int             // 0: see boundOf
	get          map[string]bool // streams that may be opened by GET
	readTimeout  time.Duration
	writeTimeout time.Duration
	hosts        hosts    // nil: any, over loopback this machine's
	origins      []string // of pages of other sites that may call
	page         *page    // nil: none
}

// New returns a Gateway to srv's methods, also to those that are registered
// later. It panics if srv is nil.
func New(srv *rpc.Server, opts ...Option) *Gateway {
	g := &Gateway{
		server:  srv,
		origins: http.NewCrossOriginProtection(),
		options: options{
			prefix:       "/rpc",
			maxBody:      defaultMaxBody,
			maxMetadata:  8 << 10,
			maxInFlight:  defaultMaxInFlight,
			maxStreams:   defaultMaxStreams,
			readTimeout:  30 * time.Second,
			writeTimeout: defaultWriteTimeout,
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

// WithMaxInFlight limits the requests that are read, run or answered at once; one
// more gets 429. Their bodies can take this number times [WithMaxBody]. Requests
// whose callers are still being authorized do not count among these: there may be
// as many again, and at least 64. Slow bodies do not keep others out: if one has
// been on its way for longer than 50 ms, the next request gets its place, and the
// slow one gets 429. Default 1024, which 0 stands for; it panics on a negative
// number.
func WithMaxInFlight(n int) Option {
	return func(o *options) {
		o.maxInFlight = cmp.Or(misuse.NotNegative("gateway: WithMaxInFlight", n), defaultMaxInFlight)
	}
}

// WithMaxStreams limits the streams that are open at once; one more gets 429. They do not
// count for [WithMaxInFlight] once their params have arrived. Each takes a connection, or a
// stream of HTTP/2, the goroutine of its handler, and memory for two items. Default 1024,
// which 0 stands for; it panics on a negative number.
func WithMaxStreams(n int) Option {
	return func(o *options) {
		o.maxStreams = cmp.Or(misuse.NotNegative("gateway: WithMaxStreams", n), defaultMaxStreams)
	}
}

// WithPeerShare limits the requests in flight ([WithMaxInFlight]) and the open streams
// ([WithMaxStreams]) of one address, once three quarters of the places are taken. Until
// then it may have any number. After that, an address that has its share gets 429, or the
// place of a slow body of its own, and the others find room. An address is that of the
// http.Request's RemoteAddr; of IPv6 it is the /64 network with all its hosts, except for
// link-local addresses. It does not limit requests without one.
//
// All clients behind one proxy have its address, unless a handler before the gateway
// sets RemoteAddr, so together they may have three quarters of the places. Default: a
// 16th of each limit, or all of it if that is less than 64, which 0 stands for. A share
// that is as large as the limit lets one address have all places. It panics on a
// negative number.
func WithPeerShare(inFlight, streams int) Option {
	return func(o *options) {
		o.peerInFlight = misuse.NotNegative("gateway: WithPeerShare: inFlight", inFlight)
		o.peerStreams = misuse.NotNegative("gateway: WithPeerShare: streams", streams)
	}
}

// WithGET lets these server streams be opened by GET, too: a browser's EventSource sends
// nothing else. The params are JSON in the query, as in ?params={"Item":"item1"}, and the
// request's Accept names text/event-stream or application/x-ndjson. Such a URL can be in
// logs and histories, and EventSource sends no Authorization: give it for streams that
// anyone may read who reaches the server. Pages of other sites are refused, as for
// calls, unless [WithCORS] names them. A second WithGET adds its methods. It panics on a
// name that no method has, such as one without a dot. Default: none.
func WithGET(methods ...string) Option {
	for _, name := range methods {
		if service, rest, _ := strings.Cut(name, "."); service == "" || rest == "" {
			panic(fmt.Sprintf("gateway: WithGET: method %q: want Service.Method", name))
		}
	}
	return func(o *options) {
		if o.get == nil {
			o.get = map[string]bool{}
		}
		for _, name := range methods {
			o.get[name] = true
		}
	}
}

// WithReadTimeout bounds the time that a body may take to arrive. Default 30 s; 0: no
// bound. It panics on a negative time.
func WithReadTimeout(d time.Duration) Option {
	return func(o *options) { o.readTimeout = misuse.NotNegative("gateway: WithReadTimeout", d) }
}

// WithWriteTimeout bounds the time in which a client has to read its answer, and
// each 64 KiB of it. An answer of more than that has a second more for each 16
// KiB. It takes the place of the http.Server's own WriteTimeout, which over
// HTTP/1 bounds the handler, too. The connection of a client that is slower is
// closed. An item of a stream counts as an answer of its own: a client may read slowly,
// but has to go on. Default 30 s; 0: no bound. It panics on a negative time.
func WithWriteTimeout(d time.Duration) Option {
	return func(o *options) { o.writeTimeout = misuse.NotNegative("gateway: WithWriteTimeout", d) }
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
	w = timed(w, g.options.writeTimeout)
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
	case g.isStreamByGET(r, name):
		g.serveGET(w, r, name)
	case name == "" && isPage:
		g.showMethods(w, r)
	case isPage:
		g.showMethod(w, r, name)
	case name == "":
		fail(w, http.StatusNotFound, rpc.Errorf(rpc.NotFound, "no method in the path: want %s/Service.Method", g.options.prefix))
	case r.Method != http.MethodPost:
		g.refuseMethod(w, name)
	default:
		g.serveCall(w, r, name)
	}
}

// isPage reports whether a request is for the page, if there is one.
func (g *Gateway) isPage(r *http.Request) bool {
	return g.options.page != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead)
}

func (g *Gateway) refuseMethod(w http.ResponseWriter, name string) {
	allow, text := "POST", "a call is a POST"
	switch {
	case g.options.page != nil:
		allow = "GET, HEAD, POST"
	case g.options.get[name]:
		allow, text = "GET, POST", "a stream is a POST, or a GET with "+eventStream+" or "+ndjson+" in Accept"
	}
	w.Header().Set("Allow", allow)
	fail(w, http.StatusMethodNotAllowed, rpc.Errorf(rpc.InvalidArgument, "%s", text))
}
