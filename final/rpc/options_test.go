package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// namedCodec is JSON under another name.
type namedCodec struct {
	Codec
	name string
}

func (c *namedCodec) Name() string { return c.name }

// odd is an option with a value, and what its refusal says; "" if it is taken.
type odd[Option any] struct {
	name    string // of the option
	opt     Option
	refusal string
}

// sizes are the cases of an option that takes a number: 0 is taken, a negative
// number and one above most are refused. A most of 0 is none.
func sizes[Side any, Option any](name string, option func(int) Option, most int) []odd[Side] {
	with := func(n int) Side { return any(option(n)).(Side) }
	cases := []odd[Side]{
		{name, with(0), ""},
		{name, with(1), ""},
		{name, with(-1), name + "(-1)"},
		{name, with(math.MinInt), fmt.Sprintf("%s(%d)", name, math.MinInt)},
	}
	if most == 0 {
		return append(cases, odd[Side]{name, with(math.MaxInt), ""})
	}
	return append(cases,
		odd[Side]{name, with(most), ""},
		odd[Side]{name, with(most + 1), fmt.Sprintf("%s(%d): want 0 to %d", name, most+1, most)},
		odd[Side]{name, with(math.MaxInt), fmt.Sprintf("%s(%d)", name, math.MaxInt)})
}

// times are the cases of an option that takes a duration.
func times[Side any, Option any](name string, option func(time.Duration) Option) []odd[Side] {
	with := func(d time.Duration) Side { return any(option(d)).(Side) }
	return []odd[Side]{
		{name, with(0), ""},
		{name, with(time.Nanosecond), ""},
		{name, with(math.MaxInt64), ""},
		{name, with(-1), name + "(-1ns)"},
		{name, with(-time.Hour), name + "(-1h0m0s)"},
	}
}

func oddServerOptions() []odd[ServerOption] {
	var codec *namedCodec
	certificate := &tls.Config{Certificates: []tls.Certificate{{}}}
	cases := []odd[ServerOption]{
		{"WithServerOptions", WithServerOptions(), ""},
		{"WithServerOptions", WithServerOptions(nil), "option 1 of 1 is nil"},
		{"WithServerOptions", WithServerOptions(WithMaxConns(1), WithMaxConns(-3)), "WithMaxConns(-3)"},
		{"WithCodecs", WithCodecs(), ""},
		{"WithCodecs", WithCodecs(nil), "WithCodecs: the codec is nil"},
		{"WithCodecs", WithCodecs(Gob, codec), "WithCodecs: the codec is nil: (*rpc.namedCodec)(nil)"},
		{"WithCodecs", WithCodecs(&namedCodec{JSON, ""}), `WithCodecs: the codec's name is ""`},
		{"WithCodecs", WithCodecs(&namedCodec{JSON, "J son"}), `WithCodecs: the codec's name is "J son"`},
		{"WithCodecs", WithCodecs(&namedCodec{JSON, strings.Repeat("x", 33)}), "WithCodecs: the codec's name is"},
		{"WithTLS", WithTLS(certificate), ""},
		{"WithTLS", WithTLS(nil), "WithTLS: the configuration is nil"},
		{"WithTLS", WithTLS(new(tls.Config)), "WithTLS: a server needs Certificates"},
		{"WithTLS", WithServerOptions(WithTLS(certificate), WithTLS(certificate)), "WithTLS: given twice"},
		{"WithAuthorize", WithAuthorize(nil), "WithAuthorize: the hook is nil"},
		{"WithServerInterceptors", WithServerInterceptors(), ""},
		{"WithServerInterceptors", WithServerInterceptors(nil), "WithServerInterceptors: the interceptor is nil"},
		{"WithServerMiddleware", WithServerMiddleware(), ""},
		{"WithServerMiddleware", WithServerMiddleware(ServerMiddleware{}), "WithServerMiddleware: the middleware has no interceptor"},
		{"WithObserver", WithObserver(Observer{}), "WithObserver: the observer has no function"},
		{"WithObserver", WithObserver(Observer{ConnClosed: func() {}}), ""},
		{"WithPanicHandler", WithPanicHandler(nil), "WithPanicHandler: the callback is nil"},
		{"WithErrorHandler", WithErrorHandler(nil), "WithErrorHandler: the callback is nil"},
		{"WithCallErrorHandler", WithCallErrorHandler(nil), "WithCallErrorHandler: the callback is nil"},
	}
	cases = append(cases, sizes[ServerOption]("WithMaxMessage", WithMaxMessage, maxLength)...)
	cases = append(cases, sizes[ServerOption]("WithMaxInFlight", WithMaxInFlight, maxCount)...)
	cases = append(cases, sizes[ServerOption]("WithMaxHandlers", WithMaxHandlers, 0)...)
	cases = append(cases, sizes[ServerOption]("WithMaxConns", WithMaxConns, 0)...)
	cases = append(cases, sizes[ServerOption]("WithMaxMetadata", WithMaxMetadata, 65535)...)
	for _, c := range slices.Concat(
		sizes[ServerOption]("WithParamsMemory: server", func(n int) ServerOption { return WithParamsMemory(n, 0) }, 0),
		sizes[ServerOption]("WithParamsMemory: conn", func(n int) ServerOption { return WithParamsMemory(0, n) }, 0),
		sizes[ServerOption]("WithReplyMemory: server", func(n int) ServerOption { return WithReplyMemory(n, 0) }, 0),
		sizes[ServerOption]("WithPeerShare: conns", func(n int) ServerOption { return WithPeerShare(n, 0) }, 0),
		sizes[ServerOption]("WithPeerShare: handlers", func(n int) ServerOption { return WithPeerShare(0, n) }, 0),
		sizes[ServerOption]("WithPeerMemory: params", func(n int) ServerOption { return WithPeerMemory(n, 0, 0) }, 0),
		sizes[ServerOption]("WithPeerMemory: replies", func(n int) ServerOption { return WithPeerMemory(0, n, 0) }, 0),
		sizes[ServerOption]("WithPeerMemory: streams", func(n int) ServerOption { return WithPeerMemory(0, 0, n) }, 0),
		sizes[ServerOption]("WithReplyMemory: conn", func(n int) ServerOption { return WithReplyMemory(0, n) }, 0),
	) {
		c.name, _, _ = strings.Cut(c.name, ":")
		cases = append(cases, c)
	}
	cases = append(cases, oddStreamOptions...)
	for _, c := range oddConnStreamOptions() {
		cases = append(cases, odd[ServerOption]{c.name, c.opt, c.refusal})
	}
	cases = append(cases, sizes[ServerOption]("WithMaxStreams", WithMaxStreams, math.MaxInt32)...)
	cases = append(cases, sizes[ServerOption]("WithMaxMethodName", WithMaxMethodName, 65535)...)
	cases = append(cases, sizes[ServerOption]("WithCompression", WithCompression, 0)...)
	cases = append(cases, times[ServerOption]("WithHandshakeTimeout", WithHandshakeTimeout)...)
	cases = append(cases, times[ServerOption]("WithReadFrameTimeout", WithReadFrameTimeout)...)
	cases = append(cases, times[ServerOption]("WithIdleTimeout", WithIdleTimeout)...)
	cases = append(cases, times[ServerOption]("WithWriteTimeout", WithWriteTimeout)...)
	cases = append(cases, times[ServerOption]("WithMaxConnAge", WithMaxConnAge)...)
	cases = append(cases, times[ServerOption]("WithKeepalive", WithKeepalive)...)
	return append(cases, times[ServerOption]("WithHandlerTimeout", WithHandlerTimeout)...)
}

// leastForStreams is the place for an item of 4 MiB, an eighth more, and a window.
const leastForStreams = 4<<20 + 512<<10 + 16<<10

// oddConnStreamOptions are for both sides.
func oddConnStreamOptions() []odd[Option] {
	const name = "WithConnStreamMemory"
	return []odd[Option]{
		{"WithoutStreams", WithoutStreams(), ""},
		{name, WithConnStreamMemory(0), ""},
		{name, WithConnStreamMemory(-1), "WithConnStreamMemory(-1)"},
		{name, WithConnStreamMemory(math.MaxInt), ""},
		{name, WithConnStreamMemory(1), fmt.Sprintf("WithConnStreamMemory(1): want at least %d", leastForStreams)},
		{name, WithConnStreamMemory(leastForStreams), ""},
		{name, WithConnStreamMemory(leastForStreams - 1), fmt.Sprintf("WithConnStreamMemory(%d): want at least %d", leastForStreams-1, leastForStreams)},
		{name, bothOptions{WithConnStreamMemory(1), WithoutStreams()}, ""},
		{name, bothOptions{WithConnStreamMemory(leastForStreams), WithMaxMessage(5 << 20)}, "WithConnStreamMemory"},
	}
}

// bothOptions are two in a row.
type bothOptions [2]Option

func (o bothOptions) configureServer(s *serverOptions) {
	o[0].configureServer(s)
	o[1].configureServer(s)
}
func (o bothOptions) configureClient(c *clientOptions) {
	o[0].configureClient(c)
	o[1].configureClient(c)
}
func (o bothOptions) configurePool(c *clientOptions) { o[0].configurePool(c); o[1].configurePool(c) }

var oddStreamOptions = []odd[ServerOption]{
	{"WithStreamMemory", WithStreamMemory(0), ""},
	{"WithStreamMemory", WithStreamMemory(math.MaxInt), ""},
	{"WithStreamMemory", WithStreamMemory(-1), "WithStreamMemory(-1)"},
	{"WithStreamMemory", WithStreamMemory(4*leastForStreams - 4), fmt.Sprintf("WithStreamMemory(%d): want at least %d", 4*leastForStreams-4, 4*leastForStreams)},
	{"WithStreamMemory", WithStreamMemory(4 * leastForStreams), ""},
	{"WithStreamMemory", WithServerOptions(WithStreamMemory(1), WithoutStreams()), ""},
	{"WithStreamMemory", WithServerOptions(WithStreamMemory(64<<10+4608), WithMaxMessage(1<<10)), ""},
}

func oddClientOptions() []odd[ClientOption] {
	var codec *namedCodec
	cases := []odd[ClientOption]{
		{"WithClientOptions", WithClientOptions(), ""},
		{"WithClientOptions", WithClientOptions(nil), "option 1 of 1 is nil"},
		{"WithClientOptions", WithClientOptions(WithMaxMessage(1), WithMaxMessage(-3)), "WithMaxMessage(-3)"},
		{"WithCodec", WithCodec(nil), "WithCodec: the codec is nil"},
		{"WithCodec", WithCodec(codec), "WithCodec: the codec is nil: (*rpc.namedCodec)(nil)"},
		{"WithCodec", WithCodec(&namedCodec{JSON, strings.Repeat("x", 256)}), "WithCodec: the codec's name is"},
		{"WithTLS", WithTLS(nil), "WithTLS: the configuration is nil"},
		{"WithTLS", WithClientOptions(WithTLS(new(tls.Config)), WithTLS(new(tls.Config))), "WithTLS: given twice"},
		{"WithDialer", WithDialer(nil), "WithDialer: the dialer is nil"},
		{"WithErrorHandler", WithErrorHandler(nil), "WithErrorHandler: the callback is nil"},
		{"WithHelloMetadata", WithHelloMetadata(nil), ""},
		{"WithBackoff", WithBackoff(0, 0), ""},
		{"WithBackoff", WithBackoff(time.Hour, 0), ""},
		{"WithBackoff", WithBackoff(0, time.Millisecond), ""},
		{"WithBackoff", WithBackoff(-1, 0), "WithBackoff: least(-1ns)"},
		{"WithBackoff", WithBackoff(0, -1), "WithBackoff: longest(-1ns)"},
		{"WithBackoff", WithBackoff(2, 1), "WithBackoff: the longest pause, 1ns, is shorter than the least, 2ns"},
		{"WithBackoff", WithBackoff(math.MaxInt64, math.MaxInt64), ""},
		{"WithClientInterceptors", WithClientInterceptors(), ""},
		{"WithClientInterceptors", WithClientInterceptors(nil), "WithClientInterceptors: the interceptor is nil"},
		{"WithObserver", WithObserver(Observer{}), "WithObserver: the observer has no function"},
		{"WithObserver", WithObserver(Observer{ConnClosed: func() {}}), ""},
		{"WithRetryBudget", WithRetryBudget(0, 0), ""},
		{"WithRetryBudget", WithRetryBudget(1_000_000, 1_000_000), ""},
		{"WithRetryBudget", WithRetryBudget(-1, 0), "WithRetryBudget: percent(-1): want 0 to 1000000"},
		{"WithRetryBudget", WithRetryBudget(0, -1), "WithRetryBudget: reserve(-1): want 0 to 1000000"},
		{"WithRetryBudget", WithRetryBudget(1_000_001, 0), "WithRetryBudget: percent(1000001)"},
		{"WithRetryBudget", WithRetryBudget(0, 1_000_001), "WithRetryBudget: reserve(1000001)"},
	}
	for _, c := range oddConnStreamOptions() {
		cases = append(cases, odd[ClientOption]{c.name, c.opt, c.refusal})
	}
	cases = append(cases, sizes[ClientOption]("WithCompression", WithCompression, 0)...)
	cases = append(cases, sizes[ClientOption]("WithMaxMessage", WithMaxMessage, maxLength)...)
	cases = append(cases, sizes[ClientOption]("WithMaxAttempts", WithMaxAttempts, 0)...)
	cases = append(cases, sizes[ClientOption]("WithMaxWaiting", WithMaxWaiting, 0)...)
	cases = append(cases, sizes[ClientOption]("WithMaxDecoded", WithMaxDecoded, 0)...)
	cases = append(cases, odd[ClientOption]{"WithFailFast", WithFailFast(), ""})
	cases = append(cases, times[ClientOption]("WithHandshakeTimeout", WithHandshakeTimeout)...)
	cases = append(cases, times[ClientOption]("WithDefaultTimeout", WithDefaultTimeout)...)
	cases = append(cases, times[ClientOption]("WithWriteTimeout", WithWriteTimeout)...)
	cases = append(cases, times[ClientOption]("WithReadFrameTimeout", WithReadFrameTimeout)...)
	cases = append(cases, times[ClientOption]("WithKeepalive", WithKeepalive)...)
	cases = append(cases, times[ClientOption]("WithMaxWait", WithMaxWait)...)
	return append(cases, times[ClientOption]("WithMaxRetryAfter", WithMaxRetryAfter)...)
}

func oddPoolOptions() []odd[PoolOption] {
	cases := []odd[PoolOption]{
		{"WithPoolOptions", WithPoolOptions(), ""},
		{"WithPoolOptions", WithPoolOptions(nil), "option 1 of 1 is nil"},
		{"WithPoolOptions", WithPoolOptions(WithMaxAttempts(2), WithConnsPerAddr(-3)), "WithConnsPerAddr(-3)"},
		{"WithBalancing", WithBalancing(0), ""},
		{"WithBalancing", WithBalancing(RoundRobin + 1), "WithBalancing(3)"},
		{"WithBalancing", WithBalancing(255), "WithBalancing(255)"},
		{"WithEjection", WithEjection(1, 0, 0), ""},
		{"WithEjection", WithEjection(1, -1, 0), "WithEjection: least(-1ns)"},
		{"WithEjection", WithEjection(1, 2, 1), "WithEjection: the longest pause, 1ns, is shorter than the least, 2ns"},
	}
	cases = append(cases, sizes[PoolOption]("WithConnsPerAddr", WithConnsPerAddr, 65535)...)
	cases = append(cases, sizes[PoolOption]("WithEjection", func(n int) PoolOption { return WithEjection(n, 0, 0) }, math.MaxInt32)...)
	return cases
}

// panicText runs f and returns what it panics with, or "".
func panicText(f func()) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = p.(error).Error()
		}
	}()
	f()
	return ""
}

// needsDialing are the options that NewClient, which has its connection, refuses.
var needsDialing = map[string]bool{"WithDialer": true, "WithBackoff": true}

func TestOptions_OddValuesAreRefusedByTheConstructor(t *testing.T) {
	noLeaks(t)
	for _, c := range oddServerOptions() {
		refusal := panicText(func() { NewServer(c.opt).Close() })
		checkRefusal(t, c.name, c.refusal, refusal, "rpc: NewServer: ")
	}
	for _, c := range oddPoolOptions() {
		pool := panicText(func() { NewPool(StaticResolver{}, c.opt).Close() })
		checkRefusal(t, c.name, c.refusal, pool, "rpc: NewPool: ")
	}
	for _, c := range oddClientOptions() {
		pool := panicText(func() { NewPool(StaticResolver{}, c.opt).Close() })
		checkRefusal(t, c.name, c.refusal, pool, "rpc: NewPool: ")

		near, far := net.Pipe()
		far.Close()
		client := panicText(func() { NewClient(near, c.opt).Close() })
		near.Close()
		if c.refusal == "" && needsDialing[c.name] {
			c.refusal = c.name + " has no effect: the connection is made already"
			checkRefusal(t, c.name, c.refusal, client, "rpc: NewClient: ")
			c.refusal = ""
		} else if c.name != "WithTLS" {
			checkRefusal(t, c.name, c.refusal, client, "rpc: NewClient: ")
		}

		elsewhere := errors.New("no server is dialled here")
		none := WithDialer(func(context.Context, string) (net.Conn, error) { return nil, elsewhere })
		_, err := Dial(t.Context(), "127.0.0.1:1", none, c.opt)
		require.Error(t, err, c.name)
		if c.refusal == "" {
			assert.ErrorIs(t, err, elsewhere, c.name)
			continue
		}
		checkRefusal(t, c.name, c.refusal, err.Error(), "rpc: invalid_argument: ")
		assert.ErrorIs(t, err, InvalidArgument)
		assert.True(t, NeverRan(err))
	}
}

func checkRefusal(t *testing.T, option, want, got, prefix string) {
	t.Helper()
	if want == "" {
		assert.Empty(t, got, option)
		return
	}
	assert.True(t, strings.HasPrefix(got, prefix), "%s: %q", option, got)
	assert.Contains(t, got, want, option)
}

// Each option of the package has a case above, those of tomorrow too.
func TestOptions_EachIsTriedWithOddValues(t *testing.T) {
	tried := map[string]bool{}
	for _, c := range oddServerOptions() {
		tried[c.name] = true
	}
	for _, c := range oddClientOptions() {
		tried[c.name] = true
	}
	for _, c := range oddPoolOptions() {
		tried[c.name] = true
	}
	found := 0
	for _, name := range []string{"options.go", "server_options.go", "client_options.go", "pool_options.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "With") {
				found++
				assert.True(t, tried[f.Name.Name], "%s", f.Name.Name)
			}
		}
	}
	assert.Greater(t, found, 30)
}

func TestConstructors_RefuseNil(t *testing.T) {
	var resolver *StaticResolver
	var conn *net.TCPConn
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	for want, construct := range map[string]func(){
		"rpc: NewServer: option 2 of 2 is nil":                          func() { NewServer(WithMaxConns(1), nil) },
		"rpc: NewPool: the resolver is nil":                             func() { NewPool(nil) },
		"rpc: NewPool: the resolver is nil: (*rpc.StaticResolver)(nil)": func() { NewPool(resolver) },
		"rpc: NewPool: option 1 of 1 is nil":                            func() { NewPool(StaticResolver{}, nil) },
		"rpc: NewClient: the connection is nil":                         func() { NewClient(nil) },
		"rpc: NewClient: the connection is nil: (*net.TCPConn)(nil)":    func() { NewClient(conn) },
		"rpc: NewClient: WithTLS: the connection is made already: use tls.Client(conn, cfg), or Dial": func() {
			NewClient(near, WithTLS(new(tls.Config)))
		},
	} {
		assert.Equal(t, want, panicText(construct))
	}
	_, err := Dial(t.Context(), "127.0.0.1:1", nil)
	assert.EqualError(t, err, "rpc: invalid_argument: option 1 of 1 is nil")
}

func TestOptions_ZeroIsTheDefault(t *testing.T) {
	server, client := defaultServerOptions(), defaultClientOptions()
	server.apply([]ServerOption{
		WithMaxMessage(2048), WithMaxMessage(0), WithMaxInFlight(7), WithMaxInFlight(0), WithMaxHandlers(7), WithMaxHandlers(0),
		WithParamsMemory(7, 7), WithParamsMemory(0, 0), WithReplyMemory(7, 7), WithReplyMemory(0, 0),
		WithMaxConns(7), WithMaxConns(0), WithPeerShare(7, 7), WithPeerShare(0, 0), WithPeerMemory(7, 7, 7), WithPeerMemory(0, 0, 0), WithMaxMethodName(7), WithMaxMethodName(0),
		WithMaxStreams(7), WithMaxStreams(0), WithStreamMemory(7), WithStreamMemory(0), WithConnStreamMemory(7), WithConnStreamMemory(0),
	})
	client.applyPool([]PoolOption{
		WithMaxMessage(2048), WithMaxMessage(0), WithConnStreamMemory(7), WithConnStreamMemory(0), WithMaxDecoded(7), WithMaxDecoded(0), WithConnsPerAddr(7), WithConnsPerAddr(0),
		WithBackoff(1, 2), WithBackoff(0, 0), WithEjection(5, 1, 2), WithEjection(5, 0, 0),
	})
	client.forDialing = ""
	assert.Equal(t, defaultServerOptions(), server)
	assert.Equal(t, defaultClientOptions(), client)
}
