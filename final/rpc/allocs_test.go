//go:build !race

package rpc

import (
	"context"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// emptyCodec encodes everything as nothing, so that only the framework allocates.
type emptyCodec struct{}

func (emptyCodec) Name() string                             { return "empty" }
func (emptyCodec) Append(dst []byte, _ any) ([]byte, error) { return dst, nil }
func (emptyCodec) Decode([]byte, any) error                 { return nil }

// A call costs what its values cost, and a part of an allocation for records on the
// server. Anything more is a mistake that a benchmark shows too late.
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
	assert.Less(t, allocs, 1.0)
	assert.LessOrEqual(t, unsafe.Sizeof(serverCall{}), uintptr(208), "a class of sizes more")
}

// An item costs what its value costs: one allocation, and what decoding takes.
func TestAllocs_StreamItem(t *testing.T) {
	srv := NewServer(WithCodecs(emptyCodec{}))
	type empty struct{}
	echo := BidiStream[empty, empty]("Nothing.Sync")
	require.NoError(t, echo.Handle(srv, func(ctx context.Context, in *Receiver[empty], out *Sender[empty]) error {
		for item, err := range in.All() {
			if err == nil {
				err = out.Send(ctx, item)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
	client := dial(t, listen(t, srv), WithCodec(emptyCodec{}))
	s, err := echo.Open(t.Context(), client)
	require.NoError(t, err)
	item := new(empty)
	allocs := testing.AllocsPerRun(500, func() {
		if err := s.Send(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Receive(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	assert.Less(t, allocs, 2.0, "there and back")
	require.NoError(t, s.CloseSend())
}

// A large item is written by its sender: no goroutine is started for it.
func TestAllocs_LargeStreamItem(t *testing.T) {
	srv := NewServer(WithCodecs(bytesCodec{}))
	large := make([]byte, 64<<10)
	send := ServerStream[[]byte, []byte]("Nothing.Watch")
	require.NoError(t, send.Handle(srv, func(ctx context.Context, _ *[]byte, out *Sender[[]byte]) error {
		for {
			if err := out.Send(ctx, &large); err != nil {
				return err
			}
		}
	}))
	client := dial(t, listen(t, srv), WithCodec(bytesCodec{}))
	s, err := send.Open(t.Context(), client, new([]byte))
	require.NoError(t, err)
	defer s.Close()
	allocs := testing.AllocsPerRun(200, func() {
		item, err := s.Receive(t.Context())
		if err != nil || len(*item) != len(large) { // require would allocate
			require.Fail(t, "not the item that was sent", err)
		}
	})
	assert.Less(t, allocs, 3.5, "the value, its bytes, its place in the queue, and what several items have in common")
}
