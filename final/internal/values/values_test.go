package values

import (
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type list struct {
	Name  string
	Next  *list
	Any   any
	Map   map[string][]int
	Array [2]*int
	When  time.Time
	Addr  netip.Addr
	count int
}

func TestClone_CopiesAllThatCanChange(t *testing.T) {
	one := 1
	make1 := func() *list {
		return &list{
			Name: "a", Next: &list{Name: "b"}, Any: []any{int64(1 << 60), map[string]any{"c": nil}}, Map: map[string][]int{"d": {1, 2}, "nil": nil},
			Array: [2]*int{&one, &one}, When: time.Now(), Addr: netip.MustParseAddr("fe80::1%eth0"), count: 5,
		}
	}
	from := make1()
	got, ok := Clone(from, nil)
	require.True(t, ok)
	out := got.(*list)
	assert.Equal(t, from, out)
	assert.Same(t, out.Array[0], out.Array[1], "what is shared stays shared")
	assert.NotSame(t, from.Array[0], out.Array[0])
	from.Next.Name, from.Map["d"][0], from.Any.([]any)[0] = "changed", 9, 9
	*from.Array[0] = 9
	assert.Equal(t, "b", out.Next.Name)
	assert.Equal(t, []int{1, 2}, out.Map["d"])
	assert.Equal(t, int64(1<<60), out.Any.([]any)[0])
	assert.Equal(t, 1, *out.Array[0])
}

func TestClone_OfCircles(t *testing.T) {
	circle := &list{Name: "a"}
	circle.Next = circle
	got, ok := Clone(circle, nil)
	require.True(t, ok)
	assert.Same(t, got.(*list), got.(*list).Next)
	assert.NotSame(t, circle, got)
	endless := []any{nil}
	endless[0] = endless
	_, ok = Clone(endless, nil)
	assert.False(t, ok)
}

func TestClone_RefusesWhatItCannotCopy(t *testing.T) {
	for _, v := range []any{
		make(chan int), func() {}, new(sync.Mutex), new(atomic.Int64), big.NewInt(1), struct{ m map[string]int }{}, []any{&sync.WaitGroup{}},
		struct {
			sync.Mutex
			N int
		}{},
	} {
		_, ok := Clone(v, nil)
		assert.False(t, ok, "%T", v)
	}
	for _, v := range []any{nil, 1, "a", (chan int)(nil), (*sync.Mutex)(nil), []byte(nil), map[string]any{}} {
		got, ok := Clone(v, nil)
		assert.True(t, ok, "%T", v)
		assert.Equal(t, v, got)
	}
	known := func(v any) (any, bool) { b, ok := v.(*big.Int); return big.NewInt(7), ok && b != nil }
	got, ok := Clone([]any{big.NewInt(1)}, known)
	require.True(t, ok)
	assert.Equal(t, []any{big.NewInt(7)}, got)
}

func TestSet_KeepsWhatIsNotExported(t *testing.T) {
	to := list{Name: "old", count: 1}
	Set(&to, &list{Next: &list{}, count: 2})
	assert.Equal(t, list{Next: &list{}, count: 1}, to)
	var held any = &to
	Set(&held, &list{Name: "new"})
	assert.Equal(t, "new", to.Name)
	var number big.Int
	Set(&number, big.NewInt(7))
	assert.Equal(t, int64(7), number.Int64(), "a type that decodes itself is copied as a whole")
}

func TestIsDeep_WhatPackageFmtDoesNotGetThrough(t *testing.T) {
	type list []list
	ring := make(list, 1)
	ring[0] = ring
	var nested any
	for range 100 {
		nested = []any{nested}
	}
	for name, deep := range map[string]any{
		"ring": ring, "pointer": &ring, "nested": nested, "large": make([]string, 20_000), "reflect.Value": reflect.ValueOf(ring),
	} {
		assert.True(t, IsDeep(deep), name)
	}
	type node struct{ next *node }
	loop := &node{}
	loop.next = loop
	for name, flat := range map[string]any{
		"nil": nil, "number": 1, "pointers": loop, "bytes": make([]byte, 20_000), "text": errors.New("x"), "map": map[string][]int{"a": {1}},
	} {
		assert.False(t, IsDeep(flat), name)
		assert.NotEmpty(t, fmt.Sprint(flat), name)
	}
}
