package rpc

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

var echoHeader = Method[letter, letter]("Test.Header")

// headerServer answers with its params, as result and in the header.
func headerServer(t testing.TB, opts ...ServerOption) *Server {
	t.Helper()
	srv := NewServer(opts...)
	echo := func(ctx context.Context, in *letter) (*letter, error) {
		err := SetHeader(ctx, Metadata{"size": fmt.Sprint(len(in.Text)), "text": in.Text[:min(len(in.Text), 100)]})
		switch in.Text {
		case "error":
			e := Errorf(NotFound, "not here")
			e.Details = map[string]string{"item": "item1"}
			return nil, e
		case "panic":
			panic("secret")
		case "goexit":
			runtime.Goexit()
		}
		return in, err
	}
	require.NoError(t, echoHeader.Handle(srv, echo))
	require.NoError(t, Method[letter, letter]("Test.Inline").Handle(srv, echo, NonBlocking()))
	return srv
}

func TestReplyMetadata_ArrivesBesideResultsAndErrors(t *testing.T) {
	for name, c := range map[string]struct {
		server []ServerOption
		client []ClientOption
	}{
		"json":       {},
		"compressed": {[]ServerOption{WithCompression(1)}, []ClientOption{WithCompression(1)}},
		"gob":        {[]ServerOption{WithCodecs(Gob)}, []ClientOption{WithCodec(Gob)}},
	} {
		t.Run(name, func(t *testing.T) {
			client := dial(t, listen(t, headerServer(t, append(c.server, WithPanicHandler(func(context.Context, any, []byte) {}))...)), c.client...)
			for _, method := range []string{"Test.Header", "Test.Inline"} {
				for text, code := range map[string]Code{
					"": OK, "ok": OK, strings.Repeat("large ", 20_000): OK,
					"error": NotFound, "panic": Internal, "goexit": Internal,
				} {
					if method == "Test.Inline" && text == "goexit" {
						continue // it ends the connection
					}
					var header Metadata
					out := new(letter)
					err := client.Call(ReceiveHeader(t.Context(), &header), method, &letter{text}, out)
					require.Equal(t, code, CodeOf(err), "%s: %v", method, err)
					assert.Equal(t, Metadata{"size": fmt.Sprint(len(text)), "text": text[:min(len(text), 100)]}, header)
					if code == OK {
						assert.Equal(t, text, out.Text)
					}
					if code == NotFound {
						assert.Equal(t, "item1", toError(err).Details["item"])
					}
					again := new(letter)
					err = client.Call(t.Context(), method, &letter{text}, again)
					assert.Equal(t, code, CodeOf(err), "a caller that does not ask")
					assert.Equal(t, out.Text, again.Text)
				}
			}
		})
	}
}

func TestReplyMetadata_AllThatAskGetIt(t *testing.T) {
	client := dial(t, listen(t, headerServer(t)))
	var outer, inner, dropped Metadata
	ctx := ReceiveHeader(ReceiveHeader(t.Context(), &outer), &inner)
	_, err := echoHeader.Call(ctx, client, &letter{"a"})
	require.NoError(t, err)
	want := Metadata{"size": "1", "text": "a"}
	assert.Equal(t, want, outer)
	outer["text"] = "changed"
	assert.Equal(t, want, inner)

	_, err = echoHeader.Call(ReceiveHeader(ReceiveHeader(t.Context(), &dropped), nil), client, &letter{"b"})
	require.NoError(t, err)
	assert.Nil(t, dropped)
}

// An interceptor that reads the header takes it from nobody, and sees it before the caller does.
func TestReplyMetadata_InterceptorsMayAskToo(t *testing.T) {
	var seen []Metadata
	asks := func(next Caller) Caller {
		return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
			var header Metadata
			err := next.Call(ReceiveHeader(ctx, &header), method, params, reply)
			seen = append(seen, header)
			header["text"] = "changed"
			return err
		})
	}
	client := dial(t, listen(t, headerServer(t)), WithClientInterceptors(asks, asks))
	want := Metadata{"size": "5", "text": "error"}
	for _, call := range []func(ctx context.Context) error{
		func(ctx context.Context) error { return client.Call(ctx, "Test.Header", &letter{"error"}, nil) },
		func(ctx context.Context) error { return client.Go(ctx, "Test.Header", &letter{"error"}, nil).Wait() },
	} {
		seen = nil
		var header Metadata
		assert.ErrorIs(t, call(ReceiveHeader(t.Context(), &header)), NotFound)
		assert.Equal(t, want, header)
		assert.Len(t, seen, 2)
		assert.ErrorIs(t, call(t.Context()), NotFound, "the caller does not ask")
		require.Len(t, seen, 4)
		assert.Equal(t, "5", seen[3]["size"])
	}
}

// A call that an interceptor lets go on is its own: the variable is the caller's again
// once Call has returned, whoever in the chain asked for the header.
func TestReplyMetadata_IsSetByNobodyOnceTheCallHasReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, held := headerServer(t), make(chan struct{})
		require.NoError(t, Method[letter, letter]("Test.Held").Handle(srv, func(ctx context.Context, in *letter) (*letter, error) {
			<-held
			return in, SetHeader(ctx, Metadata{"late": "1"})
		}))
		var seen Metadata
		asks := func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				return next.Call(ReceiveHeader(ctx, &seen), method, params, reply)
			})
		}
		late := make(chan error, 1)
		hedges := func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				go func() { late <- next.Call(ctx, "Test.Held", params, nil) }()
				synctest.Wait()
				return next.Call(ctx, method, params, reply)
			})
		}
		client := pipe(t, srv, WithClientInterceptors(asks, hedges))
		var header Metadata
		require.NoError(t, client.Call(ReceiveHeader(t.Context(), &header), "Test.Header", &letter{"a"}, nil))
		want := Metadata{"size": "1", "text": "a"}
		assert.Equal(t, want, header)
		close(held)
		require.NoError(t, <-late)
		assert.Equal(t, want, header)
		assert.Equal(t, want, seen)
	})
}

// A hedged call that is cancelled, because another one was answered, has no header that
// could be the caller's.
func TestReplyMetadata_IsThatOfTheCallThatWasAnswered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := headerServer(t)
		require.NoError(t, srv.RegisterFunc("Test.Hang", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }))
		client := pipe(t, srv, WithClientInterceptors(func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				other, cancel := context.WithCancel(ctx)
				ended := make(chan error, 1)
				go func() { ended <- next.Call(other, "Test.Hang", nil, nil) }()
				err := next.Call(ctx, method, params, reply)
				cancel()
				assert.ErrorIs(t, <-ended, Canceled)
				return err
			})
		}))
		var header Metadata
		require.NoError(t, client.Call(ReceiveHeader(t.Context(), &header), "Test.Header", &letter{"a"}, nil))
		assert.Equal(t, Metadata{"size": "1", "text": "a"}, header)
	})
}

// What an interceptor calls beside the caller's call, by a Client or a Pool, is no attempt
// at that.
func TestReplyMetadata_IsNotThatOfACallBeside(t *testing.T) {
	srv := headerServer(t)
	addr := listen(t, srv)
	pool := newPool(t, StaticResolver{addr})
	for name, other := range map[string]Caller{"another client": dial(t, addr), "a pool": pool, "the client itself": nil} {
		t.Run(name, func(t *testing.T) {
			var self Caller
			audits := func(next Caller) Caller {
				return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
					if method == "Test.Inline" {
						return next.Call(ctx, method, params, reply)
					}
					err := next.Call(ctx, method, params, reply)
					assert.NoError(t, cmp.Or(other, self).Call(ctx, "Test.Inline", &letter{"audit"}, nil))
					return err
				})
			}
			client := dial(t, addr, WithClientInterceptors(audits))
			self = client
			for call, do := range map[string]func(ctx context.Context) error{
				"Call": func(ctx context.Context) error { return client.Call(ctx, "Test.Header", &letter{"a"}, nil) },
				"Go":   func(ctx context.Context) error { return client.Go(ctx, "Test.Header", &letter{"a"}, nil).Wait() },
			} {
				var header Metadata
				require.NoError(t, do(ReceiveHeader(t.Context(), &header)))
				assert.Equal(t, Metadata{"size": "1", "text": "a"}, header, call)
			}
		})
	}
}

// A stream's header is no call's: neither the stream nor the calls that an interceptor
// makes to open it set the variable.
func TestReplyMetadata_IsNotThatOfAStream(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := headerServer(t)
		require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *Sender[change]) error {
			return SetHeader(ctx, Metadata{"of": "the stream"})
		}))
		asks := func(next Caller) Caller {
			return CallerFuncs{next.Call, func(ctx context.Context, kind MethodKind, method string, params any) (OpenedStream, error) {
				assert.NoError(t, next.Call(ctx, "Test.Header", &letter{"token"}, nil))
				return OpenStream(ctx, next, kind, method, params)
			}}
		}
		opens := func(next Caller) Caller {
			return CallerFuncs{func(ctx context.Context, method string, params, reply any) error {
				err := next.Call(ctx, method, params, reply)
				in, failed := watch.Open(ctx, next, &watchRequest{})
				require.NoError(t, failed)
				_, failed = in.Receive(ctx)
				assert.Equal(t, io.EOF, failed)
				return err
			}, next.(StreamCaller).OpenStream}
		}
		client := pipe(t, srv, WithClientInterceptors(opens, asks))
		var header Metadata
		ctx := ReceiveHeader(t.Context(), &header)
		in, err := watch.Open(ctx, client, &watchRequest{})
		require.NoError(t, err)
		md, err := in.Header(ctx)
		require.NoError(t, err)
		assert.Equal(t, Metadata{"of": "the stream"}, md)
		assert.Nil(t, header)
		require.NoError(t, client.Call(ctx, "Test.Header", &letter{"a"}, nil))
		assert.Equal(t, Metadata{"size": "1", "text": "a"}, header)
	})
}

// An interceptor may try again. The header is that of its last call that was answered.
func TestReplyMetadata_IsThatOfTheLastCallOfAnInterceptor(t *testing.T) {
	client := dial(t, listen(t, headerServer(t)), WithClientInterceptors(func(next Caller) Caller {
		return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
			assert.ErrorIs(t, next.Call(ctx, method, &letter{"error"}, nil), NotFound)
			return next.Call(ctx, method, params, reply)
		})
	}), WithClientInterceptors(func(next Caller) Caller {
		return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
			if params.(*letter).Text == "kept" {
				return nil
			}
			return next.Call(ctx, method, params, reply)
		})
	}))
	var header Metadata
	ctx := ReceiveHeader(t.Context(), &header)
	require.NoError(t, client.Call(ctx, "Test.Header", &letter{"a"}, nil))
	assert.Equal(t, Metadata{"size": "1", "text": "a"}, header)
	require.NoError(t, client.Call(ctx, "Test.Header", &letter{"kept"}, nil))
	assert.Nil(t, header, "the last one was answered by an interceptor")
}

// A panic of an interceptor goes on to the caller, who may recover.
func TestReplyMetadata_NothingIsLeftAfterAPanic(t *testing.T) {
	panics := false
	client := dial(t, listen(t, headerServer(t)), WithClientInterceptors(func(next Caller) Caller {
		return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
			if panics {
				panic("an interceptor's")
			}
			return next.Call(ctx, method, params, reply)
		})
	}))
	var header Metadata
	ctx := ReceiveHeader(t.Context(), &header)
	require.NoError(t, client.Call(ctx, "Test.Header", &letter{"a"}, nil))
	require.NotNil(t, header)
	panics = true
	assert.Panics(t, func() { client.Call(ctx, "Test.Header", &letter{"a"}, nil) })
	assert.Nil(t, header)
}

func TestSetHeader_IsCheckedAndBounded(t *testing.T) {
	pairs := func(n, size int) Metadata {
		md := Metadata{}
		for i := range n {
			md[fmt.Sprintf("key-%03d", i)] = strings.Repeat("x", size)
		}
		return md
	}
	full := pairs(wire.MaxPairs, wire.MaxReplyMetadata/wire.MaxPairs-4-len("key-000"))
	require.Equal(t, wire.MaxReplyMetadata, wire.PairsSize(full))
	for name, c := range map[string]struct {
		first, then Metadata
		code        Code
	}{
		"nothing":              {nil, Metadata{}, OK},
		"a key again":          {full, Metadata{"key-000": "less"}, OK},
		"an empty value":       {nil, Metadata{"key": ""}, OK},
		"one byte more":        {full, Metadata{"key-000": full["key-000"] + "x"}, ResourceExhausted},
		"one pair more":        {pairs(wire.MaxPairs, 0), Metadata{"one": ""}, ResourceExhausted},
		"all at once":          {nil, pairs(2, wire.MaxReplyMetadata/2), ResourceExhausted},
		"a key in upper case":  {Metadata{"a": "1"}, Metadata{"Key": ""}, InvalidArgument},
		"no key":               {Metadata{"a": "1"}, Metadata{"": ""}, InvalidArgument},
		"a value of two lines": {Metadata{"a": "1"}, Metadata{"key": "1\n2", "b": "2"}, InvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			srv := NewServer()
			var failed error
			require.NoError(t, srv.RegisterFunc("Test.Set", func(ctx context.Context) error {
				err := SetHeader(ctx, c.first)
				failed = SetHeader(ctx, c.then)
				return err
			}))
			want := maps.Clone(c.first)
			if c.code == OK && len(c.then) > 0 {
				want = Metadata{}
				maps.Copy(want, c.first)
				maps.Copy(want, c.then)
			}
			var header Metadata
			client := dial(t, listen(t, srv))
			require.NoError(t, client.Call(ReceiveHeader(t.Context(), &header), "Test.Set", nil, nil))
			assert.Equal(t, want, header)
			if c.code == OK {
				assert.NoError(t, failed)
				return
			}
			assert.ErrorIs(t, failed, c.code)
			assert.ErrorContains(t, failed, "SetHeader: ")
		})
	}
	assert.ErrorIs(t, SetHeader(t.Context(), Metadata{"key": "value"}), InvalidArgument)
}

func TestSetHeader_CopiesAndMayBeCalledByMany(t *testing.T) {
	srv := NewServer()
	require.NoError(t, srv.RegisterFunc("Test.Set", func(ctx context.Context) error {
		var all sync.WaitGroup
		for i := range 50 {
			all.Go(func() {
				md := Metadata{fmt.Sprint(i): "value"}
				assert.NoError(t, SetHeader(ctx, md))
				clear(md)
			})
		}
		all.Wait()
		return nil
	}))
	var header Metadata
	require.NoError(t, dial(t, listen(t, srv)).Call(ReceiveHeader(t.Context(), &header), "Test.Set", nil, nil))
	assert.Len(t, header, 50)
}

// A goroutine that a handler leaves behind must not change a reply that is being written.
func TestSetHeader_HasNoEffectAfterTheHandler(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := NewServer()
		var kept context.Context
		require.NoError(t, srv.RegisterFunc("Test.Set", func(ctx context.Context) error {
			kept = ctx
			return SetHeader(ctx, Metadata{"a": "1"})
		}))
		var header Metadata
		require.NoError(t, pipe(t, srv).Call(ReceiveHeader(t.Context(), &header), "Test.Set", nil, nil))
		require.NoError(t, SetHeader(kept, Metadata{"b": "2"}))
		synctest.Wait()
		assert.Equal(t, Metadata{"a": "1"}, header)
	})
}

// A hook may say how many calls are left, whether it lets this one pass or not.
func TestSetHeader_ByAuthorizeAndInterceptors(t *testing.T) {
	refuse := false
	srv := headerServer(t,
		WithAuthorize(func(ctx context.Context, _ string) (Identity, error) {
			require.NoError(t, SetHeader(ctx, Metadata{"left": "7"}))
			if refuse {
				return Identity{}, Errorf(PermissionDenied, "no")
			}
			return Identity{}, nil
		}),
		WithServerInterceptors(func(_ MethodInfo, next Handler) Handler {
			return func(ctx context.Context, params any) (any, error) {
				result, err := next(ctx, params)
				require.NoError(t, SetHeader(ctx, Metadata{"size": "overwritten"}))
				return result, err
			}
		}))
	client := dial(t, listen(t, srv))
	var header Metadata
	_, err := echoHeader.Call(ReceiveHeader(t.Context(), &header), client, &letter{"a"})
	require.NoError(t, err)
	assert.Equal(t, Metadata{"left": "7", "size": "overwritten", "text": "a"}, header)

	refuse = true
	_, err = echoHeader.Call(ReceiveHeader(t.Context(), &header), client, &letter{"a"})
	assert.ErrorIs(t, err, PermissionDenied)
	assert.True(t, NeverRan(err))
	assert.Equal(t, Metadata{"left": "7"}, header)
}

func TestReplyMetadata_InvokeReturnsIt(t *testing.T) {
	srv := headerServer(t)
	for text, code := range map[string]Code{"ok": OK, "error": NotFound} {
		header := Metadata{"old": "1"}
		_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Header", Codec: JSON, Params: fmt.Appendf(nil, `{"Text":%q}`, text), Header: &header})
		assert.Equal(t, code, CodeOf(err))
		assert.Equal(t, text, header["text"])
		assert.NotContains(t, header, "old")
	}
	header := Metadata{"old": "1"}
	_, err := srv.Invoke(t.Context(), Invocation{Method: "Test.Nope", Codec: JSON, Header: &header})
	assert.ErrorIs(t, err, Unimplemented)
	assert.Nil(t, header)
}

// Metadata give way to what the caller cannot do without: the result, and what is said
// of an error.
func TestReplyMetadata_IsLeftOutIfTheReplyWouldBeTooLarge(t *testing.T) {
	client := dial(t, listen(t, headerServer(t)), WithMaxMessage(1<<10))
	field := 2 + wire.PairsSize(Metadata{"size": "000", "text": strings.Repeat("x", 100)})
	most := 1<<10 - wire.MinLength - len(`{"Text":""}`)
	for size, travels := range map[int]bool{most - field: true, most - field + 1: false, most: false} {
		var header Metadata
		out, err := echoHeader.Call(ReceiveHeader(t.Context(), &header), client, &letter{strings.Repeat("x", size)})
		require.NoError(t, err)
		assert.Len(t, out.Text, size)
		assert.Equal(t, travels, header != nil, "%d bytes", size)
	}

	for size, want := range map[int]struct{ details, header bool }{100: {true, true}, 500: {true, false}, 2000: {false, true}} {
		e := Errorf(NotFound, "%s", strings.Repeat("m", 200))
		e.Details = map[string]string{"k": strings.Repeat("x", size)}
		md := Metadata{"h": strings.Repeat("x", 400)}
		b := appendError(nil, 1, e, md, 1<<10)
		assert.LessOrEqual(t, len(b), 4+1<<10)
		f, err := wire.ParseFrame(b)
		require.NoError(t, err)
		back, pairs, err := parseError(&f)
		require.NoError(t, err)
		assert.Equal(t, want.details, back.Details != nil)
		assert.Equal(t, want.header, pairs != nil)
	}
}

func TestReplyMetadata_AClientThatDoesNotOfferGetsNone(t *testing.T) {
	for _, offer := range []Metadata{nil, {replyMetadataKey: "2"}, {replyMetadataKey: ""}} {
		bubble(t, func(t *testing.T) {
			raw := rawClientSaying(t, headerServer(t), wire.ClientHello{Codec: "json", MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, offer)})
			raw.request(1, "Test.Header", `{"Text":"ok"}`)
			f := raw.read()
			assert.Zero(t, f.Flags)
			assert.Equal(t, `{"Text":"ok"}`, string(f.Payload), "SetHeader failed")
			raw.request(2, "Test.Header", `{"Text":"error"}`)
			assert.Equal(t, wire.FlagPairs, raw.read().Flags)
		})
	}
}

// granting is a hello that grants metadata of replies.
var granting = wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20, Text: "rpc.reply-metadata=1"}

// replyWith is a response to call 1 with a block of metadata that has these bytes.
func replyWith(id uint64, block string) []byte {
	return frameOf(wire.KindResponse, wire.FlagReplyMetadata, id, string([]byte{byte(len(block) >> 8), byte(len(block))})+block+`{"Text":"ok"}`)
}

func TestReplyMetadata_PairsWithoutSenseFailOneCall(t *testing.T) {
	many := strings.Repeat("\x00\x01k\x00\x00", wire.MaxPairs+1)
	for name, block := range map[string]string{
		"cut short": "\x00\x09k", "a key in upper case": "\x00\x01K\x00\x01v", "two lines": "\x00\x01k\x00\x02v\n", "not UTF-8": "\x00\x01k\x00\x01\xff",
		"too many": many, "too large": "\x00\x01k\x20\x00" + strings.Repeat("v", 8<<10),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := rawServerSaying(t, granting)
				header := Metadata{"old": "1"}
				out := letter{"as before"}
				call := client.Go(ReceiveHeader(t.Context(), &header), "Test.It", nil, &out)
				raw.read()
				raw.write(replyWith(1, block))
				err := call.Wait()
				assert.ErrorIs(t, err, Internal)
				assert.ErrorContains(t, err, "the metadata of the reply of Test.It: ")
				assert.False(t, NeverRan(err))
				assert.Nil(t, header)
				assert.Equal(t, "as before", out.Text)

				e := Errorf(NotFound, "not here")
				call = client.Go(ReceiveHeader(t.Context(), &header), "Test.It", nil, nil)
				raw.read()
				raw.write(frameOf(wire.KindError, wire.FlagReplyMetadata, 2, "\x05\x00\x00"+string([]byte{byte(len(block) >> 8), byte(len(block))})+block))
				assert.ErrorIs(t, call.Wait(), e.Code, "the server's error says more")
				assert.Nil(t, header)

				call = client.Go(t.Context(), "Test.It", nil, &out)
				raw.read()
				raw.write(replyWith(3, block))
				assert.NoError(t, call.Wait(), "who does not ask does not look")
				assert.Equal(t, "ok", out.Text)
			})
		})
	}
}

func TestReplyMetadata_ABrokenFieldEndsTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		hello wire.ServerHello
		bytes []byte
		text  string
	}{
		"not granted":             {wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20}, replyWith(1, ""), "reserved flags 0x20"},
		"granted otherwise":       {wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20, Text: "rpc.reply-metadata=2"}, replyWith(1, ""), "reserved flags 0x20"},
		"a response cut short":    {granting, frameOf(wire.KindResponse, wire.FlagReplyMetadata, 1, "\x00\x05abcd"), "truncated response 1"},
		"a response without size": {granting, frameOf(wire.KindResponse, wire.FlagReplyMetadata, 1, "\x00"), "truncated response 1"},
		"an error cut short":      {granting, frameOf(wire.KindError, wire.FlagReplyMetadata, 1, "\x05\x00\x00\x00\x05abcd"), "malformed error frame"},
		"an error and more":       {granting, frameOf(wire.KindError, wire.FlagReplyMetadata, 1, "\x05\x00\x00\x00\x00x"), "malformed error frame"},
		"a pong":                  {granting, frameOf(wire.KindPong, wire.FlagReplyMetadata, 1, ""), "reserved flags 0x20"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := rawServerSaying(t, c.hello)
				call := client.Go(t.Context(), "Test.It", nil, nil)
				raw.read()
				raw.write(c.bytes)
				err := call.Wait()
				assert.ErrorIs(t, err, Unavailable)
				assert.ErrorContains(t, err, c.text)
			})
		})
	}
}

// What the caller's variable holds is the caller's again once the call has returned.
func TestReplyMetadata_ACallerThatLeftIsNotTouched(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, granting)
		ctx, cancel := context.WithCancel(t.Context())
		var header Metadata
		call := client.Go(ReceiveHeader(ctx, &header), "Test.It", nil, nil)
		raw.read()
		cancel()
		require.ErrorIs(t, call.Wait(), Canceled)
		header = Metadata{"mine": "1"}
		require.Equal(t, wire.KindCancel, raw.read().Kind)
		raw.write(replyWith(1, "\x00\x01k\x00\x01v"))
		synctest.Wait()
		assert.Equal(t, Metadata{"mine": "1"}, header)
	})
}

func TestReplyMetadata_IsThatOfTheLastAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := NewServer()
		attempts := 0
		require.NoError(t, IdempotentMethod[letter, letter]("Test.Retry").Handle(srv, func(ctx context.Context, in *letter) (*letter, error) {
			if attempts++; attempts > 1 {
				return in, SetHeader(ctx, Metadata{"second": "1"})
			}
			require.NoError(t, SetHeader(ctx, Metadata{"first": "1"}))
			return nil, Errorf(ResourceExhausted, "later").WithDetail("retry-after-ms", "10")
		}))
		var header Metadata
		_, err := IdempotentMethod[letter, letter]("Test.Retry").Call(ReceiveHeader(t.Context(), &header), pipe(t, srv), &letter{"a"})
		require.NoError(t, err)
		assert.Equal(t, 2, attempts)
		assert.Equal(t, Metadata{"second": "1"}, header)
	})
	bubble(t, func(t *testing.T) {
		client, raw := rawServerSaying(t, granting)
		header := Metadata{"old": "1"}
		call := client.Go(ReceiveHeader(t.Context(), &header), "Test.It", nil, nil)
		raw.read()
		raw.conn.Close()
		assert.ErrorIs(t, call.Wait(), Unavailable)
		assert.Nil(t, header)
	})
}

// A context may be used for one call after another. What an earlier one has left in the
// variable must not be taken for what a later one has got, however that ends.
func TestReplyMetadata_NothingIsLeftOfAnEarlierCall(t *testing.T) {
	cached := false
	client := dial(t, listen(t, headerServer(t)), WithClientInterceptors(func(next Caller) Caller {
		return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
			if cached {
				return nil
			}
			return next.Call(ctx, method, params, reply)
		})
	}))
	var header Metadata
	ctx := ReceiveHeader(t.Context(), &header)
	fill := func() {
		cached = false
		require.NoError(t, client.Call(ctx, "Test.Header", &letter{"a"}, nil))
		require.NotNil(t, header)
	}
	fill()
	cached = true
	require.NoError(t, client.Call(ctx, "Test.Header", &letter{"a"}, nil))
	assert.Nil(t, header, "an interceptor has answered")
	fill()
	cached = true
	require.NoError(t, client.Go(ctx, "Test.Header", &letter{"a"}, nil).Wait())
	assert.Nil(t, header)
	fill()
	assert.ErrorIs(t, client.Call(ctx, "Test.Header", &letter{"a"}, letter{}), InvalidArgument, "no pointer")
	assert.Nil(t, header)
	fill()
	assert.ErrorIs(t, client.Call(ctx, "Test.Header", make(chan int), nil), InvalidArgument, "params that cannot be encoded")
	assert.Nil(t, header)
	fill()
	require.NoError(t, client.Close())
	assert.ErrorIs(t, client.Call(ctx, "Test.Header", &letter{"a"}, nil), Canceled)
	assert.Nil(t, header, "no attempt was made")
}

// Users may fill a hello's metadata: what is offered by default must not make it fail.
func TestReplyMetadata_OfferGivesWayToTheUsersPairs(t *testing.T) {
	for n, offered := range map[int]bool{wire.MaxPairs - 1: true, wire.MaxPairs: false} {
		client := dial(t, listen(t, headerServer(t)), WithHelloMetadata(manyPairs(n)))
		var header Metadata
		_, err := echoHeader.Call(ReceiveHeader(t.Context(), &header), client, &letter{"a"})
		require.NoError(t, err)
		assert.Equal(t, offered, header != nil, "%d pairs", n)
	}
	_, err := echoHeader.Call(t.Context(), dial(t, listen(t, headerServer(t, WithMaxMetadata(0)))), &letter{"a"})
	assert.NoError(t, err, "the offer does not count against the bound of metadata")
}

// Headers of replies that a client does not read take memory that is counted.
func TestReplyMetadata_CountsAsMemoryOfReplies(t *testing.T) {
	const each, calls = 8 << 10, 400
	bubble(t, func(t *testing.T) {
		srv := NewServer(WithReplyMemory(1<<20, 1<<18), WithMaxInFlight(calls))
		held := make(chan struct{})
		require.NoError(t, srv.RegisterFunc("Test.Set", func(ctx context.Context) (string, error) {
			<-held
			return "", SetHeader(ctx, Metadata{"k": strings.Repeat("x", each-5)})
		}))
		raw := rawClientSaying(t, srv, wire.ClientHello{Codec: "json", MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, Metadata{replyMetadataKey: replyMetadataValue})})
		for id := range uint64(calls) {
			raw.request(id+1, "Test.Set", "")
		}
		close(held)
		synctest.Wait()
		srv.mu.Lock()
		var waiting int
		for c := range srv.conns {
			c.mu.Lock()
			waiting += c.out.size
			c.mu.Unlock()
		}
		srv.mu.Unlock()
		assert.Less(t, waiting, 1<<19, "bytes that wait to be written")
		assert.Positive(t, waiting)
	})
}
