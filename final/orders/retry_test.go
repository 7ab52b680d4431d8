package orders

import (
	"context"
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/rpc"
)

// failing is a Caller that fails n times with err before it succeeds.
func failing(n int, err error) (caller rpc.Caller, calls *int) {
	calls = new(int)
	return rpc.CallerFunc(func(context.Context, string, any, any) error {
		if *calls++; *calls <= n {
			return err
		}
		return nil
	}), calls
}

func TestRetries_TryUntilThereIsAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var retries Retries
		caller, calls := failing(50, rpc.Errorf(rpc.Unavailable, "nobody is there"))
		assert.NoError(t, retries.Insist(caller).Call(t.Context(), "Inventory.List", nil, nil))
		assert.Equal(t, 51, *calls)
		assert.EqualValues(t, 50, retries.Count())
	})
}

func TestRetries_EndWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var retries Retries
		caller, _ := failing(1_000_000, rpc.Errorf(rpc.Unavailable, "nobody is there"))
		err := retries.Insist(caller).Call(ctx, "Inventory.List", nil, nil)
		assert.ErrorIs(t, err, rpc.Unavailable, "why it was tried again says more than that the time is up")
		assert.Greater(t, retries.Count(), int64(3))
	})
}

func TestRetries_LeaveAnAnswerAlone(t *testing.T) {
	for name, err := range map[string]error{
		"a refusal":          rpc.Errorf(rpc.FailedPrecondition, "out of stock"),
		"a bug":              rpc.Errorf(rpc.Internal, "panic"),
		"too large a call":   rpc.Errorf(rpc.ResourceExhausted, "request of 5 MiB"),
		"no longer wanted":   context.Canceled,
		"the time is up":     context.DeadlineExceeded,
		"the client's end":   rpc.Errorf(rpc.Unavailable, "%w", rpc.ErrClientClosed),
		"something uncommon": errors.New("something"),
		"a nil pointer":      (*rpc.Error)(nil),
	} {
		t.Run(name, func(t *testing.T) {
			var retries Retries
			caller, calls := failing(2, err)
			assert.Equal(t, err, retries.Insist(caller).Call(t.Context(), "Inventory.List", nil, nil))
			assert.Equal(t, 1, *calls)
			assert.Zero(t, retries.Count())
		})
	}
}

// A server without room says that the call never ran, so it is worth another try.
func TestRetries_ComeBackWhenAServerHasNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold, running := make(chan struct{}), make(chan struct{}, 1)
		srv := rpc.NewServer(rpc.WithMaxHandlers(1))
		assert.NoError(t, srv.RegisterFunc("Room.Enter", func(ctx context.Context) error {
			running <- struct{}{}
			<-hold
			return nil
		}))
		here, there := net.Pipe()
		go srv.ServeConn(there)
		var retries Retries
		client := rpc.NewClient(here, rpc.WithClientInterceptors(retries.Insist))
		first := client.Go(t.Context(), "Room.Enter", nil, nil)
		<-running
		second := client.Go(t.Context(), "Room.Enter", nil, nil)
		synctest.Wait()
		<-time.After(time.Minute) // of the bubble
		close(hold)
		assert.NoError(t, first.Wait())
		<-running
		assert.NoError(t, second.Wait())
		assert.Positive(t, retries.Count())
		client.Close()
		srv.Close()
	})
}
