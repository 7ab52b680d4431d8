package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// onlyMarshals cannot be decoded into, nor copied: it hides a map and a mutex.
type onlyMarshals struct {
	mu   sync.Mutex
	held map[string]int
}

func (o *onlyMarshals) MarshalJSON() ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return json.Marshal(o.held)
}

func (o *onlyMarshals) set(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.held["n"] = n
}

// tag encodes itself by value and hides a number.
type tag struct{ n int }

func (t tag) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%d", t.n), nil }

type node struct {
	Name   string
	Next   *node
	Amount big.Int
	At     time.Time
	Addr   netip.Addr
}

// through is an interceptor that does nothing.
func through(next Caller) Caller { return CallerFunc(next.Call) }

// recorder serves a method that keeps the JSON of its params.
func recorder(t *testing.T) (srv *Server, method string, got chan string) {
	t.Helper()
	srv, got = newServer(t), make(chan string, 10)
	require.NoError(t, srv.RegisterFunc("Test.Params", func(raw json.RawMessage) error {
		got <- string(raw)
		return nil
	}))
	return srv, "Test.Params", got
}

// oddParams returns params that one encoding or another does not bring back, and
// what changes them.
func oddParams() map[string]oddParam {
	hidden := &onlyMarshals{held: map[string]int{"n": 1}}
	within := &onlyMarshals{held: map[string]int{"n": 1}}
	large := map[string]any{"id": int64(9007199254740993), "list": []any{uint64(1 << 63), "x", nil, 1.5}}
	bytes, raw, number := []byte("bytes"), json.RawMessage(`{"a":1}`), &tag{7}
	huge := new(big.Int).Lsh(big.NewInt(1), 100)
	linked := &node{Name: "a", Amount: *big.NewInt(5), At: time.Unix(1, 2).UTC(), Addr: netip.MustParseAddr("::1%eth0"), Next: &node{Name: "b"}}
	text := "text"
	pointer := &text
	return map[string]oddParam{
		"nothing":              {nil, func() {}},
		"nil pointer":          {(*node)(nil), func() {}},
		"numbers without type": {large, func() { large["id"] = 1; large["list"].([]any)[0] = 1 }},
		"bytes":                {bytes, func() { bytes[0] = 'x' }},
		"raw JSON":             {raw, func() { raw[2] = 'b' }},
		"pointer to pointer":   {&pointer, func() { text, pointer = "changed", nil }},
		"big number":           {huge, func() { huge.SetInt64(1) }},
		"structs":              {linked, func() { linked.Name, linked.Next.Name = "x", "y"; linked.Amount.SetInt64(6) }},
		"only marshals":        {hidden, func() { hidden.set(2) }},
		"only marshals, value": {tag{7}, func() {}},
		"only marshals, flat":  {number, func() { number.n = 8 }},
		"only marshals, map":   {map[string]*onlyMarshals{"a": within}, func() { within.set(2) }},
	}
}

type oddParam struct {
	params any
	spoil  func()
}

// What Go sends is what Call sends: params as they were when it was called,
// whether interceptors look on or not.
func TestGo_SendsParamsAsTheyWere(t *testing.T) {
	for name := range oddParams() {
		for _, chained := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/", chained), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					srv, method, got := recorder(t)
					spoiled := make(chan struct{}, 1)
					late := func(next Caller) Caller {
						return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
							<-spoiled
							return next.Call(ctx, method, params, reply)
						})
					}
					var chain []ClientInterceptor
					if chained {
						chain = []ClientInterceptor{late, through}
					}
					client := pipe(t, srv, WithClientInterceptors(chain...))
					odd := oddParams()[name]
					want, err := encodeWith(JSON, nil, odd.params)
					require.NoError(t, err)
					if chained {
						spoiled <- struct{}{}
					}
					require.NoError(t, client.Call(t.Context(), method, odd.params, nil))
					assert.Equal(t, string(want), <-got)
					call := client.Go(t.Context(), method, odd.params, nil)
					odd.spoil()
					if chained {
						spoiled <- struct{}{}
					}
					require.NoError(t, call.Wait())
					assert.Equal(t, string(want), <-got)
				})
			})
		}
	}
}

// Interceptors see the types that they see of a Call, and may send others.
func TestGo_InterceptorsSeeTypesAndMayChangeParams(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, method, got := recorder(t)
		odd := oddParams()
		hidden := odd["only marshals"].params
		client := pipe(t, srv, WithClientInterceptors(func(next Caller) Caller {
			return CallerFunc(func(ctx context.Context, method string, params, reply any) error {
				switch p := params.(type) {
				case map[string]any:
					assert.IsType(t, int64(0), p["id"])
					p["id"] = 1
					delete(p, "list")
				case *node:
					p.Next, p.At, p.Addr = nil, time.Time{}, netip.Addr{}
				case *onlyMarshals:
					params = &onlyMarshals{held: map[string]int{"other": 1}}
				default:
					assert.Fail(t, "another type", "%T", params)
				}
				return next.Call(ctx, method, params, reply)
			})
		}))
		require.NoError(t, client.Go(t.Context(), method, odd["numbers without type"].params, nil).Wait())
		assert.Equal(t, `{"id":1}`, <-got)
		require.NoError(t, client.Go(t.Context(), method, hidden, nil).Wait())
		assert.Equal(t, `{"other":1}`, <-got)
		linked := odd["structs"].params.(*node)
		require.NoError(t, client.Go(t.Context(), method, linked, nil).Wait())
		assert.Equal(t, `{"Name":"a","Next":null,"Amount":5,"At":"0001-01-01T00:00:00Z","Addr":""}`, <-got)
		assert.NotNil(t, linked.Next, "the caller's own has not changed")
	})
}

func TestGo_GobKeepsItsTypes(t *testing.T) {
	type box struct{ V any }
	bubble(t, func(t *testing.T) {
		srv := newServer(t, WithCodecs(Gob))
		require.NoError(t, srv.RegisterFunc("Test.Same", func(b box) box { return b }))
		client := pipe(t, srv, WithCodec(Gob), WithClientInterceptors(through))
		for _, v := range []any{int64(1 << 60), "a", []byte("b"), 1.5} {
			var reply box
			call := client.Go(t.Context(), "Test.Same", box{v}, &reply)
			require.NoError(t, call.Wait())
			assert.Equal(t, box{v}, reply)
		}
	})
}

func TestGo_WhatEndsItsGoroutineIsAnError(t *testing.T) {
	for name, end := range map[string]func(){"goexit": runtime.Goexit, "panic": func() { panic("interceptor") }} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv, method, _ := recorder(t)
				client := pipe(t, srv, WithClientInterceptors(func(Caller) Caller {
					return CallerFunc(func(context.Context, string, any, any) error { end(); return nil })
				}))
				assert.ErrorIs(t, client.Go(t.Context(), method, nil, nil).Wait(), Internal)
			})
		})
	}
}

// readOnce encodes to what its reader gives, which it gives once.
type readOnce struct{ r *strings.Reader }

func (o *readOnce) MarshalJSON() ([]byte, error) {
	text, err := io.ReadAll(o.r)
	return []byte(`"` + string(text) + `"`), err
}

func TestGo_ParamsThatCanBeEncodedOnlyOnceReachTheServer(t *testing.T) {
	pass := func(next Caller) Caller { return CallerFunc(next.Call) }
	for name, opts := range map[string][]ClientOption{"plain": nil, "interceptors": {WithClientInterceptors(pass, pass)}} {
		bubble(t, func(t *testing.T) {
			srv := newServer(t)
			require.NoError(t, srv.RegisterFunc("Test.Echo", func(text string) string { return text }))
			var reply string
			require.NoError(t, pipe(t, srv, opts...).Go(t.Context(), "Test.Echo", &readOnce{strings.NewReader("abc")}, &reply).Wait())
			assert.Equal(t, "abc", reply, name)
		})
	}
}
