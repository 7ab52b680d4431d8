package rpc

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

type (
	gobA    struct{ A int }
	gobB    struct{ B gobA }
	gobC    struct{ C chan int }
	gobAny  struct{ V any }
	gobRec  struct{ Next *gobRec }
	secretB struct{ N gobB }
)

func init() { gob.Register(secretB{}) }

// gobStream encodes values one by one, as a connection that sends each does.
type gobStream struct{ bodies *gobBodies }

func newGobStream() gobStream { return gobStream{newGobBodies(nil)} }

func (s gobStream) encode(v any) (body []byte, flags uint8, err error) {
	b, err := s.bodies.encode(context.Background(), v, nil)
	if err != nil {
		return nil, 0, err
	}
	defer b.sent()
	return b.buf.B, b.flags, nil
}

func TestGob_DescribesTypesOncePerStream(t *testing.T) {
	e := newGobStream()
	first, flags, err := e.encode(gobB{gobA{1}})
	require.NoError(t, err)
	assert.Zero(t, flags)
	second, _, err := e.encode(gobB{gobA{2}})
	require.NoError(t, err)
	assert.Less(t, 3*len(second), len(first))

	var d gobDecoder
	var got gobB
	require.NoError(t, d.decode(first, 0, &got))
	require.NoError(t, d.decode(second, 0, &got))
	assert.Equal(t, 2, got.B.A)
}

// A failed Encode has marked its types as sent although they never left.
func TestGob_FailedEncodeBeginsANewStream(t *testing.T) {
	e := newGobStream()
	var d gobDecoder
	body, _, err := e.encode(gobA{1})
	require.NoError(t, err)
	require.NoError(t, d.decode(body, 0, new(gobA)))
	_, _, err = e.encode(gobC{make(chan int)})
	require.Error(t, err)
	body, flags, err := e.encode(gobA{2})
	require.NoError(t, err)
	assert.Equal(t, uint8(wire.FlagRestart), flags)
	var got gobA
	require.NoError(t, d.decode(body, flags, &got))
	assert.Equal(t, 2, got.A)
	_, flags, err = e.encode(gobA{3})
	require.NoError(t, err)
	assert.Zero(t, flags, "once")
}

func TestGob_NilPointerIsAnErrorNotAPanic(t *testing.T) {
	e := newGobStream()
	_, _, err := e.encode((*gobA)(nil))
	assert.ErrorContains(t, err, "nil *rpc.gobA")
	_, err = Gob.Append(nil, (*gobA)(nil))
	assert.ErrorContains(t, err, "nil *rpc.gobA")
}

func TestGob_SkippedBodiesKeepTheTypesInStep(t *testing.T) {
	e := newGobStream()
	var d gobDecoder
	for i, v := range []any{gobB{}, gobB{}, gobRec{}, gobB{gobA{3}}} {
		body, flags, err := e.encode(v)
		require.NoError(t, err)
		if i < 3 {
			require.NoError(t, d.decode(body, flags, nil))
			continue
		}
		var got gobB
		require.NoError(t, d.decode(body, flags, &got))
		assert.Equal(t, 3, got.B.A)
	}
}

// A receiver that skips a value inside an interface loses its inner definitions.
func TestGob_InterfacesTravelSelfContained(t *testing.T) {
	e := newGobStream()
	var d gobDecoder
	for i := range 3 {
		body, flags, err := e.encode(gobAny{secretB{gobB{gobA{i}}}})
		require.NoError(t, err)
		assert.Equal(t, uint8(wire.FlagSelfContained), flags)
		if i == 0 {
			require.NoError(t, d.decode(body, flags, nil))
			continue
		}
		var got gobAny
		require.NoError(t, d.decode(body, flags, &got))
		assert.Equal(t, secretB{gobB{gobA{i}}}, got.V)
	}
}

func TestGob_WrongTypeFailsOneMessageOnly(t *testing.T) {
	e := newGobStream()
	var d gobDecoder
	body, flags, _ := e.encode(gobA{1})
	err := d.decode(body, flags, new(string))
	require.Error(t, err)
	assert.NotErrorIs(t, err, errGobStream)
	body, flags, _ = e.encode(gobA{2})
	var got gobA
	require.NoError(t, d.decode(body, flags, &got))
	assert.Equal(t, 2, got.A)
}

func TestGob_BrokenTypeDefinitionEndsTheStream(t *testing.T) {
	var buf bytes.Buffer
	require.NoError(t, gob.NewEncoder(&buf).Encode(gobA{1}))
	whole := buf.Bytes()
	for cut := 1; cut < len(whole); cut++ {
		var d gobDecoder
		assert.ErrorIs(t, d.decode(whole[:cut], 0, new(gobA)), errGobStream, "cut at %d", cut)
	}
	twice := append(bytes.Clone(whole), whole...)
	var d gobDecoder
	assert.True(t, errors.Is(d.decode(twice, 0, new(gobA)), errGobStream), "a second value in one message")
}

func TestGob_BrokenStreamEndsTheConnectionWithAReason(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithCodecs(Gob))
		raw := rawClient(t, srv, "gob")
		raw.request(1, checkStock.Name(), "\x05\xff\x81gob")
		_, e := raw.readGoAway()
		assert.Equal(t, InvalidArgument, e.Code)
		assert.Contains(t, e.Message, "broken gob stream")
		raw.conn.Close()
	})
}

func TestGob_ReadsAtMostOneMebibyte(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithCodecs(Gob))
		client := pipe(t, srv, WithCodec(Gob))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: longText(1 << 20)})
		assert.ErrorIs(t, err, ResourceExhausted)
		assert.ErrorContains(t, err, "at most 1048576")
		_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		assert.NoError(t, err)
	})
}
