package cache

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// hides can be decoded and not encoded, and hides a map.
type hides struct{ held map[string]int }

func (h *hides) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &h.held) }

// decodes can be decoded and not encoded, and hides a number.
type decodes struct{ n int }

func (d *decodes) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &d.n) }

// locked encodes itself, and cannot be copied.
type locked struct {
	mu   sync.Mutex
	held map[string]int
}

func (l *locked) MarshalJSON() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.Marshal(l.held)
}

// prepared knows from before what to decode into.
type prepared struct{ into any }

func (p *prepared) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, p.into) }

// linked decodes and encodes itself, and hides a slice.
type linked struct {
	Amount *big.Int
	Seen   time.Time
}

// echo serves a method that returns its params.
func echo(t *testing.T) (srv *rpc.Server, runs *int) {
	t.Helper()
	runs = new(int)
	srv = rpc.NewServer()
	require.NoError(t, srv.RegisterFunc(method, func(raw json.RawMessage) json.RawMessage {
		*runs++
		return raw
	}))
	return srv, runs
}

// What works without a cache works with one, and what can be kept is.
func TestValues_WorkAsWithoutACache(t *testing.T) {
	for name, test := range map[string]struct {
		params any
		reply  func() any
		want   any
		kept   bool
	}{
		"large numbers":   {map[string]any{"id": int64(9007199254740993)}, func() any { return new(struct{ ID int64 }) }, &struct{ ID int64 }{9007199254740993}, true},
		"raw":             {json.RawMessage(`[1,2]`), func() any { return new(json.RawMessage) }, raw(`[1,2]`), true},
		"any":             {[]any{1, "a"}, func() any { return new(any) }, anything([]any{1.0, "a"}), true},
		"only marshals":   {&locked{held: map[string]int{"a": 1}}, func() any { return new(map[string]int) }, &map[string]int{"a": 1}, true},
		"only unmarshals": {7, func() any { return new(decodes) }, &decodes{7}, true},
		"hides a map":     {map[string]int{"a": 1}, func() any { return new(hides) }, &hides{map[string]int{"a": 1}}, false},
		"big":             {linked{big.NewInt(5), time.Unix(1, 0).UTC()}, func() any { return new(linked) }, &linked{big.NewInt(5), time.Unix(1, 0).UTC()}, true},
		"numbers":         {json.Number("12345678901234567890"), func() any { return new(json.Number) }, number("12345678901234567890"), true},
		"pointer":         {5, func() any { return new(*int) }, pointer(5), true},
		"held":            {5, func() any { return anything(new(int)) }, anything(pointer2(5)), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv, runs := echo(t)
				defer srv.Close()
				c := newCache(t, Method(method, time.Minute))
				client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithClientInterceptors(c.Intercept))
				require.NoError(t, err)
				defer client.Close()
				for range 3 {
					reply := test.reply()
					require.NoError(t, client.Call(t.Context(), method, test.params, reply))
					assert.Equal(t, test.want, reply)
				}
				reply := test.reply()
				require.NoError(t, client.Go(t.Context(), method, test.params, reply).Wait())
				assert.Equal(t, test.want, reply)
				assert.Equal(t, map[bool]int{true: 1, false: 4}[test.kept], *runs)
			})
		})
	}
}

func raw(text string) *json.RawMessage { m := json.RawMessage(text); return &m }
func number(text string) *json.Number  { n := json.Number(text); return &n }
func anything(v any) *any              { return &v }
func pointer2(n int) *int              { return &n }
func pointer(n int) **int              { p := &n; return &p }

func TestValues_APreparedReplyIsFilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, runs := echo(t)
		defer srv.Close()
		client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithClientInterceptors(newCache(t, Method(method, time.Minute)).Intercept))
		require.NoError(t, err)
		defer client.Close()
		for range 2 {
			n := 0
			require.NoError(t, client.Call(t.Context(), method, 5, &prepared{&n}))
			assert.Equal(t, 5, n)
		}
		assert.Equal(t, 2, *runs)
	})
}

// A reply that does not encode is given to its caller, and not kept.
func TestValues_AReplyThatDoesNotEncodeIsNotKept(t *testing.T) {
	next := rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
		*out.(*float64) = math.Inf(1)
		return nil
	})
	c := newCache(t, Method(method, time.Hour))
	caller := c.Intercept(next)
	for range 2 {
		var n float64
		require.NoError(t, caller.Call(t.Context(), method, nil, &n))
		assert.True(t, math.IsInf(n, 1))
	}
	assert.Equal(t, int64(2), c.Stats().Misses)
}

// Callers who cannot share a reply make calls of their own.
func TestValues_WhoJoinedAReplyThatCannotBeSharedCallsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		var calls atomic.Int64
		next := rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
			calls.Add(1)
			<-hold
			return json.Unmarshal([]byte(`{"a":1}`), out)
		})
		caller := newCache(t, Method(method, time.Hour)).Intercept(next)
		var replies [3]hides
		done := make(chan error, len(replies))
		for i := range replies {
			go func() { done <- caller.Call(t.Context(), method, nil, &replies[i]) }()
			synctest.Wait()
		}
		assert.EqualValues(t, 1, calls.Load())
		close(hold)
		for range replies {
			assert.NoError(t, <-done)
		}
		for _, reply := range replies {
			assert.Equal(t, hides{map[string]int{"a": 1}}, reply)
		}
		assert.EqualValues(t, 3, calls.Load())
	})
}

// once can be encoded once: its text is read, or noted to be.
type once struct{ r io.Reader }

func (o *once) MarshalJSON() ([]byte, error) {
	text, err := io.ReadAll(o.r)
	if err != nil {
		return nil, err
	}
	return json.Marshal(string(text))
}

func (o *once) GobEncode() ([]byte, error) { return io.ReadAll(o.r) }

// onceBack is a once that can be decoded.
type onceBack struct{ once }

func (o *onceBack) UnmarshalJSON(data []byte) error {
	var text string
	err := json.Unmarshal(data, &text)
	o.r = strings.NewReader(text)
	return err
}

// spent can be copied, and changes itself when it is encoded.
type spent struct{ Text string }

func (s *spent) MarshalJSON() ([]byte, error) {
	defer func() { s.Text = "" }()
	return json.Marshal(s.Text)
}

func TestValues_ParamsThatCanBeEncodedOnlyOnceReachTheServer(t *testing.T) {
	for name, c := range map[string]struct {
		params func(text string) any
		runs   int // for three calls with the same text and one with another
	}{
		"from a stream":       {func(text string) any { return &once{strings.NewReader(text)} }, 2},
		"in a struct":         {func(text string) any { return []any{&once{strings.NewReader(text)}} }, 2},
		"that can be decoded": {func(text string) any { return &onceBack{once{strings.NewReader(text)}} }, 2},
		"that can be copied":  {func(text string) any { return &spent{text} }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var runs atomic.Int64
				srv := rpc.NewServer()
				defer srv.Close()
				require.NoError(t, srv.RegisterFunc(method, func(raw json.RawMessage) json.RawMessage {
					runs.Add(1)
					return raw
				}))
				cache := newCache(t, Method(method, time.Minute))
				client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithClientInterceptors(cache.Intercept))
				require.NoError(t, err)
				defer client.Close()
				for _, text := range []string{"abc", "abc", "abc", "d"} {
					var reply any
					require.NoError(t, client.Call(t.Context(), method, c.params(text), &reply))
					if list, ok := reply.([]any); ok {
						reply = list[0]
					}
					assert.Equal(t, text, reply)
				}
				assert.EqualValues(t, c.runs, runs.Load())

				// A caller that joins another one's call, but wants another type, makes its own.
				var wg sync.WaitGroup
				for range 3 {
					wg.Go(func() {
						var reply any
						assert.NoError(t, client.Call(t.Context(), method, c.params("new"), &reply))
						assert.Contains(t, []any{"new", []any{"new"}}, reply)
					})
					wg.Go(func() {
						var reply json.RawMessage
						assert.NoError(t, client.Call(t.Context(), method, c.params("new"), &reply))
						assert.Contains(t, string(reply), `"new"`)
					})
				}
				wg.Wait()
			})
		})
	}
}

func TestValues_ParamsThatCanBeEncodedOnlyOnceReachTheServerByGob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		c := newCache(t, Method(method, time.Minute), Codec(rpc.Gob))
		caller := c.Intercept(rpc.CallerFunc(func(_ context.Context, _ string, params, out any) error {
			body, err := rpc.Gob.Append(nil, params)
			if err != nil {
				return err
			}
			text := "abc"
			if !bytes.Contains(body, []byte(text)) {
				text = "nothing"
			}
			got = append(got, text)
			*out.(*int) = len(text)
			return nil
		}))
		for range 2 {
			var n int
			require.NoError(t, caller.Call(t.Context(), method, &once{strings.NewReader("abc")}, &n))
		}
		assert.Equal(t, []string{"abc", "abc"}, got)
	})
}

// An invalidation also holds for calls whose params cannot be copied.
func TestValues_AnOldAnswerToParamsThatCannotBeCopiedIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCache(t, Method(method, time.Hour))
		calls := 0
		caller := c.Intercept(rpc.CallerFunc(func(_ context.Context, _ string, _, out any) error {
			if calls++; calls == 1 {
				c.InvalidateAll()
			}
			*out.(*int) = calls
			return nil
		}))
		params := &locked{held: map[string]int{"a": 1}}
		for _, want := range []int{1, 2, 2} {
			var n int
			require.NoError(t, caller.Call(t.Context(), method, params, &n))
			assert.Equal(t, want, n)
		}
	})
}

func TestValues_DynamicMessagesKeepTheirTypes(t *testing.T) {
	file := wrapperspb.File_google_protobuf_wrappers_proto
	text, bytes := file.Messages().ByName("StringValue"), file.Messages().ByName("BytesValue")
	synctest.Test(t, func(t *testing.T) {
		srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
		defer srv.Close()
		runs := 0
		require.NoError(t, srv.RegisterFunc(method, func(v *wrapperspb.StringValue) *wrapperspb.StringValue { runs++; return v }))
		c := newCache(t, Method(method, time.Minute), Codec(protobuf.Codec))
		client, err := rpc.Dial(t.Context(), "a", pipes(srv), rpc.WithCodec(protobuf.Codec), rpc.WithClientInterceptors(c.Intercept))
		require.NoError(t, err)
		defer client.Close()
		for _, desc := range []*dynamicpb.Message{dynamicpb.NewMessage(text), dynamicpb.NewMessage(text), dynamicpb.NewMessage(bytes), dynamicpb.NewMessage(bytes)} {
			require.NoError(t, client.Call(t.Context(), method, wrapperspb.String("a"), desc))
			assert.Equal(t, "a", fmt.Sprintf("%s", desc.Get(desc.Descriptor().Fields().ByName("value")).Interface()))
		}
		assert.Equal(t, 2, runs)
		sent := dynamicpb.NewMessage(text)
		sent.Set(text.Fields().ByName("value"), wrapperspb.String("b").ProtoReflect().Get(wrapperspb.String("").ProtoReflect().Descriptor().Fields().ByName("value")))
		got := new(wrapperspb.StringValue)
		require.NoError(t, client.Go(t.Context(), method, sent, got).Wait())
		assert.True(t, proto.Equal(wrapperspb.String("b"), got))
	})
}

func TestValues_ErrorsOfOwnTypesPass(t *testing.T) {
	own := errors.New("no Error of package rpc")
	caller := newCache(t, Method(method, time.Hour)).Intercept(rpc.CallerFunc(func(context.Context, string, any, any) error { return own }))
	assert.ErrorIs(t, caller.Call(t.Context(), method, nil, new(int)), own)
}

// A nil pointer that became an error is one, as without the cache.
func TestValues_ANilErrorPasses(t *testing.T) {
	caller := newCache(t, Method(method, time.Hour), NotFound(method, time.Hour)).Intercept(rpc.CallerFunc(func(context.Context, string, any, any) error {
		return (*rpc.Error)(nil)
	}))
	err := caller.Call(t.Context(), method, nil, new(int))
	assert.True(t, err == error((*rpc.Error)(nil)))
}
