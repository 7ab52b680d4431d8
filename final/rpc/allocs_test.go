//go:build !race

package rpc

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// emptyCodec encodes everything as nothing, so that only the framework allocates.
type emptyCodec struct{}

func (emptyCodec) Name() string                             { return "empty" }
func (emptyCodec) Append(dst []byte, _ any) ([]byte, error) { return dst, nil }
func (emptyCodec) Decode([]byte, any) error                 { return nil }

// A call costs what its values cost and one record on the server. Anything more
// is a mistake that a benchmark shows too late.
func TestCall_AllocatesLittle(t *testing.T) {
	srv := NewServer(WithCodecs(emptyCodec{}))
	type empty struct{}
	nothing := Method[empty, empty]("Nothing.At")
	answer := new(empty)
	require.NoError(t, nothing.Handle(srv, func(context.Context, *empty) (*empty, error) { return answer, nil }, NonBlocking()))
	client := dial(t, listen(t, srv), WithCodec(emptyCodec{}))
	request := new(empty)
	allocs := testing.AllocsPerRun(500, func() {
		if _, err := nothing.Call(t.Context(), client, request); err != nil {
			t.Fatal(err)
		}
	})
	assert.LessOrEqual(t, allocs, 2.0)
}
