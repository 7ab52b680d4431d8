package tracing_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/middleware/cache"
	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/http2"
)

// layer is a middleware on both sides; either may have nothing of it.
type layer struct {
	name   string
	server rpc.ServerOption
	client rpc.ClientOption
}

const token = "2YotnFZFEjr1zCsicMWpAA"

// layers makes all middleware anew.
func layers(t *testing.T, codec rpc.Codec) []layer {
	t.Helper()
	tokens, err := auth.NewTokens(map[string]string{token: "ann"})
	require.NoError(t, err)
	guard, err := auth.New(tokens.Verify, auth.Known(), nil)
	require.NoError(t, err)
	limits, err := ratelimit.New(ratelimit.Server(1e6, 1e6), ratelimit.Peer(ratelimit.Identity, 1e6, 1e6),
		ratelimit.Messages(echoes.Name(), 1e6, 1), ratelimit.Messages(imports.Name(), 1e6, 1))
	require.NoError(t, err)
	answers, err := cache.New(cache.Codec(codec), cache.Method("Test.Echo", time.Minute), cache.Method("Test.Fail", time.Minute), cache.NotFound("Test.Fail", time.Minute))
	require.NoError(t, err)
	served, err := metrics.NewServer(prometheus.NewRegistry())
	require.NoError(t, err)
	called, err := metrics.NewClient(prometheus.NewRegistry())
	require.NoError(t, err)
	log := logging.New(slog.New(slog.NewJSONHandler(io.Discard, nil)), logging.WithPayloads(100))
	s := newSpans(t)
	return []layer{
		{"metrics", served.Options(), called.Options()},
		{"logging", log.ServerOptions(), log.ClientOptions()},
		{"tracing", s.server(), s.client()},
		{"ratelimit", rpc.WithServerOptions(rpc.WithAuthorize(limits.Authorize), rpc.WithServerMiddleware(limits.Middleware())), nil},
		{"auth", rpc.WithAuthorize(guard.Authorize), auth.OverAnything(auth.Static(token))},
		{"cache", nil, rpc.WithClientInterceptors(answers.Intercept)},
		{"compression", rpc.WithCompression(1), rpc.WithCompression(1)},
	}
}

// text is what all codecs carry.
type text = wrapperspb.StringValue

// failures are how Test.Fail ends, by its params.
var failures = map[string]error{
	"details": &rpc.Error{Code: rpc.Aborted, Message: "at the shelf", Details: map[string]string{"shelf": "7", rpc.RetryAfterDetail: "1500"}},
	"found":   rpc.Errorf(rpc.NotFound, "no such item"),
	"code":    rpc.AlreadyExists,
	"plain":   errors.New("disk on fire"),
	"wrapped": fmt.Errorf("within: %w", rpc.Errorf(rpc.DataLoss, "gone")),
	"none":    &rpc.Error{Message: "an error without a code"},
}

// handle registers the methods that are called. Test.Wait says that it has begun.
func handle(t *testing.T, srv *rpc.Server) (began chan struct{}) {
	t.Helper()
	began = make(chan struct{}, 1)
	require.NoError(t, srv.RegisterFunc("Test.Echo", func(in *text) *text { return in }))
	require.NoError(t, srv.RegisterFunc("Test.Fail", func(in *text) (*text, error) {
		if in.GetValue() == "panic" {
			panic("as you wish")
		}
		return nil, failures[in.GetValue()]
	}))
	require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context, _ *text) (*text, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}))
	require.NoError(t, echoes.Handle(srv, func(ctx context.Context, in *rpc.Receiver[text], out *rpc.Sender[text]) error {
		for i, err := range in.All() {
			if err != nil {
				return err
			}
			if err := out.Send(ctx, i); err != nil {
				return err
			}
			if err := failures[i.GetValue()]; err != nil {
				return err
			}
		}
		return nil
	}))
	require.NoError(t, sending.Handle(srv, func(ctx context.Context, how *text, out *rpc.Sender[text]) error {
		for _, value := range []string{"hello", how.GetValue()} {
			if err := out.Send(ctx, &text{Value: value}); err != nil {
				return err
			}
		}
		return failures[how.GetValue()]
	}))
	require.NoError(t, imports.Handle(srv, func(ctx context.Context, in *rpc.Receiver[text]) (*text, error) {
		all := ""
		for i, err := range in.All() {
			if err != nil {
				return nil, err
			}
			all += i.GetValue() + " "
			if err := failures[i.GetValue()]; err != nil {
				return nil, err
			}
		}
		return &text{Value: all}, nil
	}))
	return began
}

var (
	sending = rpc.ServerStream[text, text]("Test.Send")
	imports = rpc.ClientStream[text, text]("Test.Import")
	echoes  = rpc.BidiStream[text, text]("Test.Echoes")
)

// send is a server stream of two items, of which the second says how it ends.
func send(ctx context.Context, c rpc.Caller, how string) (out ended) {
	s, err := sending.Open(ctx, c, &text{Value: how})
	if err == nil {
		defer s.Close()
		for i, failed := range s.All() {
			if err = failed; err == nil {
				out.reply += i.GetValue() + " "
			}
		}
	}
	return out.with(err)
}

// importTwo is a client stream of two items, of which the second says how it ends.
func importTwo(ctx context.Context, c rpc.Caller, how string) (out ended) {
	s, err := imports.Open(ctx, c)
	if err == nil {
		defer s.Close()
		s.Send(ctx, &text{Value: "hello"})
		s.Send(ctx, &text{Value: how})
		var reply *text
		if reply, err = s.CloseAndReceive(ctx); err == nil {
			out.reply = reply.GetValue()
		}
	}
	return out.with(err)
}

// stream sends two items, of which the second may end the stream, and receives to the end.
func stream(ctx context.Context, c rpc.Caller, how string) (out ended) {
	s, err := echoes.Open(ctx, c)
	if err == nil {
		defer s.Close()
		s.Send(ctx, &text{Value: "hello"})
		s.Send(ctx, &text{Value: how})
		s.CloseSend()
		for i, failed := range s.All() {
			if err = failed; err == nil {
				out.reply += i.GetValue() + " "
			}
		}
	}
	return out.with(err)
}

// ended is all that a caller can see of a call.
type ended struct {
	reply    string
	code     rpc.Code
	text     string
	details  string
	neverRan bool
	remote   bool
}

// with adds to what was received how it ended.
func (out ended) with(err error) ended {
	out.code, out.neverRan = rpc.CodeOf(err), rpc.NeverRan(err)
	var e *rpc.Error
	if errors.As(err, &e) {
		out.text, out.details, out.remote = e.Message, fmt.Sprint(e.Details), e.Remote()
	}
	return out
}

func callOnce(ctx context.Context, c rpc.Caller, method, params string) ended {
	var reply text
	err := c.Call(ctx, method, &text{Value: params}, &reply)
	return ended{reply: reply.GetValue()}.with(err)
}

// calls makes each kind of call, some of them twice, as a cache may answer then.
func calls(t *testing.T, c rpc.Caller, began chan struct{}) map[string]ended {
	t.Helper()
	all := map[string]ended{}
	for _, again := range []string{"", " again"} {
		all["echo"+again] = callOnce(t.Context(), c, "Test.Echo", "hello")
		all["panic"+again] = callOnce(t.Context(), c, "Test.Fail", "panic")
		all["unknown"+again] = callOnce(t.Context(), c, "Test.Nope", "")
		for how := range failures {
			all[how+again] = callOnce(t.Context(), c, "Test.Fail", how)
		}
	}
	for _, how := range []string{"fine", "details", "plain", "none"} {
		all["send "+how] = send(t.Context(), c, how)
		all["import "+how] = importTwo(t.Context(), c, how)
		all["stream "+how] = stream(t.Context(), c, how)
	}
	left, leave := context.WithCancel(t.Context())
	go func() {
		<-began
		leave()
	}()
	all["left while it ran"] = callOnce(left, c, "Test.Wait", "")
	all["left before"] = callOnce(left, c, "Test.Wait", "")
	return all
}

// transports serve a server and return how a client dials it.
var transports = map[string]func(t *testing.T, srv *rpc.Server) (addr string, opt rpc.ClientOption){
	"tcp": func(t *testing.T, srv *rpc.Server) (string, rpc.ClientOption) {
		return serve(t, srv), rpc.WithClientInterceptors()
	},
	"http2": func(t *testing.T, srv *rpc.Server) (string, rpc.ClientOption) {
		inner := http2.NewListener()
		mux := http.NewServeMux()
		mux.Handle(http2.DefaultPath, inner)
		hs := &http.Server{Handler: mux}
		http2.Configure(hs)
		ln, err := rpc.Listen("127.0.0.1:0")
		require.NoError(t, err)
		served, dialer := make(chan error, 2), new(http2.Dialer)
		go func() { served <- hs.Serve(ln) }()
		go func() { served <- srv.Serve(inner) }()
		t.Cleanup(func() {
			dialer.Close()
			srv.Close()
			hs.Close()
			<-served
			<-served
		})
		return ln.Addr().String(), rpc.WithDialer(dialer.Dial)
	},
}

// stack serves with layers, the first one outermost, and calls through them.
func stack(t *testing.T, transport string, codec rpc.Codec, chosen []layer) map[string]ended {
	t.Helper()
	server := []rpc.ServerOption{rpc.WithCodecs(rpc.Gob, protobuf.Codec), rpc.WithPanicHandler(func(context.Context, any, []byte) {})}
	client := []rpc.ClientOption{rpc.WithCodec(codec)}
	for _, l := range chosen {
		if l.server != nil {
			server = append(server, l.server)
		}
		if l.client != nil {
			client = append(client, l.client)
		}
	}
	srv := rpc.NewServer(server...)
	began := handle(t, srv)
	addr, opt := transports[transport](t, srv)
	return calls(t, dial(t, addr, append(client, opt)...), began)
}

// orders are every pair of n layers in either order, and all of them turned and reversed.
func orders(n int) (list [][]int) {
	for a := range n {
		var turned, reversed []int
		for b := range n {
			turned = append(turned, (a+b)%n)
			reversed = append(reversed, (a+n-b)%n)
			if a != b {
				list = append(list, []int{a, b})
			}
		}
		list = append(list, turned, reversed)
	}
	return list
}

// Middleware adds to a call, whichever stands beside it and in whatever order, and
// changes nothing of how the call ends.
func TestMiddleware_EveryPairAndOrder(t *testing.T) {
	for transport := range transports {
		for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
			t.Run(transport+" "+codec.Name(), func(t *testing.T) {
				plain := stack(t, transport, codec, nil)
				assert.Equal(t, ended{reply: "hello"}, plain["echo"])
				for _, shape := range []string{"send ", "import ", "stream "} {
					assert.Equal(t, ended{reply: "hello fine "}, plain[shape+"fine"])
				}
				assert.Equal(t, "hello details ", plain["send details"].reply)
				assert.Equal(t, "hello details ", plain["stream details"].reply)
				assert.Equal(t, "map[retry-after-ms:1500 shelf:7]", plain["stream details"].details)
				assert.Equal(t, "map[retry-after-ms:1500 shelf:7]", plain["details"].details)
				assert.True(t, plain["unknown"].neverRan)
				assert.True(t, plain["left before"].neverRan)
				assert.Equal(t, rpc.Canceled, plain["left while it ran"].code)
				for _, order := range orders(len(layers(t, codec))) {
					names, chosen, all := "", []layer{}, layers(t, codec)
					for _, at := range order {
						names, chosen = names+" "+all[at].name, append(chosen, all[at])
					}
					t.Run(names, func(t *testing.T) {
						for what, got := range stack(t, transport, codec, chosen) {
							assert.Equal(t, plain[what], got, what)
						}
					})
				}
			})
		}
	}
}
