package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_TellsTheMethodThatItsCallIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, reasons := waiter(t)
		c := newClient(t, srv)
		other := goCall(c, "Test.Wait", nil, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Test.Wait", nil, nil) }()
		synctest.Wait()
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		assert.Equal(t, context.Canceled, <-reasons)
		synctest.Wait()
		assert.Empty(t, reasons, "the other call goes on")
		assert.Empty(t, other)
	})
}

func TestServer_DeadlineTravelsAndIsNeverLongerThanTheCallers(t *testing.T) {
	for _, test := range []struct{ left, want time.Duration }{
		{1500 * time.Millisecond, 1500 * time.Millisecond},
		{1999 * time.Microsecond, time.Millisecond},
		{time.Millisecond, time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			left := make(chan time.Duration, 1)
			srv := newServer(t, &Server{})
			register(t, srv, "Left", func(ctx context.Context) error {
				deadline, ok := ctx.Deadline()
				if !ok {
					return errors.New("the method's context has no deadline")
				}
				left <- time.Until(deadline)
				return nil
			})
			ctx, cancel := context.WithTimeout(t.Context(), test.left)
			defer cancel()
			require.NoError(t, newClient(t, srv).Call(ctx, "Test.Left", nil, nil))
			assert.Equal(t, test.want, <-left)
		})
	}
}

func TestServer_DeadlineEndsTheMethodsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, reasons := waiter(t)
		conn := srv.connect(t)
		start := time.Now()
		assert.Equal(t, `{"id":1,"error":"deadline exceeded"}`+"\n",
			exchange(t, conn, `{"id":1,"method":"Test.Wait","timeout_ms":1500}`+"\n"))
		assert.Equal(t, 1500*time.Millisecond, time.Since(start))
		assert.Equal(t, context.DeadlineExceeded, <-reasons)
	})
}

func TestServer_ACallWithADeadlineEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, reasons := waiter(t)
		conn := srv.connect(t)
		c := clientOn(t, conn)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		go c.Call(ctx, "Test.Wait", nil, nil)
		synctest.Wait()
		require.Empty(t, reasons)
		conn.Close()
		assert.Equal(t, context.Canceled, <-reasons)
	})
}

func TestClient_CallWithoutTimeLeftFailsLocally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		for _, left := range []time.Duration{999 * time.Microsecond, 0, -time.Second} {
			ctx, cancel := context.WithTimeout(t.Context(), left)
			assert.ErrorIs(t, c.Call(ctx, "M", nil, nil), context.DeadlineExceeded)
			cancel()
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithTimeout(ctx, 0) // was cancelled before
		defer cancel()
		for range 20 { // a select whose cases are all ready takes any
			assert.ErrorIs(t, c.Call(ctx, "M", nil, nil), context.Canceled)
			assert.ErrorIs(t, c.Call(late, "M", nil, nil), context.Canceled)
		}
		next := goEcho(t, c, "Next")
		req := readRequestFrom(t, server)
		assert.Equal(t, "Next", req.Method, "nothing else was sent")
		assert.Zero(t, req.TimeoutMS, "no deadline, no timeout")
		echoTo(t, server, req)
		<-next
	})
}

func TestClient_WaitingToBeWrittenCountsAgainstTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		first := goCall(c, "First", nil, nil) // fills the connection
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		go c.Call(ctx, "Second", nil, nil)
		<-time.After(time.Second) // of the bubble's clock
		assert.Equal(t, "First", readRequestFrom(t, server).Method)
		assert.EqualValues(t, 2000, readRequestFrom(t, server).TimeoutMS)
		server.Close()
		<-first
	})
}

func TestClient_TellsTheServerThatACallIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, server := playServer(t)
		ctx, cancel := context.WithCancel(t.Context())
		go c.Call(ctx, "M", nil, nil)
		assert.Equal(t, `{"id":1,"method":"M"}`+"\n", read(t, server))
		cancel()
		assert.Equal(t, `{"id":1,"cancel":true}`+"\n", read(t, server))
	})
}

func TestServer_ContextEndsWithItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := make(chan context.Context, 1)
		srv := newServer(t, &Server{})
		register(t, srv, "Keep", func(ctx context.Context) { kept <- ctx })
		require.NoError(t, call(newClient(t, srv), "Test.Keep", nil, nil))
		ctx := <-kept
		<-ctx.Done()
		assert.ErrorIs(t, ctx.Err(), context.Canceled)
	})
}

func TestServer_ACancelledCallHasOneReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv, _ := waiter(t)
		conn := srv.connect(t)
		var requests strings.Builder
		want := map[string]int{`{"error":"method not found: no.such"}` + "\n": 1}
		for id := 1; id <= 100; id++ {
			fmt.Fprintf(&requests, `{"id":%d,"method":"Test.Wait"}`+"\n", id)
			for range 3 { // one cancel would do
				fmt.Fprintf(&requests, `{"id":%d,"cancel":true}`+"\n", id)
			}
			want[fmt.Sprintf(`{"id":%d,"error":"canceled"}`+"\n", id)] = 1
		}
		requests.WriteString(`{"method":"no.such"}` + "\n")
		go io.WriteString(conn, requests.String())
		got := map[string]int{}
		for range want {
			got[read(t, conn)]++
		}
		assert.Equal(t, want, got, "how often each reply was sent")
	})
}

// A lateWriter takes a second to return from a write, also from one that fails.
type lateWriter struct{ net.Conn }

func (c lateWriter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	<-time.After(time.Second) // of the bubble's clock
	return n, err
}

// A heldWriter returns from a write when it is released.
type heldWriter struct {
	net.Conn
	release chan struct{}
}

func (c heldWriter) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	<-c.release
	return n, err
}

func TestServer_AnIDIsFreeWhenItsReplyArrives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		release := make(chan struct{})
		newEchoServer(t).accept(t, heldWriter{server, release})
		const request, answer = `{"id":1,"method":"M"}` + "\n", `{"id":1,"result":"Echo: M"}` + "\n"
		assert.Equal(t, answer, exchange(t, client, request))
		write(t, client, request) // the server is not back yet from writing its answer
		settle()                  // it has taken up the request
		close(release)
		assert.Equal(t, answer, read(t, client))
	})
}

func TestServer_CloseWaitsForTheRepliesBeingWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer client.Close()
		srv := newEchoServer(t)
		srv.accept(t, lateWriter{server})
		write(t, client, `{"id":1,"method":"M"}`+"\n")
		synctest.Wait() // the reply is being written, and its client does not read
		start := time.Now()
		require.NoError(t, srv.Close())
		assert.GreaterOrEqual(t, time.Since(start), time.Second, "Close returned before the goroutine that writes")
		<-time.After(time.Minute) // what is left over ends now, and only this test is red
	})
}

func TestServer_ACancelledCallKeepsItsIDUntilItsReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Work", func() { <-time.After(time.Minute) }) // of the bubble's clock
		conn := srv.connect(t)
		write(t, conn, `{"id":1,"method":"Test.Work"}`+"\n"+`{"id":1,"cancel":true}`+"\n")
		synctest.Wait()
		first := exchange(t, conn, `{"id":1,"method":"no.such"}`+"\n")
		second := read(t, conn)
		assert.NotContains(t, first, "no.such", "the cancelled call's reply is still to come")
		assert.Contains(t, first+second, `{"id":1,"error":"canceled"}`+"\n")
		<-time.After(time.Minute) // in 5f, the reply does not wait for the method
	})
}
