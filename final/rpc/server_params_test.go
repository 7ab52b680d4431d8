package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// grown is a method whose params take 512 bytes for each element, and two on the wire.
const grown = "Test.Grown"

// growing is a server whose handlers of grown hang until hold is closed.
type growing struct {
	*Server
	runs  atomic.Int64
	began chan struct{} // gets one for each
	hold  chan struct{}
}

func newGrowing(t *testing.T, opts ...ServerOption) *growing {
	g := &growing{began: make(chan struct{}, 100), hold: make(chan struct{})}
	quiet := WithPanicHandler(func(context.Context, any, []byte) {})
	g.Server = newInventory().server(t, append(opts, quiet)...)
	require.NoError(t, g.RegisterFunc(grown, func(params [][64]int) (int, error) {
		g.runs.Add(1)
		g.began <- struct{}{}
		<-g.hold
		switch len(params) {
		case 1:
			panic("planned")
		case 2:
			runtime.Goexit()
		}
		return len(params), nil
	}))
	return g
}

// rows returns params of grown with so many elements.
func rows(n int) string { return "[" + strings.Repeat("[],", n-1) + "[]]" }

// attack connects by hand and says hello.
func attack(t *testing.T, addr string) *rawConn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	r := rawOn(t, conn)
	hello := wire.ClientHello{Codec: "json", MaxMessage: 4 << 20}
	r.write(hello.Append(nil))
	_, err = wire.ReadHello(conn, wire.MaxHello)
	require.NoError(t, err)
	return r
}

// 64 calls of 4 MiB, whose handlers hang, took gigabytes. With a budget of 64 MiB a
// connection, what does not fit is refused, and an honest client is served all the
// time.
func TestParams_MemoryIsBoundedUnderAttack(t *testing.T) {
	const perConn = 64 << 20
	for name, c := range map[string]struct {
		params string
		fits   int
		pause  bool // the refusals ask for one
	}{
		"each fits":       {rows(10_000), 2, true}, // 10,000 elements take 5 MB, and count as 26
		"none can fit":    {rows(1_390_000), 0, false},
		"of another type": {"[" + strings.Repeat("0,", 2_090_000) + "0]", 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			g := newGrowing(t, WithParamsMemory(4*perConn, perConn))
			addr := listen(t, g.Server)
			honest := dial(t, addr)
			attacker := attack(t, addr)
			before := heapInUse()
			go func() {
				head := wire.RequestHead{Method: grown}
				for id := range uint64(64) {
					attacker.conn.Write(append(head.Append(nil, 0, id+1, len(c.params)), c.params...))
				}
			}()
			for range 64 - c.fits {
				f := attacker.read()
				require.Equal(t, wire.KindError, f.Kind)
				err, _, broken := parseError(&f)
				require.NoError(t, broken)
				_, pause := RetryAfter(err)
				assert.True(t, NeverRan(err))
				assert.ErrorIs(t, err, ResourceExhausted)
				assert.ErrorContains(t, err, "(WithParamsMemory)")
				assert.Equal(t, c.pause, pause)
				_, failed := checkStock.Call(t.Context(), honest, &stockRequest{Item: "item1"})
				require.NoError(t, failed)
			}
			for range c.fits {
				<-g.began
			}
			var now runtime.MemStats
			runtime.ReadMemStats(&now)
			assert.Less(t, int(now.HeapAlloc)-int(before), 3*perConn, "with garbage")
			assert.Less(t, int(heapInUse())-int(before), perConn)
			assert.EqualValues(t, c.fits, g.runs.Load())
			close(g.hold)
			for range c.fits {
				assert.Equal(t, wire.KindResponse, attacker.read().Kind)
			}
			attacker.request(65, grown, rows(3))
			f := attacker.read()
			assert.Equal(t, wire.KindResponse, f.Kind)
			assert.Equal(t, "3", string(f.Payload))
		})
	}
}

// Whatever ends a call, its params' memory is given back.
func TestParams_MemoryIsGivenBack(t *testing.T) {
	for _, codec := range codecs() {
		for name, end := range map[string]func(g *growing, client *Client, cancel func()){
			"it returns":             func(g *growing, _ *Client, _ func()) { close(g.hold) },
			"it is cancelled":        func(g *growing, _ *Client, cancel func()) { cancel(); synctest.Wait(); close(g.hold) },
			"its connection is lost": func(g *growing, client *Client, _ func()) { client.Close(); synctest.Wait(); close(g.hold) },
			"the server shuts down": func(g *growing, _ *Client, _ func()) {
				go g.Shutdown(context.Background())
				synctest.Wait()
				close(g.hold)
			},
			"the server is closed": func(g *growing, _ *Client, _ func()) { go g.Close(); synctest.Wait(); close(g.hold) },
		} {
			t.Run(codec.Name()+": "+name, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					g := newGrowing(t, WithCodecs(Gob))
					defer g.Close()
					client := pipe(t, g.Server, WithCodec(codec))
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var calls []*Pending
					for _, n := range []int{1, 2, 100} { // a panic, a Goexit, a result
						params := make([][64]int, n)
						for i := range params {
							params[i][0] = 1e9
						}
						calls = append(calls, client.Go(ctx, grown, params, nil))
					}
					synctest.Wait()
					require.EqualValues(t, 3, g.runs.Load())
					assert.Positive(t, g.params.leased)
					end(g, client, cancel)
					for _, call := range calls {
						<-call.Done()
					}
					g.Close()
					assert.Zero(t, g.params.leased)
				})
			})
		}
	}
}

// Params that cannot be decoded, too.
func TestParams_MemoryIsGivenBackAfterErrors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGrowing(t, WithCompression(0), WithCodecs(Gob))
		defer g.Close()
		client := pipe(t, g.Server, WithCompression(0))
		inGob := pipe(t, g.Server, WithCodec(Gob))
		for range 3 {
			for _, params := range []string{rows(1000) + "]", `"` + longText(100_000) + `"`, "[" + longText(50) + rows(1000), rows(1_000_000)} {
				err := client.Call(t.Context(), grown, &encodedText{params}, nil)
				assert.True(t, NeverRan(err), "%v", err)
			}
			assert.True(t, NeverRan(inGob.Call(t.Context(), grown, longText(100_000), nil)))
		}
		assert.Zero(t, g.runs.Load())
		g.Close()
		assert.Zero(t, g.params.leased)
	})
}

// encodedText is JSON that need not be valid.
type encodedText struct{ text string }

func (e *encodedText) MarshalJSON() ([]byte, error) { return []byte(e.text), nil }

// A refused call of our client's is made again when the server says.
func TestParams_TheClientTriesAgainAfterThePause(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGrowing(t, WithParamsMemory(4<<20, 1<<20))
		defer g.Close()
		client := pipe(t, g.Server)
		first := client.Go(t.Context(), grown, json.RawMessage(rows(350)), nil)
		synctest.Wait()
		begun := time.Now()
		second := client.Go(t.Context(), grown, json.RawMessage(rows(350)), nil)
		synctest.Wait() // it has been refused, and pauses
		close(g.hold)
		require.NoError(t, first.Wait())
		require.NoError(t, second.Wait())
		assert.GreaterOrEqual(t, time.Since(begun), crowdedPause)
		assert.EqualValues(t, 2, g.runs.Load())
	})
}

// Calls without a connection share a quarter of the memory.
func TestInvoke_ParamsAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newGrowing(t, WithParamsMemory(4<<20, 0))
		defer g.Close()
		invoke := func(n int) error {
			_, err := g.Invoke(t.Context(), Invocation{Method: grown, Codec: JSON, Params: []byte(rows(n))})
			return err
		}
		first := make(chan error, 1)
		go func() { first <- invoke(350) }()
		synctest.Wait()
		err := invoke(350)
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.True(t, NeverRan(err))
		pause, asked := RetryAfter(err)
		assert.True(t, asked)
		assert.Equal(t, crowdedPause, pause)
		close(g.hold)
		require.NoError(t, <-first)
		require.NoError(t, invoke(350))
		assert.ErrorContains(t, invoke(5000), "those of one connection may take 1048576 (WithParamsMemory)")
		g.Close()
		assert.Zero(t, g.params.leased)
	})
}

// The types that params have, with the text that takes the most memory in each.
type (
	line struct {
		Item  string
		Count int
		Tags  []string
		Next  *line
	}
	embedded struct{ *Wide }
	Wide     struct {
		A    int
		Rest [40]int
	}
)

// A value that is decoded takes no more memory than JSON's Sizes says.
func TestSizes_BoundWhatIsDecoded(t *testing.T) {
	many := func(each string, n int) string { return "[" + strings.Repeat(each+",", n-1) + each + "]" }
	members := func(each string, n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%x":%s`, i, each)
		}
		return "{" + b.String()[1:] + "}"
	}
	for name, c := range map[string]struct {
		into any
		text string
		most float64 // times what it takes
	}{
		"arrays":                   {new([][64]int), many("[]", 20_000), 6},
		"elements of another type": {new([][64]int), many("0", 20_000), 4},
		"numbers":                  {new([]int8), many("1", 100_000), 200},
		"pointers":                 {new([]*Wide), many("{}", 20_000), 3},
		"pointers to pointers":     {new([]**int), many("1", 50_000), 5},
		"embedded pointers":        {new([]embedded), many(`{"A":1}`, 20_000), 4},
		"texts":                    {new([]string), many(`""`, 50_000), 5},
		"texts that are not UTF-8": {new(string), `"` + strings.Repeat("\xff", 1<<20) + `"`, 2},
		"short texts":              {new([]string), many(`"123456789"`, 50_000), 5},
		"a map":                    {new(map[string][8]int), members("[]", 1000), 8},
		"a map of pointers":        {new(map[string]*Wide), members("{}", 10_000), 5},
		"maps":                     {new([]map[string]int), many(`{"":1}`, 20_000), 5},
		"anything: objects":        {new(any), many(`{"":0}`, 20_000), 5},
		"anything: empty objects":  {new(any), many(`{}`, 50_000), 15},
		"anything: arrays":         {new(any), many("[[]]", 50_000), 15},
		"anything: numbers":        {new(any), many("1", 100_000), 10},
		"anything: members":        {new(any), members("1", 10_000), 10},
		"raw messages":             {new([]json.RawMessage), many("1", 100_000), 10},
		"what people send":         {new([]line), many(`{"Item":"item1234","Count":100,"Tags":["red","large"]}`, 10_000), 15},
		"nested":                   {new(line), strings.Repeat(`{"Next":`, 5000) + "null" + strings.Repeat("}", 5000), 4},
	} {
		t.Run(name, func(t *testing.T) {
			sizes := JSON.(Sizer).Sizes(reflect.TypeOf(c.into).Elem())
			data := []byte(c.text)
			before := heapInUse()
			err := JSON.Decode(data, c.into)
			took := int64(heapInUse() - before)
			if name != "elements of another type" {
				require.NoError(t, err)
			}
			assert.GreaterOrEqual(t, sizes(data), took)
			assert.LessOrEqual(t, float64(sizes(data)), c.most*float64(took), "it takes %d bytes", took)
			runtime.KeepAlive(c.into)
			runtime.KeepAlive(data)
		})
	}
}

// README and Sizer: a codec that says nothing counts 16 bytes a byte, which is enough
// for what gob makes of numbers and texts.
func TestSizes_OtherCodecsHaveAFactor(t *testing.T) {
	for name, v := range map[string]any{
		"numbers": make([]int, 10_000),
		"texts":   strings.Split(strings.Repeat("a,", 10_000), ","),
		"lines":   slices.Repeat([]stockReply{{Item: "item1", Count: 1}}, 1000),
		"a text":  longText(100_000),
		"a map":   counts(1000),
	} {
		data, err := Gob.Append(nil, v)
		require.NoError(t, err)
		into := reflect.New(reflect.TypeOf(v))
		m := &method{newParams: func() any { return into.Interface() }}
		before := heapInUse()
		require.NoError(t, Gob.Decode(data, into.Interface()))
		took := int64(heapInUse() - before)
		assert.Equal(t, int64(into.Elem().Type().Size())+16*int64(len(data)), m.sizesOf(Gob)(data))
		assert.GreaterOrEqual(t, m.sizesOf(Gob)(data), took, name)
		runtime.KeepAlive(into)
		runtime.KeepAlive(data)
	}
}

func counts(n int) map[string]int {
	m := map[string]int{}
	for i := range n {
		m[fmt.Sprint("item", i)] = i
	}
	return m
}

// sizeless is a codec whose sizes panic, or lie.
type sizeless struct {
	Codec
	size func(data []byte) int64
}

func (s *sizeless) Name() string                { return "sizeless" }
func (s *sizeless) Sizes(reflect.Type) SizeFunc { return s.size }

func TestSizer_MayPanicOrLie(t *testing.T) {
	bubble(t, func(t *testing.T) {
		codec := &sizeless{Codec: JSON}
		var panics atomic.Int64
		srv := newInventory().server(t, WithCodecs(&sizeless{JSON, func(data []byte) int64 {
			switch {
			case bytes.Contains(data, []byte("below")):
				return -1 << 62
			case bytes.Contains(data, []byte("above")):
				return 1<<63 - 1
			}
			panic("planned")
		}}), WithPanicHandler(func(context.Context, any, []byte) { panics.Add(1) }))
		defer srv.Close()
		client := pipe(t, srv, WithCodec(codec))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "below"})
		assert.NoError(t, err)
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "above"})
		assert.ErrorIs(t, err, ResourceExhausted)
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.ErrorIs(t, err, InvalidArgument)
		assert.True(t, NeverRan(err))
		assert.EqualValues(t, 1, panics.Load())
	})
}

// While there is no room, a codec is asked on the goroutine that reads whether there ever
// will be. It may end that, panic or lie: nothing that the call had is lost.
func TestSizer_IsAskedWithoutRoomAndMayDoWhatItLikes(t *testing.T) {
	for name, c := range map[string]struct {
		size  func(data []byte) int64
		code  Code
		again bool // the refusal says when to try again
	}{
		"ends its goroutine": {func([]byte) int64 { runtime.Goexit(); return 0 }, Internal, false},
		"panics":             {func([]byte) int64 { panic("planned") }, ResourceExhausted, true},
		"above":              {func([]byte) int64 { return 1<<63 - 1 }, ResourceExhausted, false},
		"below":              {func([]byte) int64 { return -1 << 62 }, ResourceExhausted, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				const most = 2 << 20
				codec := &sizeless{JSON, c.size}
				srv := newServer(t, WithCodecs(codec), WithMaxHandlers(2), WithParamsMemory(8*most, most))
				require.NoError(t, srv.RegisterFunc("Test.It", func(string) error { return nil }))
				require.NoError(t, srv.RegisterFunc("Test.None", func() error { return nil }))
				client := pipe(t, srv, WithCodec(codec), WithMaxAttempts(1), WithoutParamsOffer())
				require.NoError(t, client.Call(t.Context(), "Test.None", nil, nil))
				params := &srv.connsLocked()[0].params
				require.True(t, params.take(most-100<<10))
				defer params.give(most - 100<<10)
				for range 3 {
					err := client.Call(t.Context(), "Test.It", strings.Repeat("x", 250<<10), nil)
					assert.Equal(t, c.code, CodeOf(err), "%v", err)
					assert.True(t, NeverRan(err), "%v", err)
					assert.NotContains(t, err.Error(), "-", "no sum overflows")
					_, again := RetryAfter(err)
					assert.Equal(t, c.again, again, "%v", err)
				}
				assert.NoError(t, client.Call(t.Context(), "Test.None", nil, nil), "handlers have their places")
			})
		})
	}
}

// What is too little to be counted when params are decoded is not counted here either.
func TestParams_WhatIsLittleAlwaysFits(t *testing.T) {
	s := newMemory(8 << 20).newShare(1 << 20)
	for size, fits := range map[int64]bool{uncounted: true, uncounted + 1: false} {
		never := new(serverCall).neverFits(&s, s.most-uncounted/2, func([]byte) int64 { return size }, nil)
		assert.Equal(t, fits, never == nil, "%d bytes", size)
	}
}

// A quarter of hardly anything is a byte, for the client that asks before it sends and for
// the server that is asked to run the call.
func TestParamsMemory_OfAByteIsTheSameInAllTexts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newServer(t, WithParamsMemory(1, 1))
		require.NoError(t, srv.RegisterFunc("Test.Take", func(string) error { return nil }))
		params := strings.Repeat("x", 10_000)
		err := pipe(t, srv).Call(t.Context(), "Test.Take", params, nil)
		assert.ErrorContains(t, err, "on one connection the server has memory for 1 (WithParamsMemory)")
		_, err = srv.Invoke(t.Context(), Invocation{Method: "Test.Take", Codec: JSON, Params: []byte(`"` + params + `"`)})
		assert.ErrorContains(t, err, "those of one connection may take 1 (WithParamsMemory)")
	})
}
