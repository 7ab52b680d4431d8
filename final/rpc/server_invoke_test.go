package rpc

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// written makes a call as a gateway does: its result is in memory until let is closed.
func written(ctx context.Context, srv *Server, method string, writing *atomic.Int32, let <-chan struct{}) error {
	a, err := srv.Authorize(ctx, Invocation{Method: method, Codec: JSON})
	if err != nil {
		return err
	}
	defer a.Release()
	if _, err := a.Invoke(ctx, nil); err != nil {
		return err
	}
	writing.Add(1)
	<-let
	return nil
}

func inMemory(srv *Server) int64 {
	srv.replies.mu.Lock()
	defer srv.replies.mu.Unlock()
	return srv.replies.leased
}

// Who may call takes no place of a handler, and uses none of its time, before its params
// are there.
func TestAuthorize_TakesNothingUntilTheCallIsInvoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		allow := false
		srv := NewServer(WithMaxHandlers(1), WithHandlerTimeout(time.Second), WithAuthorize(func(ctx context.Context, _ string) (Identity, error) {
			if !allow {
				return Identity{}, Errorf(PermissionDenied, "a stranger")
			}
			<-time.After(300 * time.Millisecond)
			return Identity{Name: "ann"}, ctx.Err()
		}))
		defer srv.Close()
		require.NoError(t, srv.RegisterFunc("Test.Left", func(ctx context.Context, n int) (time.Duration, error) {
			assert.Equal(t, "ann", IdentityFrom(ctx).Name)
			end, _ := ctx.Deadline()
			return time.Until(end), nil
		}))
		in := Invocation{Method: "Test.Left", Codec: JSON}
		a, err := srv.Authorize(t.Context(), in)
		assert.Nil(t, a)
		assert.ErrorIs(t, err, PermissionDenied)
		assert.True(t, NeverRan(err))

		allow = true
		a, err = srv.Authorize(t.Context(), in)
		require.NoError(t, err)
		defer a.Release()
		<-time.After(10 * time.Second)
		in.Params = []byte("1")
		out, err := srv.Invoke(t.Context(), in)
		require.NoError(t, err, "the one handler is free")
		assert.Equal(t, "700000000", string(out), "a hook takes of the same time")
		out, err = a.Invoke(t.Context(), []byte("1"))
		require.NoError(t, err)
		assert.Equal(t, "700000000", string(out), "and params take none of it")
		_, err = a.Invoke(t.Context(), []byte("1"))
		assert.ErrorIs(t, err, InvalidArgument, "once")
		_, err = new(Authorized).Invoke(t.Context(), nil)
		assert.ErrorIs(t, err, InvalidArgument)
		new(Authorized).Release()
	})
}

// Close and Shutdown wait neither for params that do not arrive nor for answers that
// nobody reads.
func TestAuthorize_DoesNotDelayTheServersEnd(t *testing.T) {
	for name, end := range map[string]func(srv *Server) error{
		"Close":    (*Server).Close,
		"Shutdown": func(srv *Server) error { return srv.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				srv := NewServer(WithReplyMemory(4<<20, 0))
				text := strings.Repeat("x", 1<<20-2)
				require.NoError(t, srv.RegisterFunc("Test.Large", func() string { return text }))
				reading, err := srv.Authorize(t.Context(), Invocation{Method: "Test.Large", Codec: JSON})
				require.NoError(t, err)
				var writing atomic.Int32
				let, ended := make(chan struct{}), make(chan error, 2)
				for range 2 {
					go func() { ended <- written(t.Context(), srv, "Test.Large", &writing, let) }()
				}
				synctest.Wait()
				require.EqualValues(t, 1, writing.Load(), "the other result waits for memory")
				done := make(chan error, 1)
				go func() { done <- end(srv) }()
				synctest.Wait()
				if name == "Shutdown" {
					assert.Empty(t, done, "a handler whose result waits is running")
					close(let)
					synctest.Wait()
					assert.NoError(t, <-ended)
				} else {
					assert.ErrorIs(t, <-ended, Canceled)
				}
				require.Len(t, done, 1)
				assert.NoError(t, <-done)
				_, err = reading.Invoke(t.Context(), nil)
				assert.ErrorIs(t, err, Unavailable)
				assert.True(t, NeverRan(err))
				if name == "Close" {
					close(let)
				}
				assert.NoError(t, <-ended)
				synctest.Wait()
				assert.Zero(t, inMemory(srv))
			})
		})
	}
}

// Results that are being written count: the next one waits un-encoded, until there is
// room or its context ends. Small ones do not count. Together they have no more than a
// quarter, and connections have the rest.
func TestAuthorize_ResultsCountUntilTheyAreReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, WithReplyMemory(16<<20, 0))
		text := strings.Repeat("x", 255<<10)
		require.NoError(t, srv.RegisterFunc("Test.Large", func() string { return text }))
		require.NoError(t, srv.RegisterFunc("Test.Small", func() string { return "x" }))
		var writing atomic.Int32
		let := make(chan struct{})
		for range 40 {
			go written(t.Context(), srv, "Test.Large", &writing, let)
		}
		synctest.Wait()
		assert.EqualValues(t, 15, writing.Load(), "of a quarter of the memory, what is left is less than the guess of one more")
		assert.LessOrEqual(t, inMemory(srv), int64(4<<20))
		go written(t.Context(), srv, "Test.Small", &writing, let)
		synctest.Wait()
		assert.EqualValues(t, 16, writing.Load())
		other := srv.replies.newShare(1 << 20)
		assert.True(t, other.take(1<<20), "a connection has its share")
		other.give(1 << 20)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.ErrorIs(t, written(ctx, srv, "Test.Large", &writing, let), DeadlineExceeded)
		close(let)
		synctest.Wait()
		assert.EqualValues(t, 41, writing.Load())
		srv.Close()
		other.close()
		assert.Zero(t, inMemory(srv))
	})
}

// A context that ends while its result is first in line lets the next one have what is
// there.
func TestShare_WhoGivesUpLetsOthersPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := newMemory(400)
		s := of.newShare(100)
		require.True(t, s.take(60))
		large, small := make(chan struct{}), make(chan struct{})
		got := make(chan int64, 2)
		wait := func(n int64, ended <-chan struct{}) {
			taken, _ := s.await(n, ended)
			got <- taken
		}
		go wait(90, large)
		synctest.Wait()
		go wait(30, small)
		synctest.Wait()
		assert.Empty(t, got, "first come, first served")
		close(large)
		synctest.Wait()
		assert.ElementsMatch(t, []int64{0, 30}, []int64{<-got, <-got})
		s.give(90)
		go wait(100, nil)
		assert.EqualValues(t, 100, <-got)
		go wait(1, small)
		close(small)
		assert.Zero(t, <-got)
		assert.Zero(t, of.waiting.Len())
		s.give(100)
		s.close()
		assert.Zero(t, of.leased)
	})
}

// A connection that ends lets others have what it has kept for its next call.
func TestShare_TheEndOfOneLetsOthersGoOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := newMemory(1 << 20) // in blocks of 16 KiB
		const block = 16 << 10
		kept := of.newShare(block)
		require.True(t, kept.take(block))
		kept.give(block)
		require.EqualValues(t, block, of.leased, "a block stays with it")
		var others [3]share
		for i, n := range []int64{16, 16, 14} { // with the block that was kept, all but one of three quarters
			others[i] = of.newShare(1 << 20)
			require.True(t, others[i].take(n*block))
		}
		last := of.newShare(1 << 20)
		got := make(chan bool, 1)
		go func() {
			_, ok := last.await(2*block, nil)
			got <- ok
		}()
		synctest.Wait()
		require.Empty(t, got)
		kept.close()
		assert.True(t, <-got)
	})
}
