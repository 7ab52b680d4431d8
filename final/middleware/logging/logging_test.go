package logging_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/rpc"
)

// request is what Test.Do is asked for.
type request struct {
	Do   string
	Wait time.Duration
}

var do = rpc.Method[request, string]("Test.Do")

func handle(ctx context.Context, req *request) (*string, error) {
	if req.Wait > 0 {
		<-time.After(req.Wait) // of a bubble's clock; ctx is not looked at
	}
	name, what := req.Do, req.Do
	req.Do = "changed by the handler"
	switch name {
	case "missing":
		return nil, rpc.Errorf(rpc.NotFound, "no such thing")
	case "plain":
		return nil, errors.New("disk on fire")
	case "wrapped":
		return nil, fmt.Errorf("at the shelf: %w", rpc.Errorf(rpc.Aborted, "try again"))
	case "forged":
		return nil, errors.New("x\nlevel=ERROR msg=\"forged\"\x1b[2J \u202eturned \xff" + strings.Repeat("y", 5000))
	case "late":
		return nil, ctx.Err()
	case "panic":
		panic("the shelf fell\ndown")
	case "goexit":
		runtime.Goexit()
	case "huge":
		what = strings.Repeat("x", 100_000)
	}
	return &what, nil
}

// lines is where a slog handler writes JSON.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// text returns what was written so far.
func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// all returns the lines so far, without their times.
func (l *lines) all(t *testing.T) []map[string]any {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []map[string]any
	for line := range strings.Lines(l.buf.String()) {
		var m map[string]any
		require.NoError(t, json.Unmarshal([]byte(line), &m), line)
		delete(m, "time")
		all = append(all, m)
	}
	return all
}

func (l *lines) logger(opts ...logging.Option) *logging.Logger {
	return logging.New(slog.New(slog.NewJSONHandler(l, nil)), opts...)
}

// bubble runs a story with a server, and a client that is connected to it, in a
// synctest bubble.
func bubble(t *testing.T, server rpc.ServerOption, client rpc.ClientOption, story func(t *testing.T, c *rpc.Client)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer(some(server)...)
		require.NoError(t, do.Handle(srv, handle))
		near, far := net.Pipe()
		go srv.ServeConn(far)
		c := rpc.NewClient(near, some(client)...)
		defer srv.Close()
		defer c.Close()
		story(t, c)
	})
}

// some returns an option, unless it is nil, as a constructor wants it.
func some[T any](option T) []T {
	if any(option) == nil {
		return nil
	}
	return []T{option}
}

func TestServer_LogsALineACall(t *testing.T) {
	var log lines
	opts := rpc.WithServerOptions(log.logger().ServerOptions(), rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) { return rpc.Identity{Name: "ann"}, nil }))
	bubble(t, opts, nil, func(t *testing.T, c *rpc.Client) {
		for _, what := range []string{"work", "missing", "plain", "wrapped"} {
			do.Call(t.Context(), c, &request{Do: what, Wait: 1500 * time.Millisecond})
		}
		line := func(more map[string]any) map[string]any {
			all := map[string]any{"msg": "call served", "method": "Test.Do", "duration": 1.5e9, "peer": "pipe", "identity": "ann"}
			for k, v := range more {
				all[k] = v
			}
			return all
		}
		assert.Equal(t, []map[string]any{
			line(map[string]any{"level": "INFO", "code": "ok"}),
			line(map[string]any{"level": "INFO", "code": "not_found", "error": "no such thing"}),
			line(map[string]any{"level": "ERROR", "code": "unknown", "error": "disk on fire"}),
			line(map[string]any{"level": "INFO", "code": "aborted", "error": "at the shelf: rpc: aborted: try again"}),
		}, log.all(t))
	})
}

func TestClient_LogsALineACall(t *testing.T) {
	var log lines
	bubble(t, nil, log.logger().ClientOptions(), func(t *testing.T, c *rpc.Client) {
		do.Call(t.Context(), c, &request{Do: "work", Wait: time.Second})
		do.Call(t.Context(), c, &request{Do: "missing"})
		c.Call(t.Context(), "Test.Nope\n"+strings.Repeat("x", 200), nil, nil)
		c.Close()
		do.Call(t.Context(), c, &request{Do: "work"})
		all := log.all(t)
		require.Len(t, all, 4)
		assert.Equal(t, map[string]any{"level": "INFO", "msg": "call made", "method": "Test.Do", "code": "ok", "duration": 1e9}, all[0])
		assert.Equal(t, map[string]any{"level": "INFO", "msg": "call made", "method": "Test.Do", "code": "not_found", "duration": 0.0, "error": "no such thing"}, all[1])
		assert.Equal(t, "Test.Nope "+strings.Repeat("x", 118)+"…", all[2]["method"])
		assert.Equal(t, "canceled", all[3]["code"])
		assert.Equal(t, "client closed", all[3]["error"])
	})
}

func TestServer_SlowCallIsLoggedOnceWhenItsHandlerReturns(t *testing.T) {
	var log lines
	bubble(t, log.logger().ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := do.Call(ctx, c, &request{Do: "work", Wait: time.Minute})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		synctest.Wait()
		assert.Empty(t, log.all(t), "the handler runs on")
		<-time.After(time.Hour)
		assert.Equal(t, []map[string]any{{"level": "INFO", "msg": "call served", "method": "Test.Do",
			"code": "ok", "duration": 60e9, "peer": "pipe", "late": true}}, log.all(t))

		ctx, cancel = context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		do.Call(ctx, c, &request{Do: "late", Wait: time.Minute})
		<-time.After(time.Hour)
		all := log.all(t)
		require.Len(t, all, 2)
		assert.Equal(t, "deadline_exceeded", all[1]["code"])
		assert.Equal(t, "WARN", all[1]["level"])
	})
}

func TestServer_PanicIsLoggedAndGoesOnToThePanicHandler(t *testing.T) {
	var log lines
	var value any
	var stack string
	opts := rpc.WithServerOptions(log.logger().ServerOptions(), rpc.WithPanicHandler(func(_ context.Context, v any, s []byte) {
		value, stack = v, string(s)
	}))
	bubble(t, opts, nil, func(t *testing.T, c *rpc.Client) {
		_, err := do.Call(t.Context(), c, &request{Do: "panic"})
		assert.ErrorIs(t, err, rpc.Internal)
		assert.NotContains(t, err.Error(), "shelf")
		all := log.all(t)
		require.Len(t, all, 1)
		assert.Equal(t, "ERROR", all[0]["level"])
		assert.Equal(t, "internal", all[0]["code"])
		assert.Equal(t, "panic: the shelf fell down", all[0]["error"])
		assert.Contains(t, all[0]["stack"], "logging_test.handle")
		assert.Equal(t, "the shelf fell\ndown", value)
		assert.Contains(t, stack, "logging_test.handle", "where it came from, though the value was thrown again")
	})
}

func TestServer_GoexitIsLogged(t *testing.T) {
	var log lines
	bubble(t, log.logger().ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		_, err := do.Call(t.Context(), c, &request{Do: "goexit"})
		assert.ErrorIs(t, err, rpc.Internal)
		all := log.all(t)
		require.Len(t, all, 1)
		assert.Equal(t, "internal", all[0]["code"])
		assert.Equal(t, "the goroutine was ended by runtime.Goexit", all[0]["error"])
	})
}

func TestClient_PanicOfAnInterceptorIsLoggedAndGoesOn(t *testing.T) {
	var log lines
	opts := rpc.WithClientOptions(log.logger().ClientOptions(), rpc.WithClientInterceptors(func(rpc.Caller) rpc.Caller {
		return rpc.CallerFunc(func(context.Context, string, any, any) error { panic("mine") })
	}))
	bubble(t, nil, opts, func(t *testing.T, c *rpc.Client) {
		assert.PanicsWithValue(t, "mine", func() { do.Call(t.Context(), c, &request{}) })
		assert.Equal(t, "panic: mine", log.all(t)[0]["error"])
	})
}

func TestServer_LogsRefusedCallsAndRepliesThatWereNotSent(t *testing.T) {
	var log lines
	opts := rpc.WithServerOptions(log.logger().ServerOptions(), rpc.WithAuthorize(func(ctx context.Context, _ string) (rpc.Identity, error) {
		return rpc.Identity{}, map[string]error{"bad": rpc.Errorf(rpc.Unauthenticated, "bad\x07token")}[rpc.MetadataFrom(ctx)["token"]]
	}))
	bubble(t, opts, rpc.WithMaxMessage(4096), func(t *testing.T, c *rpc.Client) {
		bad := rpc.AddMetadata(t.Context(), rpc.Metadata{"token": "bad"})
		do.Call(bad, c, &request{})
		c.Call(t.Context(), "Test.No\npe", nil, nil)
		c.Call(t.Context(), "Test.Do", "no object", nil)
		do.Call(t.Context(), c, &request{Do: "huge"})
		synctest.Wait()
		all := log.all(t)
		require.Len(t, all, 5)
		assert.Equal(t, map[string]any{"level": "WARN", "msg": "call refused", "method": "Test.Do",
			"code": "unauthenticated", "peer": "pipe", "error": "bad token"}, all[0])
		assert.Equal(t, map[string]any{"level": "WARN", "msg": "call refused", "method": "(unknown)",
			"code": "unimplemented", "peer": "pipe", "error": "method not found: Test.No pe"}, all[1])
		assert.Equal(t, "invalid_argument", all[2]["code"])
		assert.Equal(t, "call served", all[3]["msg"])
		assert.Equal(t, "reply not sent", all[4]["msg"])
		assert.Equal(t, "resource_exhausted", all[4]["code"])
	})
}

// Metadata of replies can be a session or a token: no line has them, and no error quotes them.
func TestLogs_HaveNoMetadataOfReplies(t *testing.T) {
	var log lines
	set := func(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler {
		return func(ctx context.Context, params any) (any, error) {
			if err := rpc.SetHeader(ctx, rpc.Metadata{"session": "hunter2"}); err != nil {
				return nil, err
			}
			if err := rpc.SetHeader(ctx, rpc.Metadata{"session": "hunter2\n"}); err != nil && params.(*request).Do == "refused" {
				return nil, err
			}
			return next(ctx, params)
		}
	}
	l := log.logger(logging.WithPayloads(1000))
	bubble(t, rpc.WithServerOptions(rpc.WithServerInterceptors(set), l.ServerOptions()), l.ClientOptions(), func(t *testing.T, c *rpc.Client) {
		for _, what := range []string{"fine", "missing", "refused", "huge"} {
			var header rpc.Metadata
			do.Call(rpc.ReceiveHeader(t.Context(), &header), c, &request{Do: what})
			assert.Equal(t, "hunter2", header["session"])
		}
		synctest.Wait()
		assert.NotContains(t, log.text(), "hunter2")
		assert.Contains(t, log.text(), "fine")
	})
}

func TestServer_FloodOfRefusedCallsFillsNoDisk(t *testing.T) {
	var log lines
	bubble(t, log.logger().ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		for range 1000 {
			c.Call(t.Context(), "Test.Nope", nil, nil)
		}
		assert.Len(t, log.all(t), 10)
		<-time.After(time.Second)
		c.Call(t.Context(), "Test.Nope", nil, nil)
		all := log.all(t)
		require.Len(t, all, 11)
		assert.Equal(t, 990.0, all[10]["skipped"])
	})
}

func TestText_NothingThatAPeerSaysForgesALine(t *testing.T) {
	var log bytes.Buffer
	out := slog.New(bare{&log})
	bubble(t, logging.New(out).ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		do.Call(t.Context(), c, &request{Do: "forged"})
		text := log.String()
		assert.Equal(t, 1, strings.Count(text, "\n"), text)
		assert.NotContains(t, text, "\x1b")
		assert.NotContains(t, text, "\u202e")
		assert.True(t, utf8.ValidString(text))
		assert.Less(t, len(text), 1300)
	})
}

// The texts that a peer chooses, on both sides, by slog's handlers and by one that
// quotes nothing.
func TestText_WhatAPeerSaysIsNoCommandForATerminal(t *testing.T) {
	const hostile = "x\n\r\x1b[2J\a\x7f\u0085\u009b31m\u200f\u202e\u2066\u2028\u2029\ufeff\U000e0041\xffyonder"
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"bare": func(w io.Writer) slog.Handler { return bare{w} },
	} {
		synctest.Test(t, func(t *testing.T) {
			var log lines
			l := logging.New(slog.New(handler(&log)), logging.WithPayloads(1<<10))
			srv := rpc.NewServer(l.ServerOptions(), rpc.WithPanicHandler(func(context.Context, any, []byte) {}),
				rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) { return rpc.Identity{Name: hostile}, nil }))
			defer srv.Close()
			require.NoError(t, srv.RegisterFunc("Test.Echo", func(text string) map[string]string { return map[string]string{text: text} }))
			require.NoError(t, srv.RegisterFunc("Test.Fail", func(text string) error { return errors.New(text) }))
			require.NoError(t, srv.RegisterFunc("Test.Code", func(text string) error { return rpc.Errorf(rpc.NotFound, "%s", text) }))
			require.NoError(t, srv.RegisterFunc("Test.Panic", func(text string) error { panic(errors.New(text)) }))
			near, far := net.Pipe()
			go srv.ServeConn(named{far, hostile})
			c := rpc.NewClient(near, l.ClientOptions())
			defer c.Close()
			for _, method := range []string{"Test.Echo", "Test.Fail", "Test.Code", "Test.Panic", "Test.Nope" + strings.ToValidUTF8(hostile, "")} {
				c.Call(t.Context(), method, hostile, new(any))
			}
			synctest.Wait()
			text := log.text()
			assert.GreaterOrEqual(t, strings.Count(text, "yonder"), 10, "%s: the texts are there", name)
			if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsGraphic(r) }); i >= 0 {
				assert.Fail(t, "not plain text", "%s: %q", name, text[max(0, i-80):i+8])
			}
			for line := range strings.Lines(text) {
				assert.False(t, strings.HasPrefix(strings.TrimSpace(line), "yonder"), "%s: %q", name, line)
			}
		})
	}
}

// named is a connection whose peer has chosen its address.
type named struct {
	net.Conn
	name string
}

func (c named) RemoteAddr() net.Addr { return &net.UnixAddr{Name: c.name, Net: "unix"} }

// bare is a slog handler that quotes nothing.
type bare struct{ w io.Writer }

func (b bare) Enabled(context.Context, slog.Level) bool { return true }
func (b bare) WithAttrs([]slog.Attr) slog.Handler       { return b }
func (b bare) WithGroup(string) slog.Handler            { return b }
func (b bare) Handle(_ context.Context, r slog.Record) error {
	fmt.Fprint(b.w, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		fmt.Fprint(b.w, " ", a)
		return true
	})
	_, err := fmt.Fprintln(b.w)
	return err
}

func TestPayloads_AreNotLoggedUnlessAskedFor(t *testing.T) {
	var log lines
	l := log.logger()
	bubble(t, l.ServerOptions(), l.ClientOptions(), func(t *testing.T, c *rpc.Client) {
		do.Call(t.Context(), c, &request{Do: "secret"})
		do.Call(t.Context(), c, &request{Do: "plain"})
		require.Len(t, log.all(t), 4)
		assert.NotContains(t, fmt.Sprint(log.all(t)), "secret")
	})
}

func TestPayloads_AreShownAsTheyWereBeforeTheCallAndCut(t *testing.T) {
	var log lines
	l := log.logger(logging.WithPayloads(40))
	bubble(t, l.ServerOptions(), l.ClientOptions(), func(t *testing.T, c *rpc.Client) {
		do.Call(t.Context(), c, &request{Do: "work\u202e"})
		do.Call(t.Context(), c, &request{Do: strings.Repeat("y", 100)})
		do.Call(t.Context(), c, &request{Do: "missing"})
		all := log.all(t)
		require.Len(t, all, 6)
		for _, line := range all[:2] {
			assert.Equal(t, `{"Do":"work ","Wait":0}`, line["params"], line["msg"])
			assert.Equal(t, `"work "`, line["result"], line["msg"])
		}
		for _, line := range all[2:4] {
			assert.Equal(t, `{"Do":"`+strings.Repeat("y", 33)+"…", line["params"], line["msg"])
			assert.Equal(t, `"`+strings.Repeat("y", 39)+"…", line["result"], line["msg"])
		}
		for _, line := range all[4:] {
			assert.Equal(t, `{"Do":"missing","Wait":0}`, line["params"], line["msg"])
			assert.NotContains(t, line, "result", line["msg"])
		}
	})
}

// login shows who, and not the password.
type login struct{ User, Password string }

func (l *login) LogValue() slog.Value { return slog.GroupValue(slog.String("user", l.User)) }

// trap panics when it is shown, though not on its way over the wire.
type trap struct{ Sprung *bool }

func (t trap) MarshalJSON() ([]byte, error) {
	if *t.Sprung {
		panic("sprung")
	}
	return []byte("{}"), nil
}

func TestPayloads_TypesSayWhatIsShownOfThem(t *testing.T) {
	var log lines
	srv := rpc.NewServer(log.logger(logging.WithPayloads(1000)).ServerOptions())
	defer srv.Close()
	sprung := true
	require.NoError(t, srv.RegisterFunc("Test.Login", func(*login) (trap, error) { return trap{&sprung}, nil }))
	require.NoError(t, srv.RegisterFunc("Test.Odd", func() any { return func() {} }))
	_, err := srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Login", Codec: rpc.JSON, Params: []byte(`{"User":"ann","Password":"secret"}`), Peer: &rpc.Peer{}})
	assert.Equal(t, rpc.Internal, rpc.CodeOf(err), "it panics for the codec too")
	srv.Invoke(t.Context(), rpc.Invocation{Method: "Test.Odd", Codec: rpc.JSON})
	all := log.all(t)
	require.Len(t, all, 4)
	assert.Equal(t, "[user=ann]", all[0]["params"])
	assert.Equal(t, "(a logging_test.trap that panics when it is encoded)", all[0]["result"])
	assert.Equal(t, "reply not sent", all[1]["msg"])
	assert.Equal(t, "(a func() that is not encoded as JSON)", all[2]["result"])
}

func TestSampling_ErrorsAlwaysAndSuccessesOneInN(t *testing.T) {
	var log lines
	bubble(t, log.logger(logging.WithSampling(10)).ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		for i := range 100 {
			do.Call(t.Context(), c, &request{Do: "work"})
			if i%20 == 0 {
				do.Call(t.Context(), c, &request{Do: "missing"})
			}
		}
		codes := map[any]int{}
		for i, line := range log.all(t) {
			codes[line["code"]]++
			if i > 0 && line["code"] == "ok" {
				assert.Equal(t, 9.0, line["skipped"])
			}
		}
		assert.Equal(t, map[any]int{"ok": 10, "not_found": 5}, codes)
	})
}

func TestSampling_SuccessesPerSecondAreBounded(t *testing.T) {
	var log lines
	bubble(t, log.logger(logging.WithMaxPerSecond(3)).ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		for range 4 {
			for range 50 {
				do.Call(t.Context(), c, &request{Do: "work"})
			}
			do.Call(t.Context(), c, &request{Do: "missing"})
			<-time.After(time.Second)
		}
		codes := map[any]int{}
		for _, line := range log.all(t) {
			codes[line["code"]]++
		}
		assert.Equal(t, map[any]int{"ok": 12, "not_found": 4}, codes)
	})
}

func TestLevels_CanBeChosenAndWhatIsNotWantedCostsNothing(t *testing.T) {
	var log lines
	asked := 0
	l := logging.New(slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})),
		logging.WithLevels(func(code rpc.Code) slog.Level {
			if code == rpc.NotFound {
				return slog.LevelError
			}
			return slog.LevelDebug
		}),
		logging.WithAttrs(func(context.Context) []slog.Attr {
			asked++
			return []slog.Attr{slog.Int("asked", asked)}
		}))
	bubble(t, l.ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		do.Call(t.Context(), c, &request{Do: "work"})
		do.Call(t.Context(), c, &request{Do: "missing"})
		all := log.all(t)
		require.Len(t, all, 1)
		assert.Equal(t, "ERROR", all[0]["level"])
		assert.Equal(t, 1.0, all[0]["asked"])
	})
}

func TestLevel_HasOneForEveryCode(t *testing.T) {
	levels := map[slog.Level]int{}
	for code := rpc.OK; code <= rpc.Unauthenticated; code++ {
		levels[logging.Level(code)]++
	}
	assert.Equal(t, map[slog.Level]int{slog.LevelInfo: 8, slog.LevelWarn: 6, slog.LevelError: 3}, levels)
	assert.Equal(t, slog.LevelError, logging.Level(rpc.Code(99)))
}

func TestAttrs_ComeFromTheCallsContext(t *testing.T) {
	type traceKey struct{}
	var log lines
	attrs := logging.WithAttrs(func(ctx context.Context) []slog.Attr {
		trace, _ := ctx.Value(traceKey{}).(string)
		return []slog.Attr{slog.String("trace", rpc.MetadataFrom(ctx)["trace"]+trace)}
	})
	l := log.logger(attrs)
	bubble(t, l.ServerOptions(), l.ClientOptions(), func(t *testing.T, c *rpc.Client) {
		ctx := rpc.AddMetadata(context.WithValue(t.Context(), traceKey{}, "sent"), rpc.Metadata{"trace": "came"})
		do.Call(ctx, c, &request{Do: "work"})
		all := log.all(t)
		require.Len(t, all, 2)
		assert.Equal(t, "came", all[0]["trace"])
		assert.Equal(t, "sent", all[1]["trace"])
	})
}

func TestServer_ManyCallsAtOnceOverTCP(t *testing.T) {
	var log lines
	srv := rpc.NewServer(log.logger(logging.WithSampling(4), logging.WithMaxRefusals(0)).ServerOptions())
	require.NoError(t, do.Handle(srv, handle))
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	client, err := rpc.Dial(t.Context(), ln.Addr().String())
	require.NoError(t, err)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 50 {
				do.Call(t.Context(), client, &request{Do: "work"})
				do.Call(t.Context(), client, &request{Do: "missing"})
				client.Call(t.Context(), "Test.Nope", nil, nil)
			}
		})
	}
	callers.Wait()
	client.Close()
	srv.Close()
	require.ErrorIs(t, <-served, rpc.ErrServerClosed)
	codes := map[any]int{}
	for _, line := range log.all(t) {
		codes[line["code"]]++
		assert.Contains(t, line["peer"], "127.0.0.1:")
	}
	assert.Equal(t, map[any]int{"ok": 100, "not_found": 400, "unimplemented": 400}, codes)
}

// BenchmarkServe measures what logging adds to a call, the writing to a disk apart.
func BenchmarkServe(b *testing.B) {
	out := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, with := range []struct {
		name string
		opts rpc.ServerOption
	}{
		{name: "without"},
		{name: "every call", opts: logging.New(out).ServerOptions()},
		{name: "one in 1000", opts: logging.New(out, logging.WithSampling(1000)).ServerOptions()},
	} {
		b.Run(with.name, func(b *testing.B) {
			srv := rpc.NewServer(some(with.opts)...)
			require.NoError(b, srv.RegisterFunc("Test.Nop", func() error { return nil }))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := srv.Invoke(b.Context(), rpc.Invocation{Method: "Test.Nop", Codec: rpc.JSON, Peer: &rpc.Peer{}}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// chosen is a type of a program's own for what a peer chooses.
type chosen string

// said has a text for itself.
type said struct{ text string }

func (s said) String() string { return s.text }

// secretive says itself what is logged of it.
type secretive struct{ text string }

func (s secretive) LogValue() slog.Value {
	return slog.GroupValue(slog.String("inner", s.text), slog.Any("deep", said(s)))
}

func TestAttrs_WhatAPeerSaysIsNoCommandForATerminal(t *testing.T) {
	const hostile = "x\n\r\x1b[2J\u009b31m\u061c\u200e\u200f\u202e\u2066\u2028\ufeff\xffyonder"
	attrs := logging.WithAttrs(func(context.Context) []slog.Attr {
		return []slog.Attr{
			slog.String("string", hostile), slog.String(hostile, "key"), slog.Any("own", chosen(hostile)), slog.Any("said", said{hostile}),
			slog.Any("error", errors.New(hostile)), slog.Any("pointer", &struct{ A string }{hostile}), slog.Any("bytes", []byte(hostile)),
			slog.Any("map", map[string][]string{hostile: {hostile}}), slog.Any("secretive", secretive{hostile}),
			slog.Group("group", slog.Group(hostile, slog.String("deep", hostile))), slog.Any("nil", nil), slog.Any("nil pointer", (*said)(nil)),
		}
	})
	for name, handler := range map[string]func(io.Writer) slog.Handler{
		"JSON": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
		"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		"bare": func(w io.Writer) slog.Handler { return bare{w} },
	} {
		var log lines
		l := logging.New(slog.New(handler(&log)), attrs)
		bubble(t, l.ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
			do.Call(t.Context(), c, &request{Do: "work"})
			text := log.text()
			assert.GreaterOrEqual(t, strings.Count(text, "yonder"), 10, "%s: the texts are there: %s", name, text)
			assert.Equal(t, 1, strings.Count(text, "\n"), "%s: %q", name, text)
			if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }); i >= 0 {
				assert.Fail(t, "not plain text", "%s: %q", name, text[max(0, i-80):i+8])
			}
		})
	}
}

func TestAttrs_ThatAreHarmlessReachTheHandlerAsTheyAre(t *testing.T) {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var log lines
	l := log.logger(logging.WithAttrs(func(context.Context) []slog.Attr {
		return []slog.Attr{slog.Any("list", []string{`a "b" \ <c>`, "d"}), slog.Any("map", map[string]int{"ä": 1}), slog.Time("when", when), slog.Int("n", 7), slog.Any("none", nil)}
	}))
	bubble(t, l.ServerOptions(), nil, func(t *testing.T, c *rpc.Client) {
		do.Call(t.Context(), c, &request{Do: "work"})
		line := log.all(t)[0]
		assert.Equal(t, []any{`a "b" \ <c>`, "d"}, line["list"])
		assert.Equal(t, map[string]any{"ä": 1.0}, line["map"])
		assert.Equal(t, "2026-01-02T03:04:05Z", line["when"])
		assert.Equal(t, 7.0, line["n"])
		assert.Contains(t, line, "none")
	})
}
