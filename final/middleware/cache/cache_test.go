package cache

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestNew_RefusesWhatMakesNoSense(t *testing.T) {
	for name, opt := range map[string]Option{
		"TTL 0":                          Method(method, 0),
		"a negative TTL":                 Method(method, -1),
		"NotFound without a method":      NotFound("A.B", time.Second),
		"NotFound for no time":           NotFound(method, 0),
		"no entries":                     Entries(0),
		"negative bytes":                 Bytes(-1),
		"no codec":                       Codec(nil),
		"tokens":                         IgnoreMetadata("trace", "authorization"),
		"a key that no metadata has":     VaryBy("tenant", "X-Tenant"), // else tenants get each other's answers
		"no key":                         VaryBy(""),
		"an ignored key that none has":   IgnoreMetadata("Trace"),
		"all methods of a service":       Method("Inventory.*", time.Second),
		"no method":                      Method("", time.Second),
		"a service":                      Method("Inventory", time.Second),
		"a method with a space after it": Method(method+" ", time.Second),
	} {
		_, err := New(Method("C.D", time.Second), opt)
		assert.ErrorContains(t, err, "cache: ", name)
	}
}

func TestCache_AnswersWithinItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := new(server), newCache(t, Method(method, time.Second))
		caller := c.Intercept(s)
		for range 10 {
			assert.Equal(t, 1, mustAsk(t, t.Context(), caller, "item1"))
		}
		assert.Equal(t, 2, mustAsk(t, t.Context(), caller, "item2"))
		<-time.After(time.Second - time.Nanosecond)
		assert.Equal(t, 1, mustAsk(t, t.Context(), caller, "item1"))
		<-time.After(time.Nanosecond)
		assert.Equal(t, 3, mustAsk(t, t.Context(), caller, "item1"))
		stats := c.Stats()
		assert.Equal(t, [4]int64{10, 3, 0, 0}, [4]int64{stats.Hits, stats.Misses, stats.Shared, stats.Passed})
		assert.Equal(t, 2, stats.Entries)
	})
}

func TestCache_ReplyIsNoOlderThanItsTimeSaysHoweverLongItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := &server{hold: make(chan struct{})}, newCache(t, Method(method, time.Second))
		caller := c.Intercept(s)
		time.AfterFunc(900*time.Millisecond, func() { close(s.hold) })
		assert.Equal(t, 1, mustAsk(t, t.Context(), caller, "item1"))
		<-time.After(99 * time.Millisecond)
		assert.Equal(t, 1, mustAsk(t, t.Context(), caller, "item1"))
		<-time.After(time.Millisecond)
		assert.Equal(t, 2, mustAsk(t, t.Context(), caller, "item1"))
	})
}

func TestCache_LeavesOtherMethodsAlone(t *testing.T) {
	s, c := new(server), newCache(t, Method(method, time.Hour))
	caller := c.Intercept(s)
	for _, other := range []string{"Inventory.Reserve", "inventory.checkstock", method + " ", method + ".X", ""} {
		before := s.count()
		for range 3 {
			require.NoError(t, caller.Call(t.Context(), other, &request{}, new(reply)))
		}
		assert.Equal(t, 3, s.count()-before, "%q", other)
	}
	assert.Equal(t, Stats{}, c.Stats())
}

func TestCache_MetadataTellsCallsApart(t *testing.T) {
	s, c := new(server), newCache(t, Method(method, time.Hour), IgnoreMetadata("trace"))
	caller := c.Intercept(s)
	answers := map[int][]rpc.Metadata{
		1: {nil, {}, {"trace": "1"}, {"trace": "2"}},
		2: {{"user": "ann"}, {"user": "ann", "trace": "1"}},
		3: {{"user": "bob"}},
		4: {{"userann": ""}}, // not the same bytes run together
		5: {{"user": ""}},
		6: {{"user": "ann", "role": "admin"}, {"role": "admin", "user": "ann"}},
		7: {{"authorization": "Bearer 1"}},
		8: {{"authorization": "Bearer 2"}},
	}
	for want := 1; want <= len(answers); want++ {
		for range 2 {
			for _, md := range answers[want] {
				assert.Equal(t, want, mustAsk(t, rpc.AddMetadata(t.Context(), md), caller, "item1"), "%v", md)
			}
		}
	}
}

func TestCache_FieldsOfAKeyDoNotRunTogether(t *testing.T) {
	assert.NotEqual(t, sum([]byte("ab"), []byte("c")), sum([]byte("a"), []byte("bc")))
	assert.NotEqual(t, sum([]byte("a"), nil), sum([]byte("a")))
	c := newCache(t, Method(method, 1))
	request := sum([]byte(method), []byte("params"))
	assert.NotEqual(t, c.withMetadata(request, rpc.Metadata{"a": "b", "c": "d"}), c.withMetadata(request, rpc.Metadata{"a": "d", "c": "b"}))
}

func TestCache_CallersMayChangeWhatTheyGot(t *testing.T) {
	s := new(server)
	caller := newCache(t, Method(method, time.Hour)).Intercept(s)
	var first, second, third reply
	require.NoError(t, caller.Call(t.Context(), method, &request{Item: "item1"}, &first))
	first.Tags[0], first.Count = "changed", 99
	require.NoError(t, caller.Call(t.Context(), method, &request{Item: "item1"}, &second))
	second.Tags[1] = "changed, too"
	require.NoError(t, caller.Call(t.Context(), method, &request{Item: "item1"}, &third))
	assert.Equal(t, reply{Item: "item1", Count: 1, Tags: []string{"a", "b"}}, third)
	assert.Equal(t, 1, s.count())
}

func TestCache_EachTypeOfReplyIsAskedFor(t *testing.T) {
	s, c := new(server), newCache(t, Method(method, time.Hour))
	caller := c.Intercept(s)
	var small struct{ Count int }
	require.NoError(t, caller.Call(t.Context(), method, &request{Item: "item1"}, &small))
	assert.Equal(t, 1, small.Count)
	var whole reply
	require.NoError(t, caller.Call(t.Context(), method, &request{Item: "item1"}, &whole))
	assert.Equal(t, reply{Item: "item1", Count: 2, Tags: []string{"a", "b"}}, whole, "nothing is missing that the small one left out")
	var anything any
	require.NoError(t, caller.Call(t.Context(), method, &request{Item: "item1"}, &anything))
	assert.Equal(t, "item1", anything.(map[string]any)["Item"])
	assert.Equal(t, 1, c.Stats().Entries)
}

func TestCache_PassesByWhatItCannotKeep(t *testing.T) {
	s, c := new(server), newCache(t, Method(method, time.Hour))
	caller := c.Intercept(s)
	for range 2 {
		assert.NoError(t, caller.Call(t.Context(), method, &request{}, nil))
		assert.Error(t, caller.Call(t.Context(), method, &request{}, reply{}), "as without a cache")
		assert.Error(t, caller.Call(t.Context(), method, &request{}, (*reply)(nil)))
		assert.NoError(t, caller.Call(t.Context(), method, make(chan int), new(reply)))
		assert.NoError(t, caller.Call(t.Context(), method, panics{}, new(reply)))
	}
	assert.Equal(t, 10, s.count())
	assert.Equal(t, int64(10), c.Stats().Passed)
}

// panics is params whose marshaler panics.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("marshal") }

func TestCache_ParamsOfEveryKindReachTheServer(t *testing.T) {
	var got []any
	next := rpc.CallerFunc(func(_ context.Context, _ string, params, _ any) error {
		got = append(got, params)
		return nil
	})
	caller := newCache(t, Method(method, time.Hour)).Intercept(next)
	item := "b"
	sent := []any{nil, "a", &item, request{Item: "c"}, &request{Item: "d"}, map[string]int{"e": 1}, []int{6}, 7}
	for _, params := range sent {
		require.NoError(t, caller.Call(t.Context(), method, params, new(reply)))
	}
	assert.Equal(t, sent, got)
}

func TestCache_KeepsNoErrors(t *testing.T) {
	s := &server{respond: func(_ request, n int) (reply, error) { return reply{}, rpc.Errorf(rpc.Unavailable, "call %d", n) }}
	caller := newCache(t, Method(method, time.Hour), NotFound(method, time.Hour)).Intercept(s)
	for n := 1; n <= 3; n++ {
		_, err := ask(t.Context(), caller, "item1")
		assert.EqualError(t, err, fmt.Sprintf("rpc: unavailable: call %d", n))
	}
	s.respond = func(request, int) (reply, error) { return reply{}, rpc.Errorf(rpc.NotFound, "said by this side") }
	for range 2 {
		_, err := ask(t.Context(), caller, "item1")
		assert.ErrorIs(t, err, rpc.NotFound)
	}
	assert.Equal(t, 5, s.count(), "not found is kept if the server says it")
	s.respond = func(request, int) (reply, error) { return reply{}, errors.New("no Error of package rpc") }
	_, err := ask(t.Context(), caller, "item1")
	assert.EqualError(t, err, "no Error of package rpc")
}

func TestCache_BaggageAndTokensTellCallsApart(t *testing.T) {
	for _, key := range []string{"authorization", "baggage", "tenant"} {
		s := new(server)
		caller := newCache(t, Method(method, time.Hour)).Intercept(s)
		for want, value := range []string{"ann", "bob"} {
			ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{key: value})
			assert.Equal(t, want+1, mustAsk(t, ctx, caller, "item1"), key)
			assert.Equal(t, want+1, mustAsk(t, ctx, caller, "item1"), key)
		}
	}
}

func TestCache_WhatNamesACallDoesNotTellItApart(t *testing.T) {
	s := new(server)
	caller := newCache(t, Method(method, time.Hour)).Intercept(s)
	for i, key := range []string{
		"traceparent", "tracestate", "b3", "x-b3-traceid", "uber-trace-id", "x-amzn-trace-id",
		"x-datadog-trace-id", "x-datadog-parent-id", "sentry-trace", "elastic-apm-traceparent", "newrelic", "sw8", "ot-tracer-traceid",
		"trace-id", "x-trace-id", "x-amzn-requestid", "x-client-trace-id",
		"request-id", "x-request-id", "correlation-id", "x-correlation-id", "idempotency-key",
	} {
		ctx := rpc.AddMetadata(t.Context(), rpc.Metadata{key: strconv.Itoa(i)})
		assert.Equal(t, 1, mustAsk(t, ctx, caller, "item1"), key)
	}
}

func TestCache_VaryByNamesWhatTellsCallsApart(t *testing.T) {
	s := new(server)
	c := newCache(t, Method(method, time.Hour), VaryBy("tenant"), VaryBy("x-request-id"), IgnoreMetadata("tenant"))
	caller := c.Intercept(s)
	for want, answers := range [][]rpc.Metadata{
		{nil, {"baggage": "1"}, {"lang": "de", "traceparent": "1"}},
		{{"tenant": "a"}, {"tenant": "a", "baggage": "2"}},
		{{"tenant": "b"}},
		{{"x-request-id": "1"}},
		{{"authorization": "Bearer 1"}},
		{{"authorization": "Bearer 2"}},
	} {
		for _, md := range answers {
			assert.Equal(t, want+1, mustAsk(t, rpc.AddMetadata(t.Context(), md), caller, "item1"), "%v", md)
		}
	}
}

func TestCache_BelongsToOneClient(t *testing.T) {
	s, c := new(server), newCache(t, Method(method, time.Hour))
	ann, bob := c.Intercept(s), c.Intercept(s)
	assert.Equal(t, 1, mustAsk(t, t.Context(), ann, "item1"))
	_, err := ask(t.Context(), bob, "item1")
	assert.ErrorIs(t, err, rpc.FailedPrecondition)
	assert.ErrorIs(t, bob.Call(t.Context(), "Other.Method", nil, nil), rpc.FailedPrecondition)
	assert.Equal(t, 1, s.count())
}

func TestCache_EntriesAreBounded(t *testing.T) {
	s, c := new(server), newCache(t, Method(method, time.Hour), Entries(100))
	caller := c.Intercept(s)
	for i := range 1000 {
		mustAsk(t, t.Context(), caller, strconv.Itoa(i))
		assert.Equal(t, 1, mustAsk(t, t.Context(), caller, "0"), "used all the time")
	}
	stats := c.Stats()
	assert.Equal(t, 100, stats.Entries)
	assert.Equal(t, int64(900), stats.Evicted)
	assert.Len(t, c.store.requests, 100)
}

func TestCache_BytesAreBounded(t *testing.T) {
	sizes := map[string]int{"huge": 100_000, "large": 40_000}
	s := &server{respond: func(req request, n int) (reply, error) {
		return reply{Count: n, Item: strings.Repeat("x", sizes[req.Item])}, nil
	}}
	c := newCache(t, Method(method, time.Hour), Bytes(100_000))
	caller := c.Intercept(s)
	for i := range 1000 {
		mustAsk(t, t.Context(), caller, strconv.Itoa(i))
		require.LessOrEqual(t, c.Stats().Bytes, 100_000)
	}
	mustAsk(t, t.Context(), caller, "huge")
	full := c.Stats()
	assert.Greater(t, full.Entries, 100, "a reply that is not kept takes nobody's place")
	first := mustAsk(t, t.Context(), caller, "large")
	assert.Equal(t, first, mustAsk(t, t.Context(), caller, "large"))
	assert.LessOrEqual(t, c.Stats().Bytes, 100_000)
	assert.Less(t, c.Stats().Entries, full.Entries)
	c.InvalidateAll()
	assert.Zero(t, c.Stats().Bytes)
	assert.Zero(t, c.Stats().Entries)
	assert.Empty(t, c.store.requests)
}

func TestCache_ForgetsWhatItIsToldTo(t *testing.T) {
	const other = "Inventory.List"
	s, c := new(server), newCache(t, Method(method, time.Hour), Method(other, time.Hour))
	caller := c.Intercept(s)
	ann := rpc.AddMetadata(t.Context(), rpc.Metadata{"user": "ann"})
	fill := func() (counts [4]int) {
		counts[0] = mustAsk(t, t.Context(), caller, "item1")
		counts[1] = mustAsk(t, ann, caller, "item1")
		counts[2] = mustAsk(t, t.Context(), caller, "item2")
		var r reply
		require.NoError(t, caller.Call(t.Context(), other, &request{Item: "item1"}, &r))
		counts[3] = r.Count
		return counts
	}
	assert.Equal(t, [4]int{1, 2, 3, 4}, fill())
	require.NoError(t, c.Invalidate(method, &request{Item: "item1"}))
	assert.Equal(t, [4]int{5, 6, 3, 4}, fill(), "whatever the metadata")
	require.NoError(t, c.Invalidate(method, request{Item: "item1"}))
	assert.Equal(t, [4]int{7, 8, 3, 4}, fill(), "a value encodes as a pointer to it")
	require.NoError(t, c.Invalidate(method, &request{Item: "item9"}))
	assert.Equal(t, [4]int{7, 8, 3, 4}, fill())
	c.InvalidateMethod(other)
	assert.Equal(t, [4]int{7, 8, 3, 9}, fill())
	c.InvalidateMethod(method)
	assert.Equal(t, [4]int{10, 11, 12, 9}, fill())
	c.InvalidateAll()
	assert.Equal(t, [4]int{13, 14, 15, 16}, fill())
	assert.Error(t, c.Invalidate(method, make(chan int)))
	assert.Error(t, c.Invalidate(method, panics{}))
}

// A request's variants are a list through the entries; every way out of it is tried.
func TestStore_KeepsItsListOfVariants(t *testing.T) {
	for mask := range 1 << 4 {
		s, err := newStore(10, 1<<20)
		require.NoError(t, err)
		request := sum([]byte("request"))
		var keys []digest
		for i := range 4 {
			keys = append(keys, sum([]byte{byte(i)}))
			s.add(&entry{question: question{request: request, key: keys[i]}})
		}
		left := 0
		for i, key := range keys {
			if mask&(1<<i) != 0 {
				s.lru.Remove(key)
			} else {
				left++
			}
		}
		listed := 0
		for e := s.requests[request]; e != nil; e = e.next {
			listed++
		}
		assert.Equal(t, left, listed, "mask %b", mask)
		s.forgetRequest(request)
		assert.Zero(t, s.lru.Len())
		assert.Zero(t, s.bytes)
		assert.Empty(t, s.requests)
	}
}
