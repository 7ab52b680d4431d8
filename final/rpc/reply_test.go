package rpc

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cupboard has something of all that decoders mix: fields that are left out, maps,
// slices and pointers that are there already.
type cupboard struct {
	Name   string `json:",omitempty"`
	Count  int    `json:",omitempty"`
	Labels map[string]string
	Items  []box
	Best   *box
	Any    any
}

type box struct{ Width, Height int }

// guarded has what no decoder sees.
type guarded struct {
	mu    sync.Mutex
	seen  int
	Count int `json:",omitempty"`
}

// alias decodes itself, as many types do: into a type without methods.
type alias struct {
	Name  string `json:",omitempty"`
	Count int    `json:",omitempty"`
	calls int
}

func (a *alias) UnmarshalJSON(data []byte) error {
	type plain alias
	a.calls++
	return json.Unmarshal(data, (*plain)(a))
}

// into knows from before what to decode into.
type into struct{ v any }

func (i *into) UnmarshalJSON(data []byte) error { return json.Unmarshal(data, i.v) }

// replies are what a method returns, by its number.
func serveReplies(t *testing.T, replies ...any) (srv *Server, method string) {
	t.Helper()
	srv = newServer(t, WithCodecs(Gob))
	require.NoError(t, srv.RegisterFunc("Test.Reply", func(n int) (any, error) {
		if err, failed := replies[n].(error); failed {
			return nil, err
		}
		return replies[n], nil
	}))
	return srv, "Test.Reply"
}

func bothCodecs(t *testing.T, story func(t *testing.T, codec Codec)) {
	for _, codec := range []Codec{JSON, Gob} {
		t.Run(codec.Name(), func(t *testing.T) {
			bubble(t, func(t *testing.T) { story(t, codec) })
		})
	}
}

func TestReply_UsedTwiceIsNotMixed(t *testing.T) {
	full := cupboard{
		Name: "a", Count: 1, Labels: map[string]string{"old": "1"},
		Items: []box{{1, 1}, {2, 2}}, Best: &box{3, 3},
	}
	bare := cupboard{Labels: map[string]string{"new": "2"}, Items: []box{{Width: 9}}, Best: &box{Height: 9}}
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv, method := serveReplies(t, full, bare)
		client := pipe(t, srv, WithCodec(codec))
		var reply cupboard
		require.NoError(t, client.Call(t.Context(), method, 0, &reply))
		first := reply
		require.NoError(t, client.Call(t.Context(), method, 1, &reply))
		assert.Equal(t, bare, reply)
		assert.Equal(t, full, first, "what was copied from the first reply has not changed")
	})
}

func TestReply_OfEveryShapeIsReplaced(t *testing.T) {
	number := 7
	pointer := &box{7, 7}
	bothCodecs(t, func(t *testing.T, codec Codec) {
		for name, test := range map[string]struct{ sent, reply, want any }{
			"map":             {map[string]int{"new": 1}, &map[string]int{"old": 2}, &map[string]int{"new": 1}},
			"slice":           {[]box{{Width: 1}}, &[]box{{2, 2}, {3, 3}}, &[]box{{Width: 1}}},
			"room in a slice": {[]box{{Width: 1}}, ptr([]box{{2, 2}, {3, 3}}[:0]), &[]box{{Width: 1}}},
			"array":           {[2]box{{Width: 1}}, &[2]box{{2, 2}, {3, 3}}, &[2]box{{Width: 1}}},
			"number":          {1, &number, ptr(1)},
			"pointer":         {box{Width: 1}, &pointer, ptr(&box{Width: 1})},
			"nil pointer":     {box{Width: 1}, new(*box), ptr(&box{Width: 1})},
			"held":            {box{Width: 1}, ptr(any(&box{2, 2})), ptr(any(&box{Width: 1}))},
			"not decoded":     {guarded{}, &guarded{seen: 1, Count: 2}, &guarded{seen: 1}},
		} {
			srv, method := serveReplies(t, test.sent)
			assert.NoError(t, pipe(t, srv, WithCodec(codec)).Call(t.Context(), method, 0, test.reply), name)
			assert.Equal(t, test.want, test.reply, name)
			srv.Close()
		}
	})
}

// embeds has what it publishes in a struct that it does not.
type embeds struct {
	box
	At time.Time `json:",omitzero"`
}

func ptr[T any](v T) *T { return &v }

// An interface that holds a pointer stays one to the same variable, which others
// may look at.
func TestReply_HeldByAnInterfaceIsFilled(t *testing.T) {
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv, method := serveReplies(t, box{Width: 1})
		held := box{2, 2}
		var reply any = &held
		require.NoError(t, pipe(t, srv, WithCodec(codec)).Call(t.Context(), method, 0, &reply))
		assert.Equal(t, box{Width: 1}, held)
		assert.Same(t, &held, reply)
	})
}

func TestReply_ThatHoldsItselfEndsTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, method := serveReplies(t, 1)
		var reply any
		reply = &reply
		assert.NotPanics(t, func() { pipe(t, srv).Call(t.Context(), method, 0, &reply) })
	})
}

// What JSON alone decodes: into an interface, into what decodes itself.
func TestReply_JSONIsReplaced(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv, method := serveReplies(t, map[string]int{"a": 1}, map[string]int{"b": 2},
			alias{Name: "a"}, alias{Count: 1}, 5, (*time.Time)(nil), nil, map[string]int{"Width": 1})
		defer srv.Close()
		client := pipe(t, srv)
		var anything any
		var raw json.RawMessage
		var first json.RawMessage
		for n := range 2 {
			require.NoError(t, client.Call(t.Context(), method, n, &anything))
			require.NoError(t, client.Call(t.Context(), method, n, &raw))
			if n == 0 {
				first = raw
			}
		}
		assert.Equal(t, map[string]any{"b": 2.0}, anything)
		assert.Equal(t, []string{`{"a":1}`, `{"b":2}`}, []string{string(first), string(raw)})
		var own alias
		require.NoError(t, client.Call(t.Context(), method, 2, &own))
		require.NoError(t, client.Call(t.Context(), method, 3, &own))
		assert.Equal(t, alias{Count: 1, calls: 2}, own)
		number := 0
		require.NoError(t, client.Call(t.Context(), method, 4, &into{&number}))
		assert.Equal(t, 5, number)
		now := time.Now()
		require.NoError(t, client.Call(t.Context(), method, 5, &now))
		assert.Zero(t, now, "null")
		embedded := embeds{box{2, 2}, now}
		require.NoError(t, client.Call(t.Context(), method, 7, &embedded))
		assert.Equal(t, embeds{box: box{Width: 1}}, embedded)
		raw = json.RawMessage("old")
		require.NoError(t, client.Call(t.Context(), method, 6, &raw))
		assert.Empty(t, raw, "no result is the zero value")
	})
}

func TestReply_StaysAsItIsOnAnError(t *testing.T) {
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv, method := serveReplies(t, Errorf(NotFound, "no"), "a text is no cupboard", map[string]any{})
		client := pipe(t, srv, WithCodec(codec))
		for _, before := range []cupboard{{}, {Name: "old", Count: 1, Labels: map[string]string{"old": "1"}, Items: []box{{1, 1}}}} {
			reply := before
			assert.ErrorIs(t, client.Call(t.Context(), method, 0, &reply), NotFound)
			assert.Equal(t, before, reply)
			assert.ErrorContains(t, client.Call(t.Context(), method, 1, &reply), "decode the reply")
			assert.Equal(t, before, reply)
			assert.Error(t, client.Call(t.Context(), method, 99, &reply))
			assert.Equal(t, before, reply)
		}
	})
}

// half fails when half of it is decoded.
type half struct {
	Name string
	Bad  failing
}

type failing struct{ On bool }

func (failing) MarshalJSON() ([]byte, error) { return []byte("1"), nil }
func (*failing) UnmarshalJSON([]byte) error  { return errors.New("no") }
func (failing) GobEncode() ([]byte, error)   { return []byte("1"), nil }
func (*failing) GobDecode([]byte) error      { return errors.New("no") }

func TestReply_IsNotLeftHalfDecoded(t *testing.T) {
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv, method := serveReplies(t, half{"new", failing{true}})
		client := pipe(t, srv, WithCodec(codec))
		for _, before := range []half{{}, {Name: "old"}} {
			reply := before
			assert.ErrorContains(t, client.Call(t.Context(), method, 0, &reply), "no")
			assert.Equal(t, before, reply)
		}
	})
}

// Params may be the reply's own variable, or share memory with it: they are
// encoded before the reply is touched.
func TestReply_MayBeTheParams(t *testing.T) {
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv := newServer(t, WithCodecs(Gob))
		require.NoError(t, srv.RegisterFunc("Test.Add", func(b box) box { return box{Width: b.Width + b.Height} }))
		client := pipe(t, srv, WithCodec(codec))
		both := box{1, 2}
		require.NoError(t, client.Call(t.Context(), "Test.Add", &both, &both))
		assert.Equal(t, box{Width: 3}, both)
	})
}

func TestReply_OfAMethodWithoutResultIsTheZeroValue(t *testing.T) {
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv := newServer(t, WithCodecs(Gob))
		require.NoError(t, srv.RegisterFunc("Test.Nothing", func() error { return nil }))
		reply := box{1, 2}
		require.NoError(t, pipe(t, srv, WithCodec(codec)).Call(t.Context(), "Test.Nothing", nil, &reply))
		assert.Zero(t, reply)
	})
}

// A reply may be guarded by its own mutex, which is locked for the call.
func TestReply_StaysLocked(t *testing.T) {
	bothCodecs(t, func(t *testing.T, codec Codec) {
		srv, method := serveReplies(t, 0, guarded{Count: 3}, Errorf(NotFound, "no"))
		client := pipe(t, srv, WithCodec(codec))
		var reply guarded
		reply.mu.Lock()
		defer reply.mu.Unlock()
		for range 3 { // others wait for the lock meanwhile
			go func() {
				reply.mu.Lock()
				defer reply.mu.Unlock()
			}()
		}
		assert.NoError(t, client.Call(t.Context(), method, 1, &reply))
		assert.Error(t, client.Call(t.Context(), method, 2, &reply))
		assert.Equal(t, 3, reply.Count)
		assert.False(t, reply.mu.TryLock(), "as it was")
	})
}
