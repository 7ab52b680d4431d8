package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// waiter returns a server whose method Test.Wait waits for the end of its
// context, and the channel on which the reason for that end arrives.
func waiter(t *testing.T) (*testServer, <-chan error) {
	reasons := make(chan error, 1000)
	srv := newServer(t, &Server{})
	register(t, srv, "Wait", func(ctx context.Context) error {
		<-ctx.Done()
		reasons <- ctx.Err()
		return errors.New("nobody waits for this")
	})
	return srv, reasons
}

func TestServer_TellsTheMethodThatItsCallerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, reasons := waiter(t)
		conn := srv.connect(t)
		c := clientOn(t, conn)
		const calls = 100
		for range calls {
			goCall(c, "Test.Wait", nil, nil)
		}
		synctest.Wait()
		require.Empty(t, reasons)
		conn.Close() // as if the client's process had died
		for range calls {
			assert.Equal(t, context.Canceled, <-reasons)
		}
	})
}

func TestServer_TellsHandleThatItsCallerIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reasons := make(chan error, 1)
		srv := newServer(t, &Server{Handle: func(ctx context.Context, _ Request) Response {
			<-ctx.Done()
			reasons <- ctx.Err()
			return Response{}
		}})
		conn := srv.connect(t)
		goCall(clientOn(t, conn), "Test.Wait", nil, nil)
		synctest.Wait()
		require.Empty(t, reasons)
		conn.Close()
		synctest.Wait()
		require.Len(t, reasons, 1)
		assert.Equal(t, context.Canceled, <-reasons)
	})
}

func TestServer_CallsAMethodWithItsContextAndItsParams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Double", func(ctx context.Context, n int) (int, error) { return 2 * n, ctx.Err() })
		var got int
		require.NoError(t, call(newClient(t, srv), "Test.Double", 21, &got))
		assert.Equal(t, 42, got)
	})
}

// An ownContext is a context that can do more.
type ownContext interface {
	context.Context
	User() string
}

func TestService_ContextMayComeFirst(t *testing.T) {
	svc := NewService("Test")
	for i, fn := range []any{
		func(context.Context) {},
		func(context.Context, int) error { return nil },
		func(context.Context, line) (int, error) { return 0, nil },
	} {
		assert.NoError(t, svc.Register(fmt.Sprint("Method", i), fn))
	}
	assert.ErrorContains(t, svc.Register("Late", func(int, context.Context) {}), "Test.Late")
	assert.ErrorContains(t, svc.Register("Two", func(context.Context, int, int) {}), "Test.Two")
	assert.ErrorContains(t, svc.Register("Twice", func(context.Context, context.Context) {}), "Test.Twice")
	assert.ErrorContains(t, svc.Register("Own", func(ownContext) {}), "Test.Own", "the server cannot make one")
}

type clock struct{ Ticks }

type Ticks struct{}

func (Ticks) Wait(context.Context) error { return nil }

func (*clock) Now(ctx context.Context) string { _, ok := ctx.Deadline(); return fmt.Sprint(ok) }

func TestServer_PublishesMethodsWithOnlyAContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		require.NoError(t, srv.Register("Clock", &clock{}))
		var now string
		require.NoError(t, call(newClient(t, srv), "Clock.Now", nil, &now))
		assert.NotEmpty(t, now)
		assert.EqualError(t, call(newClient(t, srv), "Clock.Wait", nil, nil), "method not found: Clock.Wait")
	})
}

func TestServer_CloseEndsTheContextOfARequestWithoutID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, reasons := waiter(t)
		conn := srv.connect(t)
		write(t, conn, `{"method":"Test.Wait"}`+"\n")
		synctest.Wait()
		start := time.Now()
		require.NoError(t, srv.Close())
		assert.Equal(t, context.Canceled, <-reasons)
		assert.Equal(t, start, time.Now(), "no time has passed")
	})
}

func TestServer_AClientThatHasFinishedSendingIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, reasons := waiter(t)
		register(t, srv, "Quick", func() string { return "quick" })
		client, server := net.Pipe()
		defer client.Close()
		sent, end := io.Pipe()
		srv.accept(t, half{server, sent})
		for id, method := range []string{"Wait", "Quick", "Quick"} {
			fmt.Fprintf(end, `{"id":%d,"method":"Test.%s"}`+"\n", id+1, method)
		}
		settle() // two have their results: one is being written, one waits for its turn
		require.Empty(t, reasons)
		end.Close()
		assert.Equal(t, context.Canceled, <-reasons)
		replies := make(map[string]int)
		for range 3 {
			replies[read(t, client)]++
		}
		assert.Equal(t, map[string]int{
			`{"id":1,"error":"canceled"}` + "\n": 1,
			`{"id":2,"result":"quick"}` + "\n":   1, // which was ready
			`{"id":3,"result":"quick"}` + "\n":   1,
		}, replies)
		_, err := client.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "no other reply")
	})
}
