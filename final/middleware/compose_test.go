// Package middleware_test runs all middleware together: what works without it
// works with it, in every order.
package middleware_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/middleware/cache"
	"example.com/rpc-from-scratch/final/middleware/logging"
	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/middleware/ratelimit"
	"example.com/rpc-from-scratch/final/rpc"
)

// marshals only encodes itself, and cannot be copied.
type marshals struct {
	mu   sync.Mutex
	held map[string]int
}

func (m *marshals) MarshalJSON() ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return json.Marshal(m.held)
}

// unmarshals only decodes itself.
type unmarshals struct{ held map[string]int }

func (u *unmarshals) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, &u.held) }

// both encodes itself either way, and hides what it is.
type both struct{ text *string }

func (b both) MarshalText() ([]byte, error)     { return []byte(*b.text), nil }
func (b *both) UnmarshalText(text []byte) error { s := string(text); b.text = &s; return nil }
func (b both) GobEncode() ([]byte, error)       { return b.MarshalText() }
func (b *both) GobDecode(text []byte) error     { return b.UnmarshalText(text) }

// mixed has fields of all sorts.
type mixed struct {
	Amount  *big.Int
	At      time.Time
	Addr    netip.Addr
	Both    both
	Bytes   []byte
	Ints    map[int]string
	Next    *mixed
	Skipped string `json:"-"`
	own     int
}

func newMixed() *mixed {
	text := "text"
	amount, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	return &mixed{
		Amount: amount, At: time.Unix(1, 2).UTC(), Addr: netip.MustParseAddr("fe80::1%eth0"), Both: both{&text},
		Bytes: []byte{0, 255}, Ints: map[int]string{1: "a", 2: "b"}, Skipped: "skipped", own: 1,
		Next: &mixed{Amount: big.NewInt(1), At: time.Unix(3, 0).UTC(), Addr: netip.MustParseAddr("10.0.0.1"), Both: both{&text}},
	}
}

// embeds has the methods of a message and is none.
type embeds struct {
	*testpb.Everything
	Extra int
}

// holds has the methods of any message, and may have none to hold.
type holds struct {
	proto.Message
	Extra int
}

// odd is one call: how it is made, and what of.
type odd struct {
	method string
	params func() any
	reply  func() any
}

func reply[T any]() func() any { return func() any { return new(T) } }
func value(v any) func() any   { return func() any { return v } }

// anyCodec is what travels by both codecs, onlyJSON what gob refuses anyhow.
var anyCodec = map[string]odd{
	"nothing":           {"Odd.Nothing", value(nil), value(nil)},
	"a reply to nobody": {"Odd.Mixed", func() any { return newMixed() }, value(nil)},
	"a reply of no one": {"Odd.Nothing", value(nil), reply[mixed]()},
	"mixed":             {"Odd.Mixed", func() any { return newMixed() }, reply[mixed]()},
	"mixed by value":    {"Odd.Mixed", func() any { return *newMixed() }, reply[*mixed]()},
	"a reply in use":    {"Odd.Mixed", func() any { return newMixed().Next }, func() any { return newMixed() }},
	"a held reply":      {"Odd.Mixed", func() any { return newMixed() }, func() any { var held any = newMixed(); return &held }},
	"a slice":           {"Odd.Slice", value([]int{1, 2}), func() any { s := make([]int, 1, 9); return &s }},
	"a map":             {"Odd.Map", value(map[string]float64{"a": 0.1}), func() any { m := map[string]float64{"old": 1}; return &m }},
	"an error":          {"Odd.Error", value("x"), func() any { return newMixed() }},
	"not found":         {"Odd.NotFound", value("x"), reply[int]()},
	"a panic":           {"Odd.Panic", value("x"), reply[int]()},
	"no such method":    {"Odd.Nope", value("x"), reply[int]()},
	"no pointer":        {"Odd.Slice", value([]int{1}), value(1)},
	"a nil pointer":     {"Odd.Slice", value([]int{1}), value((*int)(nil))},
	"of another type":   {"Odd.Slice", value([]int{1}), reply[string]()},
	"a channel":         {"Odd.Slice", value(make(chan int)), reply[int]()},
}

var onlyJSON = map[string]odd{
	"large numbers":   {"Odd.Raw", value(map[string]any{"id": int64(9007199254740993), "u": uint64(1 << 63)}), reply[json.RawMessage]()},
	"numbers":         {"Odd.Raw", value(json.Number("123456789012345678901234567890")), reply[json.Number]()},
	"any":             {"Odd.Raw", value([]any{1, "a", nil, map[string]any{"b": true}}), reply[any]()},
	"only marshals":   {"Odd.Raw", func() any { return &marshals{held: map[string]int{"a": 1}} }, reply[map[string]int]()},
	"only unmarshals": {"Odd.Raw", value(map[string]int{"a": 1}), reply[unmarshals]()},
	"within a map":    {"Odd.Raw", func() any { return map[string]any{"m": &marshals{held: map[string]int{"a": 1}}} }, reply[map[string]unmarshals]()},
	"null":            {"Odd.Raw", value((*mixed)(nil)), func() any { return newMixed() }},
	"raw":             {"Odd.Raw", value(json.RawMessage(`{"a":[1, 2]}`)), reply[json.RawMessage]()},
	"invalid UTF-8":   {"Odd.Raw", value("\xff"), reply[string]()},
	"embeds":          {"Odd.Embeds", func() any { return &embeds{&testpb.Everything{Large: 7}, 1} }, reply[embeds]()},
	"embeds nothing":  {"Odd.Embeds", value(embeds{Extra: 1}), func() any { return &embeds{&testpb.Everything{Large: 7}, 2} }},
	"holds nothing":   {"Odd.Raw", value(&holds{Extra: 1}), reply[holds]()},
	"holds one":       {"Odd.Raw", value(holds{&testpb.Everything{Large: 7}, 1}), reply[embeds]()},
	"not JSON":        {"Odd.Raw", value(json.RawMessage(`{`)), reply[any]()},
}

func register(t *testing.T, srv *rpc.Server) {
	t.Helper()
	for name, fn := range map[string]any{
		"Nothing":  func() error { return nil },
		"Mixed":    func(m *mixed) (*mixed, error) { return m, nil },
		"Slice":    func(s []int) []int { return s },
		"Map":      func(m map[string]float64) map[string]float64 { return m },
		"Message":  func(m *testpb.Everything) *testpb.Everything { return m },
		"Embeds":   func(e *embeds) *embeds { return e },
		"Raw":      func(raw json.RawMessage) json.RawMessage { return raw },
		"Error":    func(text string) (int, error) { return 0, rpc.Errorf(rpc.Aborted, "%s", text) },
		"NotFound": func(text string) (int, error) { return 0, rpc.Errorf(rpc.NotFound, "%s", text) },
		"Panic":    func(string) (int, error) { panic("odd") },
	} {
		require.NoError(t, srv.RegisterFunc("Odd."+name, fn))
	}
}

// pipes connects to srv over pipes, whatever the address.
func pipes(srv *rpc.Server) rpc.ClientOption {
	return rpc.WithDialer(func(context.Context, string) (net.Conn, error) {
		near, far := net.Pipe()
		go srv.ServeConn(far)
		return near, nil
	})
}

// outcome is what a call came to, as text and value.
type outcome struct {
	reply any
	code  rpc.Code
	text  string
}

func call(ctx context.Context, c *rpc.Client, async bool, o odd) outcome {
	out := outcome{reply: o.reply()}
	var err error
	if async {
		err = c.Go(ctx, o.method, o.params(), out.reply).Wait()
	} else {
		err = c.Call(ctx, o.method, o.params(), out.reply)
	}
	if err != nil {
		out.code, out.text = rpc.CodeOf(err), err.Error()
	}
	return out
}

// serverSide returns all middleware of a server, turned by a number of places.
func serverSide(t *testing.T, turn int) []rpc.ServerOption {
	t.Helper()
	tokens, err := auth.NewTokens(map[string]string{"2YotnFZFEjr1zCsicMWpAA": "ann"})
	require.NoError(t, err)
	guard, err := auth.New(tokens.Verify, auth.Known(), nil)
	require.NoError(t, err)
	measured, err := metrics.NewServer(prometheus.NewRegistry())
	require.NoError(t, err)
	limits, err := ratelimit.New(ratelimit.Server(1e9, 1e6), ratelimit.Messages(oddImport.Name(), 1e6, 1), ratelimit.Messages(oddSync.Name(), 1e6, 1))
	require.NoError(t, err)
	limited := rpc.WithServerOptions(rpc.WithAuthorize(limits.Authorize), rpc.WithServerMiddleware(limits.Middleware()))
	logged := logging.New(slog.New(slog.NewJSONHandler(io.Discard, nil)), logging.WithPayloads(1000))
	sides := []rpc.ServerOption{
		rpc.WithAuthorize(guard.Authorize), limited, measured.Options(), logged.ServerOptions(),
	}
	var all []rpc.ServerOption
	for i := range sides {
		all = append(all, sides[(i+turn)%len(sides)])
	}
	return all
}

// clientSide is serverSide for a client.
func clientSide(t *testing.T, codec rpc.Codec, turn int) []rpc.ClientOption {
	t.Helper()
	measured, err := metrics.NewClient(prometheus.NewRegistry())
	require.NoError(t, err)
	logged := logging.New(slog.New(slog.NewJSONHandler(io.Discard, nil)), logging.WithPayloads(1000))
	methods := []cache.Option{cache.Codec(codec)}
	for _, name := range []string{"Nothing", "Message", "Mixed", "Slice", "Map", "Embeds", "Raw", "Error", "NotFound", "Panic", "Nope"} {
		methods = append(methods, cache.Method("Odd."+name, time.Minute), cache.NotFound("Odd."+name, time.Minute))
	}
	answers, err := cache.New(methods...)
	require.NoError(t, err)
	sides := []rpc.ClientOption{
		auth.OverAnything(auth.Static("2YotnFZFEjr1zCsicMWpAA")), measured.Options(), rpc.WithClientInterceptors(answers.Intercept), logged.ClientOptions(),
	}
	var all []rpc.ClientOption
	for i := range sides {
		all = append(all, sides[(i+turn)%len(sides)])
	}
	return all
}

func TestCompose_WhatWorksPlainWorksWithAll(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob} {
		for turn := range 4 {
			t.Run(fmt.Sprint(codec.Name(), " ", turn), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { compose(t, codec, turn) })
			})
		}
	}
}

// dialFull connects to a server with all middleware, with all of a client's.
func dialFull(t *testing.T, codec rpc.Codec, turn int) *rpc.Client {
	t.Helper()
	srv := rpc.NewServer(append(serverSide(t, turn), rpc.WithCodecs(rpc.Gob, protobuf.Codec))...)
	t.Cleanup(func() { srv.Close() })
	register(t, srv)
	client, err := rpc.Dial(t.Context(), "a", append(clientSide(t, codec, turn), pipes(srv), rpc.WithCodec(codec))...)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestCompose_MessagesArriveWhole(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, protobuf.Codec} {
		synctest.Test(t, func(t *testing.T) {
			client := dialFull(t, codec, 0)
			for _, sent := range []*testpb.Everything{
				{Large: 9007199254740993, Choice: &testpb.Everything_Text{}, CreatedAt: timestamppb.New(time.Unix(1, 5))},
				{Choice: &testpb.Everything_Number{Number: 1}, Counts: map[string]int64{"a": 1}},
				{},
			} {
				got := &testpb.Everything{Ratio: 1, Choice: &testpb.Everything_Text{Text: "old"}}
				for range 3 {
					require.NoError(t, client.Call(t.Context(), "Odd.Message", sent, got))
					assert.True(t, proto.Equal(sent, got), "%s: %v", codec.Name(), got)
					require.NoError(t, client.Go(t.Context(), "Odd.Message", sent, got).Wait())
					assert.True(t, proto.Equal(sent, got), "%s: %v", codec.Name(), got)
				}
				dynamic := dynamicpb.NewMessage(sent.ProtoReflect().Descriptor())
				require.NoError(t, client.Call(t.Context(), "Odd.Message", sent, dynamic))
				assert.True(t, proto.Equal(sent, dynamic), "%s: %v", codec.Name(), dynamic)
			}
		})
	}
}

func compose(t *testing.T, codec rpc.Codec, turn int) {
	plainServer := rpc.NewServer(rpc.WithCodecs(rpc.Gob))
	defer plainServer.Close()
	register(t, plainServer)
	plain, err := rpc.Dial(t.Context(), "a", pipes(plainServer), rpc.WithCodec(codec))
	require.NoError(t, err)
	defer plain.Close()
	full := dialFull(t, codec, turn)
	cases := []map[string]odd{anyCodec}
	if codec == rpc.JSON {
		cases = append(cases, onlyJSON)
	}
	for _, odds := range cases {
		for name, o := range odds {
			want := call(t.Context(), plain, false, o)
			for _, async := range []bool{false, true, false} { // the last two may be answered by the cache
				assert.Equal(t, want, call(t.Context(), full, async, o), "%s, by Go: %v", name, async)
			}
		}
	}
}
