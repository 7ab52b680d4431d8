package rpc

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowGob is a value that encodes itself once it may. hold is the same for all: a
// copy that gob makes has to find it.
type slowGob struct{ N int }

var holdGob chan struct{}

func (s slowGob) GobEncode() ([]byte, error) {
	<-holdGob
	return []byte{byte(s.N)}, nil
}

func (s *slowGob) GobDecode(b []byte) error {
	s.N = int(b[0])
	return nil
}

// While a value encodes itself, its connection goes on: nothing but the next value of
// the stream has to wait, and that no longer than its caller wants to.
func TestGob_AConnectionGoesOnWhileAValueIsEncoded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		holdGob = make(chan struct{})
		srv := NewServer(WithCodecs(Gob))
		require.NoError(t, srv.RegisterFunc("Slow.Echo", func(s slowGob) slowGob { return s }))
		require.NoError(t, srv.RegisterFunc("Slow.None", func(context.Context) error { return nil }))
		client := pipe(t, srv, WithCodec(Gob))
		defer srv.Close()
		require.NoError(t, client.Ping(t.Context()))
		held := make(chan error, 1)
		var got slowGob
		go func() { held <- client.Call(t.Context(), "Slow.Echo", slowGob{7}, &got) }()
		synctest.Wait()

		goesOn := func() {
			t.Helper()
			require.NoError(t, client.Ping(t.Context()))
			require.NoError(t, client.Call(t.Context(), "Slow.None", nil, nil))
		}
		goesOn()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := client.Call(ctx, "Slow.Echo", slowGob{8}, nil)
		assert.Equal(t, DeadlineExceeded, CodeOf(err))
		assert.True(t, NeverRan(err))

		holdGob <- struct{}{} // the params; the result waits on the server now
		synctest.Wait()
		goesOn()
		holdGob <- struct{}{}
		require.NoError(t, <-held)
		assert.Equal(t, slowGob{7}, got)
	})
}

// A caller that waits for its turn learns of the connection's end.
func TestGob_ClosingEndsTheWaitForATurn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		holdGob = make(chan struct{})
		srv := NewServer(WithCodecs(Gob))
		require.NoError(t, srv.RegisterFunc("Slow.Echo", func(s slowGob) slowGob { return s }))
		client := pipe(t, srv, WithCodec(Gob))
		defer srv.Close()
		require.NoError(t, client.Ping(t.Context()))
		ended := make(chan error, 2)
		for range 2 {
			go func() { ended <- client.Call(t.Context(), "Slow.Echo", slowGob{}, nil) }()
		}
		synctest.Wait()
		client.Close()
		assert.ErrorIs(t, <-ended, ErrClientClosed)
		close(holdGob)
		assert.ErrorIs(t, <-ended, ErrClientClosed)
	})
}
