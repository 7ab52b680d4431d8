package rpc

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// ownError is a user's error type with a pointer receiver: a nil one panics.
type ownError struct{ text string }

func (e *ownError) Error() string { return e.text }

// Error types whose other methods panic.
type (
	panickyIs     struct{ error }
	panickyAs     struct{ error }
	panickyUnwrap struct{}
	lyingAs       struct{ error } // finds everything, and sets nothing
)

// Error types that have no end.
type (
	wrapsItself struct{ text string }
	amongItsOwn struct{}
)

func (e wrapsItself) Error() string    { return e.text }
func (e wrapsItself) Unwrap() error    { return e }
func (e *amongItsOwn) Error() string   { return "text" }
func (e *amongItsOwn) Unwrap() []error { return []error{e, e} }
func (panickyIs) Is(error) bool        { panic("secret") }
func (panickyAs) As(any) bool          { panic("secret") }
func (lyingAs) As(any) bool            { return true }
func (panickyUnwrap) Error() string    { return "text" }
func (panickyUnwrap) Unwrap() error    { panic("secret") }
func typedNil() error                  { var e *Error; return e }
func ownTypedNil() error               { var e *ownError; return e }
func wrapped(err error) error          { return fmt.Errorf("wrapped: %w", err) }
func joined(errs ...error) error       { return errors.Join(errs...) }
func coded(c Code, text string) *Error { return &Error{Code: c, Message: text} }

// oddErrors are what user code can return as an error, and what comes of it.
var oddErrors = []struct {
	name string
	err  error
	code Code
	text string
}{
	{"an Error without a code", coded(OK, "out of stock"), Unknown, "out of stock"},
	{"an Error without anything", &Error{}, Unknown, ""},
	{"an Error without a code, wrapped", wrapped(coded(OK, "out of stock")), Unknown, "out of stock"},
	{"an Error with a code that is none", coded(200, "odd"), Unknown, "odd"},
	{"OK", OK, Unknown, "ok was returned as an error"},
	{"OK, wrapped", wrapped(OK), Unknown, "wrapped: ok"},
	{"a Code that is none", Code(99), Unknown, "code(99)"},
	{"a nil *Error", typedNil(), Internal, "a nil *rpc.Error was returned as an error"},
	{"a nil *Error, wrapped", wrapped(typedNil()), Internal, "a nil *rpc.Error was returned as an error"},
	{"a nil *Error beside another", joined(typedNil(), NotFound), Internal, "a nil *rpc.Error was returned as an error"},
	{"a nil error of the user's", ownTypedNil(), Internal, "an error of type *rpc.ownError cannot be read"},
	{"a panic in Is", panickyIs{errors.New("text")}, Internal, "an error of type rpc.panickyIs cannot be read"},
	{"a panic in As", panickyAs{errors.New("text")}, Internal, "an error of type rpc.panickyAs cannot be read"},
	{"one that wraps itself", wrapsItself{"text"}, Unknown, "text"},
	{"one that wraps itself, wrapped", wrapped(wrapsItself{"text"}), Unknown, "wrapped: text"},
	{"an Error of one that wraps itself", Errorf(NotFound, "%w", wrapsItself{"text"}), NotFound, "text"},
	{"one that wraps itself beside a Code", joined(wrapsItself{"text"}, NotFound), NotFound, "text"},
	{"an Error beside a panic in Unwrap", joined(coded(NotFound, "text"), panickyUnwrap{}), NotFound, "text"},
	{"a panic in Unwrap", panickyUnwrap{}, Internal, "an error of type rpc.panickyUnwrap cannot be read"},
	{"an As that lies", lyingAs{errors.New("text")}, Internal, "a nil *rpc.Error was returned as an error"},
	{"a panic in Is, within an Error", Errorf(NotFound, "none: %w", panickyIs{errors.New("text")}), NotFound, "none: text"},
	{"a panic in As, within an Error", Errorf(NotFound, "none: %w", panickyAs{errors.New("text")}), NotFound, "none: text"},
	{"a panic in Unwrap, within an Error", Errorf(NotFound, "none: %w", panickyUnwrap{}), NotFound, "none: text"},
	{"an Is that says yes to everything", isAll{errors.New("text")}, Unknown, "text"},
	{"such an Is, within an Error", Errorf(NotFound, "none: %w", isAll{errors.New("text")}), NotFound, "none: text"},
	{"an As that lies, within an Error", Errorf(NotFound, "none: %w", lyingAs{errors.New("text")}), NotFound, "none: text"},
}

// isAll is every error.
type isAll struct{ error }

func (isAll) Is(error) bool { return true }

func TestErrors_OddOnesAreFailures(t *testing.T) {
	for _, odd := range oddErrors {
		t.Run(odd.name, func(t *testing.T) {
			assert.Equal(t, odd.code, CodeOf(odd.err))
			assert.False(t, NeverRan(odd.err))
			_, asked := RetryAfter(odd.err)
			assert.False(t, asked)
		})
	}
}

// An error that is among those that it wraps overflows the stack of package errors.
func TestServer_SurvivesAnErrorThatIsAmongThoseThatItWraps(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t)
		require.NoError(t, srv.RegisterFunc("Test.Odd", func(int) error { return &amongItsOwn{} }))
		err := pipe(t, srv).Call(t.Context(), "Test.Odd", 1, nil)
		assert.EqualError(t, err, "unknown: text")
		assert.False(t, NeverRan(&amongItsOwn{}))
	})
}

func TestErrors_ANilErrorHasMethods(t *testing.T) {
	var e *Error
	assert.Contains(t, e.Error(), "nil *rpc.Error")
	assert.NoError(t, e.Unwrap())
	assert.False(t, e.Remote())
	assert.False(t, errors.Is(e, NotFound))
	assert.False(t, errors.Is(e, context.Canceled))
}

func TestErrors_WithoutACodeReadAsUnknown(t *testing.T) {
	e := &Error{Message: "out of stock"}
	assert.Equal(t, "rpc: unknown: out of stock", e.Error())
	assert.ErrorIs(t, e, Unknown)
	assert.NotErrorIs(t, e, OK)
}

func TestErrorf_KeepsAllCauses(t *testing.T) {
	first, second := errors.New("first"), &ownError{"second"}
	e := Errorf(Aborted, "%w and %w", first, second)
	assert.Equal(t, "first and second", e.Message)
	assert.ErrorIs(t, e, first)
	assert.ErrorIs(t, e, second)
	var own *ownError
	assert.ErrorAs(t, e, &own)
	assert.Equal(t, Aborted, CodeOf(e))
}

// An odd error is answered as a failure from wherever it comes, and the server
// goes on.
func TestServer_OddErrorsAreAnsweredAsFailures(t *testing.T) {
	type place func(err error) []ServerOption
	for where, opts := range map[string]place{
		"handler": func(error) []ServerOption { return nil },
		"authorize": func(err error) []ServerOption {
			return []ServerOption{WithAuthorize(func(context.Context, string) (Identity, error) { return Identity{}, err })}
		},
		"interceptor": func(err error) []ServerOption {
			return []ServerOption{WithServerInterceptors(func(MethodInfo, Handler) Handler {
				return func(context.Context, any) (any, error) { return nil, err }
			})}
		},
	} {
		for _, odd := range oddErrors {
			t.Run(where+"/"+odd.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var seen []Code // by an interceptor outside of all
					outer := WithServerInterceptors(func(_ MethodInfo, next Handler) Handler {
						return func(ctx context.Context, params any) (any, error) {
							result, err := next(ctx, params)
							seen = append(seen, CodeOf(err))
							return result, err
						}
					})
					srv := NewServer(append([]ServerOption{outer, WithPanicHandler(func(context.Context, any, []byte) {})}, opts(odd.err)...)...)
					t.Cleanup(func() { srv.Close() })
					require.NoError(t, srv.RegisterFunc("Test.Odd", func(int) error { return odd.err }))
					require.NoError(t, srv.RegisterFunc("Test.Quick", func(int) error { return odd.err }, NonBlocking()))
					client := pipe(t, srv)
					for _, method := range []string{"Test.Odd", "Test.Quick", "Test.Odd"} {
						var got *Error
						require.ErrorAs(t, client.Call(t.Context(), method, 1, nil), &got)
						assert.Equal(t, odd.code, got.Code)
						assert.True(t, strings.HasPrefix(got.Message, odd.text), "message %q", got.Message)
						assert.True(t, got.Remote())
						assert.Equal(t, where == "authorize", NeverRan(got))
					}
					for _, code := range seen {
						assert.NotEqual(t, OK, code)
					}
					_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Odd", Codec: JSON, Params: []byte("1"), Peer: &Peer{}})
					assert.Equal(t, odd.code, CodeOf(err))
				})
			})
		}
	}
}

// A silent type panics or ends its goroutine when it is encoded or decoded.
type (
	panicsInJSON struct{ A int }
	exitsInJSON  struct{ A int }
	panicsInGob  struct{ A int }
	exitsInGob   struct{ A int }
)

func (panicsInJSON) MarshalJSON() ([]byte, error) { panic("secret") }
func (*panicsInJSON) UnmarshalJSON([]byte) error  { panic("secret") }
func (exitsInJSON) MarshalJSON() ([]byte, error)  { runtime.Goexit(); return nil, nil }
func (*exitsInJSON) UnmarshalJSON([]byte) error   { runtime.Goexit(); return nil }
func (exitsInGob) GobEncode() ([]byte, error)     { runtime.Goexit(); return nil, nil }
func (panicsInGob) GobEncode() ([]byte, error)    { panic("secret") }
func (*panicsInGob) GobDecode([]byte) error       { panic("secret") }

// Its caller gets an error without the stack, which tells where the fault is.
func TestClient_APanicInAMarshalerIsPrintedWithItsStack(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	for codec, bad := range map[Codec]struct{ params, reply any }{
		JSON: {panicsInJSON{1}, new(panicsInJSON)}, Gob: {panicsInGob{1}, new(panicsInGob)},
	} {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newServer(t, WithCodecs(Gob))
				require.NoError(t, srv.RegisterFunc("Test.Number", func(context.Context) (struct{ A int }, error) { return struct{ A int }{1}, nil }))
				client := pipe(t, srv, WithCodec(codec))
				for what, call := range map[string]func() error{
					"encoding":      func() error { return client.Call(t.Context(), "Test.Number", bad.params, nil) },
					"encoding ":     func() error { return client.Go(t.Context(), "Test.Number", bad.params, nil).Wait() },
					"decoding into": func() error { return client.Call(t.Context(), "Test.Number", nil, bad.reply) },
				} {
					printed.Reset()
					err := call()
					if codec == Gob && what == "decoding into" {
						assert.Error(t, err)
						continue // types that do not fit: GobDecode is not called
					}
					assert.ErrorContains(t, err, "panic while "+strings.TrimSpace(what))
					assert.NotContains(t, err.Error(), "secret")
					assert.Contains(t, printed.String(), "rpc: panic while "+strings.TrimSpace(what))
					assert.Contains(t, printed.String(), "secret")
					assert.Contains(t, printed.String(), "usererror_test.go:", "the stack")
				}
			})
		})
	}
}

func TestServer_PanicInAMarshalerIsForThePanicHandlerOnly(t *testing.T) {
	for _, codec := range []Codec{JSON, Gob} {
		t.Run(codec.Name(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told []any
				srv := NewServer(WithCodecs(Gob), WithPanicHandler(func(_ context.Context, value any, stack []byte) {
					told = append(told, value)
					assert.Contains(t, string(stack), "usererror_test.go")
				}))
				require.NoError(t, srv.RegisterFunc("Test.TakeJSON", func(*panicsInJSON) error { return nil }))
				require.NoError(t, srv.RegisterFunc("Test.GiveJSON", func(context.Context) (panicsInJSON, error) { return panicsInJSON{}, nil }))
				require.NoError(t, srv.RegisterFunc("Test.TakeGob", func(*panicsInGob) error { return nil }))
				require.NoError(t, srv.RegisterFunc("Test.GiveGob", func(context.Context) (panicsInGob, error) { return panicsInGob{}, nil }))
				client := pipe(t, srv, WithCodec(codec))
				kind, params := "JSON", any(map[string]int{"A": 1})
				if codec == Gob {
					kind, params = "Gob", gobBytes{1}
				}
				for i, method := range []string{"Test.Take" + kind, "Test.Give" + kind} {
					arg := params
					if i == 1 {
						arg = nil
					}
					err := client.Call(t.Context(), method, arg, nil)
					require.Error(t, err)
					assert.NotContains(t, err.Error(), "secret")
					synctest.Wait() // the reply may overtake the handler
					assert.Equal(t, []any{"secret"}, told, method)
					told = nil
				}
				require.NoError(t, client.Ping(t.Context()))
			})
		})
	}
}

// gobBytes is what a GobDecoder takes.
type gobBytes [1]byte

func (b gobBytes) GobEncode() ([]byte, error) { return b[:], nil }
func (b *gobBytes) GobDecode(p []byte) error  { copy(b[:], p); return nil }

var _ gob.GobEncoder = gobBytes{}

func TestServer_GoexitInUserCodeIsAnsweredAndLeaksNothing(t *testing.T) {
	exit := func() { runtime.Goexit() }
	for name, opts := range map[string][]ServerOption{
		"authorize": {WithAuthorize(func(context.Context, string) (Identity, error) { exit(); return Identity{}, nil })},
		"interceptor": {WithServerInterceptors(func(MethodInfo, Handler) Handler {
			return func(context.Context, any) (any, error) { exit(); return nil, nil }
		})},
		"marshaler":       nil,
		"unmarshaler":     nil,
		"call error hook": {WithCallErrorHandler(func(context.Context, error) { exit() })},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := NewServer(append(opts, WithPanicHandler(func(context.Context, any, []byte) {}))...)
				require.NoError(t, srv.RegisterFunc("Test.Plain", func(int) error { return nil }))
				require.NoError(t, srv.RegisterFunc("Test.Take", func(*exitsInJSON) error { return nil }))
				require.NoError(t, srv.RegisterFunc("Test.Give", func(int) (exitsInJSON, error) { return exitsInJSON{}, nil }))
				method := map[string]string{"marshaler": "Test.Give", "unmarshaler": "Test.Take", "call error hook": "Test.Nope"}[name]
				if method == "" {
					method = "Test.Plain"
				}
				err := pipe(t, srv).Call(t.Context(), method, 1, nil)
				assert.Error(t, err)
				assert.NotErrorIs(t, err, context.DeadlineExceeded)
				require.NoError(t, srv.Close(), "nothing is left that Close would wait for")
			})
		})
	}
}

// A call whose params end its goroutine leaves its place to others.
func TestClient_GoexitInAMarshalerLeaksNothing(t *testing.T) {
	for codec, params := range map[Codec]any{JSON: exitsInJSON{}, Gob: exitsInGob{}} {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := NewServer(WithMaxInFlight(1), WithCodecs(Gob))
				require.NoError(t, srv.RegisterFunc("Test.Double", func(n int) (int, error) { return 2 * n, nil }))
				client := pipe(t, srv, WithCodec(codec))
				for n := range 3 {
					ended := make(chan struct{})
					go func() {
						defer close(ended)
						client.Call(t.Context(), "Test.Double", params, nil)
					}()
					<-ended
					var got int
					require.NoError(t, client.Call(timeout(t, time.Second), "Test.Double", n, &got))
					assert.Equal(t, 2*n, got)
				}
			})
		})
	}
}

func TestServer_CloseEndsInvokeAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer()
		running, release := make(chan struct{}), make(chan struct{})
		ended := false
		require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context) error {
			close(running)
			<-ctx.Done()
			<-release
			ended = true
			return ctx.Err()
		}))
		done := make(chan error, 1)
		go func() {
			_, err := srv.Invoke(context.Background(), Invocation{Method: "Test.Wait", Codec: JSON, Peer: &Peer{}})
			done <- err
		}()
		<-running
		closed := make(chan struct{})
		go func() { srv.Close(); close(closed) }()
		synctest.Wait()
		select {
		case <-closed:
			assert.Fail(t, "Close did not wait")
		default:
		}
		close(release)
		<-closed
		assert.True(t, ended)
		assert.ErrorIs(t, <-done, context.Canceled)
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Wait", Codec: JSON, Peer: &Peer{}})
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.True(t, NeverRan(err))
	})
}

func TestServer_ShutdownWaitsForInvoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer()
		running, release := make(chan struct{}), make(chan struct{})
		require.NoError(t, srv.RegisterFunc("Test.Wait", func(ctx context.Context) error { close(running); <-release; return ctx.Err() }))
		done := make(chan error, 1)
		go func() {
			_, err := srv.Invoke(context.Background(), Invocation{Method: "Test.Wait", Codec: JSON, Peer: &Peer{}})
			done <- err
		}()
		<-running
		stopped := make(chan error, 1)
		go func() { stopped <- srv.Shutdown(context.Background()) }()
		synctest.Wait()
		assert.Empty(t, stopped)
		close(release)
		assert.NoError(t, <-done, "it was left to end by itself")
		assert.NoError(t, <-stopped)
	})
}

func TestServer_PanicsArePrintedUnlessThereIsAHandler(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t)
		_, err := checkStock.Call(t.Context(), pipe(t, srv), &stockRequest{Item: "panic"})
		assert.Equal(t, Internal, CodeOf(err))
		assert.Contains(t, printed.String(), "rpc: panic in Inventory.CheckStock: secret\ngoroutine ")
		assert.Contains(t, printed.String(), "helpers_test.go")
	})
	printed.Reset()
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t, WithPanicHandler(func(context.Context, any, []byte) {}))
		_, err := checkStock.Call(t.Context(), pipe(t, srv), &stockRequest{Item: "panic"})
		assert.Equal(t, Internal, CodeOf(err))
		assert.Empty(t, printed.String())
	})
}

func TestServer_APrintedPanicIsNoCommandForATerminal(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	const words = "\x1b[31m\a\r\u009b2J\u202e\nforged\xff"
	for _, value := range []any{words, errors.New(words), []string{words}, struct{ string }{words}} {
		printed.Reset()
		srv := NewServer()
		require.NoError(t, srv.RegisterFunc("Test.Panic", func(context.Context) error { panic(value) }))
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Panic", Codec: JSON, Peer: &Peer{}})
		assert.Equal(t, Internal, CodeOf(err))
		first, _, _ := strings.Cut(printed.String(), "\ngoroutine ")
		assert.Contains(t, first, "[31m   2J  forged", "%T", value)
		assert.False(t, strings.ContainsFunc(printed.String(), func(r rune) bool {
			return unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\u202e' || r == utf8.RuneError
		}), "%q", printed.String())
		assert.NotContains(t, printed.String(), "\nforged")
		require.NoError(t, srv.Close())
	}
}

// Package fmt goes round in a value that contains itself, until the stack overflows.
func TestServer_PrintsAPanicWithAValueThatContainsItself(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	values := circles()
	for name, value := range circles() {
		values["reflect.Value of "+name] = reflect.ValueOf(value)
	}
	var itself any
	itself = reflect.ValueOf(&itself).Elem()
	values["reflect.Value of itself"] = itself
	srv := newServer(t)
	var value any
	require.NoError(t, srv.RegisterFunc("Test.Panic", func(context.Context) error { panic(value) }))
	for name := range values {
		printed.Reset()
		value = values[name]
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Panic", Codec: JSON, Peer: &Peer{}})
		assert.Equal(t, Internal, CodeOf(err), name)
		assert.Contains(t, printed.String(), "rpc: panic in Test.Panic: ", name)
	}
}

// loudObserver panics whatever it hears.
type loudObserver struct{}

func (loudObserver) ConnOpened()      { panic("opened") }
func (loudObserver) ConnClosed()      { panic("closed") }
func (loudObserver) BytesRead(int)    { panic("read") }
func (loudObserver) BytesWritten(int) { panic("written") }

func TestHooks_ThatPanicEndNothing(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	synctest.Test(t, func(t *testing.T) {
		srv := newInventory().server(t, WithObserver(observe(loudObserver{})),
			WithPanicHandler(func(context.Context, any, []byte) { panic("in the panic handler") }),
			WithErrorHandler(func(error) { panic("in the error handler") }),
			WithCallErrorHandler(func(context.Context, error) { panic("in the call error handler") }))
		client := pipe(t, srv, WithObserver(observe(loudObserver{})),
			WithObserver(Observer{AttemptDone: func(context.Context, Attempt) { panic("attempted") }}),
			WithErrorHandler(func(error) { panic("in the client's error handler") }))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "panic"})
		assert.Equal(t, Internal, CodeOf(err))
		assert.Equal(t, Unimplemented, CodeOf(client.Call(t.Context(), "No.Such", nil, nil)))
		near, far := net.Pipe()
		go srv.ServeConn(far)
		near.Write([]byte("no hello of ours, but long enough"))
		near.Close()
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
		require.NoError(t, srv.Close())
		<-time.After(time.Second) // the client notices
		client.Close()
	})
	assert.Contains(t, printed.String(), "in a panic handler")
	assert.Contains(t, printed.String(), "in Observer.AttemptDone: attempted")
	assert.Contains(t, printed.String(), "in the client's error handler")
}

func TestClient_KeepsAnErrorsTextWithinItsBound(t *testing.T) {
	f := &wire.Frame{Payload: append([]byte{byte(Aborted), 0xff, 0xff}, strings.Repeat("x", 0xffff)...)}
	e, _, err := parseError(f)
	require.NoError(t, err)
	assert.Len(t, e.Message, 4096)
}

type (
	// hiddenToken is to be shown by its LogValue alone.
	hiddenToken string
	// hiddenLogin has one that only its pointer has.
	hiddenLogin struct{ User, Password string }
	// hiddenWithin has none, but may have something in it that has.
	hiddenWithin struct{ Token any }
	// hiddenMessage may have fields that are marked with debug_redact.
	hiddenMessage struct{ Password string }
	// hiddenLoop is its own LogValue.
	hiddenLoop struct{ Password string }
	// hiddenGroups has groups of itself.
	hiddenGroups struct{ Password string }
	hiddenPanic  struct{ Password string }
	// hiddenSelf has a value of its own type, of which only a pointer has a LogValue.
	hiddenSelf struct{ Password string }
)

func (hiddenToken) LogValue() slog.Value { return slog.StringValue("token ***") }
func (hiddenToken) Error() string        { return "password" }
func (l *hiddenLogin) LogValue() slog.Value {
	return slog.GroupValue(slog.String("user", l.User), slog.Any("token", hiddenToken("password")))
}
func (*hiddenMessage) Reset()             {}
func (*hiddenMessage) ProtoMessage()      {}
func (m *hiddenMessage) String() string   { return m.Password }
func (l hiddenLoop) LogValue() slog.Value { return slog.AnyValue(l) }
func (g hiddenGroups) LogValue() slog.Value {
	return slog.GroupValue(slog.Any("a", g), slog.Any("b", g))
}
func (s *hiddenSelf) LogValue() slog.Value { return slog.AnyValue(*s) }
func (hiddenPanic) LogValue() slog.Value   { panic("password") }

// What a program logs without its secrets is not printed with them because it panics.
// hiddenError is an error of which a log shows less than its text.
type hiddenError struct{ token hiddenToken }

func (e hiddenError) Error() string        { return "bad token " + string(e.token) }
func (e hiddenError) LogValue() slog.Value { return slog.StringValue("bad token") }

// hiddenStringer has a text of its own, which holds what its field hides.
type hiddenStringer struct{ token hiddenToken }

func (s hiddenStringer) String() string { return "token " + string(s.token) }

func TestServer_APrintedPanicShowsNoMoreThanALog(t *testing.T) {
	var printed strings.Builder
	log.SetOutput(&printed)
	defer log.SetOutput(os.Stderr)
	circle := circleMap{}
	circle["self"] = circle
	for _, c := range []struct {
		value any
		want  string
	}{
		{hiddenToken("password"), "token ***"},
		{hiddenLogin{"root", "password"}, "user=root token=token ***"},
		{&hiddenLogin{"root", "password"}, "user=root token=token ***"},
		{(*hiddenLogin)(nil), "LogValue panicked"},
		{hiddenWithin{hiddenToken("password")}, "a rpc.hiddenWithin, which may hold what is not to be printed"},
		{[]hiddenLogin{{"root", "password"}}, "a []rpc.hiddenLogin, which"},
		{map[string]hiddenToken{"a": "password"}, "a map[string]rpc.hiddenToken, which"},
		{&hiddenMessage{"password"}, "a *rpc.hiddenMessage, which"},
		{slog.AnyValue(hiddenToken("password")), "token ***"},
		{slog.Any("key", hiddenToken("password")), "key=token ***"},
		{hiddenLoop{"password"}, "LogValue"},
		{hiddenGroups{"password"}, "a="},
		{hiddenPanic{"password"}, "LogValue panicked"},
		{hiddenSelf{"password"}, "…"},
		{circle, "a rpc.circleMap, which"},
		{struct{ Count int }{5}, "{5}"},
		{[]string{"a", "b"}, "[a b]"},
		{errCable, errCable.Error()},
		{NotFound, "not_found"},
		{time.Second, "1s"},
		{fmt.Errorf("wrapped: %w", errCable), "wrapped: " + errCable.Error()},
		{Errorf(NotFound, "none: %w", errCable), "rpc: not_found: none: " + errCable.Error()},
		{fmt.Errorf("wrapped: %w", hiddenError{"password"}), "a *fmt.wrapError, which may hold what is not to be printed"},
		{errors.Join(errCable, hiddenError{"password"}), "a *errors.joinError, which"},
		{Errorf(NotFound, "none: %w", hiddenError{"password"}), "a *rpc.Error, which"},
		{hiddenStringer{"password"}, "a rpc.hiddenStringer, which"},
		{wrapsItself{"password"}, "a rpc.wrapsItself, which"},
	} {
		printed.Reset()
		srv := NewServer()
		require.NoError(t, srv.RegisterFunc("Test.Panic", func(context.Context) error { panic(c.value) }))
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Panic", Codec: JSON, Peer: &Peer{}})
		assert.Equal(t, Internal, CodeOf(err))
		text, _, _ := strings.Cut(printed.String(), "\n")
		assert.Contains(t, text, "rpc: panic in Test.Panic: "+c.want, "%T", c.value)
		assert.NotContains(t, text, "password", "%T", c.value)
		require.NoError(t, srv.Close())
	}
}

func TestGo_APanicOfAnInterceptorShowsNoMoreThanALog(t *testing.T) {
	circle := circleMap{}
	circle["self"] = circle
	for _, value := range []any{hiddenLogin{"root", "password"}, circle} {
		synctest.Test(t, func(t *testing.T) {
			srv := newInventory().server(t)
			client := pipe(t, srv, WithClientInterceptors(func(Caller) Caller {
				return CallerFunc(func(context.Context, string, any, any) error { panic(value) })
			}))
			err := client.Go(t.Context(), checkStock.Name(), &stockRequest{Item: "item1"}, nil).Wait()
			assert.ErrorContains(t, err, "an interceptor, an observer, a marshaler or the context panicked: ")
			assert.NotContains(t, err.Error(), "password")
		})
	}
}
