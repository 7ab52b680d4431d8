package rpc

import (
	"context"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// spread is a type in which two bytes of JSON take 4 KiB.
type spread [][512]int64

// empties is JSON of so many empty arrays.
func empties(n int) json.RawMessage {
	return json.RawMessage("[[]" + strings.Repeat(",[]", n-1) + "]")
}

var (
	give    = Method[int, json.RawMessage]("Test.Give")
	unfold  = ServerStream[int, json.RawMessage]("Test.Unfold")
	spreads = map[string]func(ctx context.Context, c StreamCaller, n int) (spread, error){
		"reply": func(ctx context.Context, c StreamCaller, n int) (spread, error) {
			got := spread{{1}}
			err := c.Call(ctx, give.Name(), n, &got)
			return got, err
		},
		"item": func(ctx context.Context, c StreamCaller, n int) (spread, error) {
			s, err := ServerStream[int, spread](unfold.Name()).Open(ctx, c, &n)
			if err != nil {
				return nil, err
			}
			defer s.Close()
			got, err := s.Receive(ctx)
			if err != nil {
				return spread{{1}}, err
			}
			return *got, nil
		},
	}
)

// spreading returns a server that gives as many empty arrays as it is asked for.
func spreading(t *testing.T, opts ...ServerOption) *Server {
	srv := NewServer(opts...)
	t.Cleanup(func() { srv.Close() })
	require.NoError(t, give.Handle(srv, func(_ context.Context, n *int) (*json.RawMessage, error) { return new(empties(*n)), nil }))
	require.NoError(t, unfold.Handle(srv, func(ctx context.Context, n *int, out *Sender[json.RawMessage]) error {
		return out.Send(ctx, new(empties(*n)))
	}))
	return srv
}

// A few bytes can become much memory, and a server may be hostile: such a reply is not
// decoded, and the connection goes on.
func TestClient_RefusesWhatWouldTakeTooMuchMemory(t *testing.T) {
	const most = 4 << 20
	for name, opts := range map[string][]ClientOption{"plain": nil, "compressed": {WithCompression(1 << 10)}} {
		for what, get := range spreads {
			t.Run(name+"/"+what, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					n := newNetwork()
					n.set("a", spreading(t, WithCompression(1<<10)))
					client := dial(t, "a", append(opts, WithDialer(n.dial), WithMaxDecoded(most))...)
					for range 2 {
						got, err := get(timeout(t, time.Minute), client, 2000)
						assert.ErrorIs(t, err, ResourceExhausted)
						assert.ErrorContains(t, err, "the limit is 4194304 (WithMaxDecoded)")
						assert.False(t, NeverRan(err))
						assert.Equal(t, spread{{1}}, got, "the reply is as it was")

						got, err = get(timeout(t, time.Minute), client, 500)
						require.NoError(t, err)
						assert.Len(t, got, 500)
					}
				})
			})
		}
	}
}

// The default is far above what most values take, and goes with the largest message.
func TestClient_TheMostThatAReplyMayTake(t *testing.T) {
	for _, c := range []struct {
		opts []ClientOption
		most int64
	}{
		{nil, 1 << 30},
		{[]ClientOption{WithMaxMessage(8 << 20)}, 2 << 30},
		{[]ClientOption{WithMaxDecoded(7), WithMaxMessage(8 << 20)}, 7},
	} {
		o := defaultClientOptions()
		o.apply(c.opts)
		assert.Equal(t, c.most, o.decodedBound().most)
	}
}

// oddSizer is JSON that measures in its own way.
type oddSizer struct {
	jsonCodec
	measure func() int64
}

func (oddSizer) Name() string { return "odd" }

func (o oddSizer) Sizes(reflect.Type) SizeFunc { return func([]byte) int64 { return o.measure() } }

func TestClient_ASizerThatPanicsFailsTheCall(t *testing.T) {
	bubble(t, func(t *testing.T) {
		codec := oddSizer{measure: func() int64 { return 1 }}
		srv := newServer(t, WithCodecs(codec))
		require.NoError(t, srv.RegisterFunc("Test.Give", func(context.Context) (string, error) { return strings.Repeat("x", 10_000), nil }))
		n := newNetwork()
		n.set("a", srv)
		codec.measure = func() int64 { panic("odd") }
		client := dial(t, "a", WithDialer(n.dial), WithCodec(codec))
		for range 2 {
			var got string
			err := client.Call(timeout(t, time.Minute), "Test.Give", nil, &got)
			assert.ErrorIs(t, err, Internal)
			assert.ErrorContains(t, err, "panic while measuring a body for *string")
			assert.Empty(t, got)
		}
		assert.NoError(t, client.Call(timeout(t, time.Minute), "Test.Give", nil, nil), "what is dropped is not measured")
	})
}
