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

// silentObserver hears nothing.
type silentObserver struct{}

func (*silentObserver) ConnOpened()      {}
func (*silentObserver) ConnClosed()      {}
func (*silentObserver) BytesRead(int)    {}
func (*silentObserver) BytesWritten(int) {}

// odd is an option with a value, and what its refusal says; "" if it is taken.
type odd[Option any] struct {
	name    string // of the option
	opt     Option
	refusal string
}

// sizes are the cases of an option that takes a number: 0 is taken, a negative
// number and one above most are refused. A most of 0 is none.
func sizes[Option any](name string, with func(int) Option, most int) []odd[Option] {
	cases := []odd[Option]{
		{name, with(0), ""},
		{name, with(1), ""},
		{name, with(-1), name + "(-1)"},
		{name, with(math.MinInt), fmt.Sprintf("%s(%d)", name, math.MinInt)},
	}
	if most == 0 {
		return append(cases, odd[Option]{name, with(math.MaxInt), ""})
	}
	return append(cases,
		odd[Option]{name, with(most), ""},
		odd[Option]{name, with(most + 1), fmt.Sprintf("%s(%d): want 0 to %d", name, most+1, most)},
		odd[Option]{name, with(math.MaxInt), fmt.Sprintf("%s(%d)", name, math.MaxInt)})
}

// times are the cases of an option that takes a duration.
func times[Option any](name string, with func(time.Duration) Option) []odd[Option] {
	return []odd[Option]{
		{name, with(0), ""},
		{name, with(time.Nanosecond), ""},
		{name, with(math.MaxInt64), ""},
		{name, with(-1), name + "(-1ns)"},
		{name, with(-time.Hour), name + "(-1h0m0s)"},
	}
}

func oddServerOptions() []odd[ServerOption] {
	var observer *silentObserver
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
		{"WithServerTLS", WithServerTLS(certificate), ""},
		{"WithServerTLS", WithServerTLS(nil), "WithServerTLS: the configuration is nil"},
		{"WithServerTLS", WithServerTLS(new(tls.Config)), "WithServerTLS: the configuration has no Certificates"},
		{"WithServerTLS", WithServerOptions(WithServerTLS(certificate), WithServerTLS(certificate)), "WithServerTLS: given twice"},
		{"WithAuthorize", WithAuthorize(nil), "WithAuthorize: the hook is nil"},
		{"WithServerInterceptors", WithServerInterceptors(), ""},
		{"WithServerInterceptors", WithServerInterceptors(nil), "WithServerInterceptors: the interceptor is nil"},
		{"WithServerObserver", WithServerObserver(nil), "WithServerObserver: the observer is nil"},
		{"WithServerObserver", WithServerObserver(observer), "WithServerObserver: the observer is nil: (*rpc.silentObserver)(nil)"},
		{"WithPanicHandler", WithPanicHandler(nil), "WithPanicHandler: the callback is nil"},
		{"WithErrorHandler", WithErrorHandler(nil), "WithErrorHandler: the callback is nil"},
		{"WithCallErrorHandler", WithCallErrorHandler(nil), "WithCallErrorHandler: the callback is nil"},
	}
	cases = append(cases, sizes("WithMaxMessage", WithMaxMessage, maxLength)...)
	cases = append(cases, sizes("WithMaxInFlight", WithMaxInFlight, maxCount)...)
	cases = append(cases, sizes("WithMaxHandlers", WithMaxHandlers, 0)...)
	cases = append(cases, sizes("WithMaxConns", WithMaxConns, 0)...)
	cases = append(cases, sizes("WithMaxMetadata", WithMaxMetadata, 65535)...)
	cases = append(cases, sizes("WithMaxMethodName", WithMaxMethodName, 65535)...)
	cases = append(cases, sizes("WithServerCompression", WithServerCompression, 0)...)
	cases = append(cases, times("WithHandshakeTimeout", WithHandshakeTimeout)...)
	cases = append(cases, times("WithReadFrameTimeout", WithReadFrameTimeout)...)
	cases = append(cases, times("WithIdleTimeout", WithIdleTimeout)...)
	cases = append(cases, times("WithWriteTimeout", WithWriteTimeout)...)
	return append(cases, times("WithHandlerTimeout", WithHandlerTimeout)...)
}

func oddClientOptions() []odd[ClientOption] {
	var observer *silentObserver
	var codec *namedCodec
	cases := []odd[ClientOption]{
		{"WithClientOptions", WithClientOptions(), ""},
		{"WithClientOptions", WithClientOptions(nil), "option 1 of 1 is nil"},
		{"WithClientOptions", WithClientOptions(WithMaxReply(1), WithMaxReply(-3)), "WithMaxReply(-3)"},
		{"WithCodec", WithCodec(nil), "WithCodec: the codec is nil"},
		{"WithCodec", WithCodec(codec), "WithCodec: the codec is nil: (*rpc.namedCodec)(nil)"},
		{"WithCodec", WithCodec(&namedCodec{JSON, strings.Repeat("x", 256)}), "WithCodec: the codec's name is"},
		{"WithTLS", WithTLS(nil), "WithTLS: the configuration is nil"},
		{"WithTLS", WithClientOptions(WithTLS(new(tls.Config)), WithTLS(new(tls.Config))), "WithTLS: given twice"},
		{"WithDialer", WithDialer(nil), "WithDialer: the dialer is nil"},
		{"WithHelloMetadata", WithHelloMetadata(nil), ""},
		{"WithBalancing", WithBalancing(0), ""},
		{"WithBalancing", WithBalancing(RoundRobin + 1), "WithBalancing(3)"},
		{"WithBalancing", WithBalancing(255), "WithBalancing(255)"},
		{"WithBackoff", WithBackoff(0, 0), ""},
		{"WithBackoff", WithBackoff(time.Hour, 0), ""},
		{"WithBackoff", WithBackoff(0, time.Millisecond), ""},
		{"WithBackoff", WithBackoff(-1, 0), "WithBackoff: least(-1ns)"},
		{"WithBackoff", WithBackoff(0, -1), "WithBackoff: longest(-1ns)"},
		{"WithBackoff", WithBackoff(2, 1), "WithBackoff: the longest pause, 1ns, is shorter than the least, 2ns"},
		{"WithBackoff", WithBackoff(math.MaxInt64, math.MaxInt64), ""},
		{"WithEjection", WithEjection(1, 0, 0), ""},
		{"WithEjection", WithEjection(1, -1, 0), "WithEjection: least(-1ns)"},
		{"WithEjection", WithEjection(1, 2, 1), "WithEjection: the longest pause, 1ns, is shorter than the least, 2ns"},
		{"WithInterceptors", WithInterceptors(), ""},
		{"WithInterceptors", WithInterceptors(nil), "WithInterceptors: the interceptor is nil"},
		{"WithObserver", WithObserver(nil), "WithObserver: the observer is nil"},
		{"WithObserver", WithObserver(observer), "WithObserver: the observer is nil: (*rpc.silentObserver)(nil)"},
	}
	cases = append(cases, sizes("WithCompression", WithCompression, 0)...)
	cases = append(cases, sizes("WithMaxReply", WithMaxReply, maxLength)...)
	cases = append(cases, sizes("WithMaxAttempts", WithMaxAttempts, 0)...)
	cases = append(cases, sizes("WithMaxWaiting", WithMaxWaiting, 0)...)
	cases = append(cases, odd[ClientOption]{"WithFailFast", WithFailFast(), ""})
	cases = append(cases, sizes("WithConnsPerAddr", WithConnsPerAddr, 65535)...)
	cases = append(cases, sizes("WithEjection", func(n int) ClientOption { return WithEjection(n, 0, 0) }, math.MaxInt32)...)
	cases = append(cases, times("WithClientHandshakeTimeout", WithClientHandshakeTimeout)...)
	cases = append(cases, times("WithDefaultTimeout", WithDefaultTimeout)...)
	cases = append(cases, times("WithClientWriteTimeout", WithClientWriteTimeout)...)
	cases = append(cases, times("WithKeepalive", WithKeepalive)...)
	cases = append(cases, times("WithMaxWait", WithMaxWait)...)
	return append(cases, times("WithMaxRetryAfter", WithMaxRetryAfter)...)
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

func TestOptions_OddValuesAreRefusedByTheConstructor(t *testing.T) {
	noLeaks(t)
	for _, c := range oddServerOptions() {
		refusal := panicText(func() { NewServer(c.opt).Close() })
		checkRefusal(t, c.name, c.refusal, refusal, "rpc: NewServer: ")
	}
	for _, c := range oddClientOptions() {
		pool := panicText(func() { NewPool(StaticResolver{}, c.opt).Close() })
		checkRefusal(t, c.name, c.refusal, pool, "rpc: NewPool: ")

		near, far := net.Pipe()
		far.Close()
		client := panicText(func() { NewClient(near, c.opt).Close() })
		near.Close()
		if c.name != "WithTLS" {
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
	file, err := parser.ParseFile(token.NewFileSet(), "options.go", nil, 0)
	require.NoError(t, err)
	found := 0
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "With") {
			found++
			assert.True(t, tried[f.Name.Name], "%s", f.Name.Name)
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
		WithMaxConns(7), WithMaxConns(0), WithMaxMethodName(7), WithMaxMethodName(0),
	})
	client.apply([]ClientOption{
		WithMaxReply(2048), WithMaxReply(0), WithConnsPerAddr(7), WithConnsPerAddr(0),
		WithBackoff(1, 2), WithBackoff(0, 0), WithEjection(5, 1, 2), WithEjection(5, 0, 0),
	})
	assert.Equal(t, defaultServerOptions(), server)
	assert.Equal(t, defaultClientOptions(), client)
}
