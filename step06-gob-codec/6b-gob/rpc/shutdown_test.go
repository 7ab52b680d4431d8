package rpc

import (
	"context"
	"io"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestServer_AnswersWhenItsOwnLimitIsOver(t *testing.T) {
	for _, test := range []struct {
		name    string
		limit   time.Duration
		request string
		want    time.Duration
	}{
		{"5 seconds unless set", 0, `{"id":1,"method":"Test.Stubborn"}`, 5 * time.Second},
		{"as set", time.Minute, `{"id":1,"method":"Test.Stubborn"}`, time.Minute},
		{"the caller waits longer", 0, `{"id":1,"method":"Test.Stubborn","timeout_ms":60000}`, 5 * time.Second},
		{"the caller does not wait as long", 0, `{"id":1,"method":"Test.Stubborn","timeout_ms":1000}`, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				srv := newServer(t, &Server{Timeout: test.limit})
				register(t, srv, "Stubborn", func() string { <-release; return "late" })
				conn := srv.connect(t)
				start := time.Now()
				assert.Equal(t, `{"id":1,"error":"deadline exceeded"}`+"\n", exchange(t, conn, test.request+"\n"))
				assert.Equal(t, test.want, time.Since(start))

				close(release) // the late result is dropped: one reply a request
				synctest.Wait()
				assert.Equal(t, `{"id":1,"error":"method not found: M"}`+"\n",
					exchange(t, conn, `{"id":1,"method":"M"}`+"\n"))
			})
		})
	}
}

func TestServer_ALateResultIsNotTakenForThatOfTheNextCallWithItsID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		releases := make(chan chan string, 2)
		srv := newServer(t, &Server{})
		register(t, srv, "Stubborn", func() string {
			release := make(chan string)
			releases <- release
			return <-release
		})
		conn := srv.connect(t)
		exchange(t, conn, `{"id":1,"method":"Test.Stubborn"}`+"\n") // is over after 5 s
		write(t, conn, `{"id":1,"method":"Test.Stubborn"}`+"\n")
		first, second := <-releases, <-releases
		first <- "first"
		synctest.Wait()
		second <- "second"
		assert.Equal(t, `{"id":1,"result":"second"}`+"\n", read(t, conn))
	})
}

func TestServer_ARequestWithoutIDIsLimitedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		srv := newServer(t, &Server{})
		register(t, srv, "Stubborn", func() string { <-release; return "late" })
		conn := srv.connect(t)
		write(t, conn, `{"method":"Test.Stubborn"}`+"\n"+`{"method":"M"}`+"\n")
		assert.Equal(t, `{"error":"deadline exceeded"}`+"\n", read(t, conn))
		assert.Equal(t, `{"error":"method not found: M"}`+"\n", read(t, conn))
	})
}

// goShutdown shuts srv down, and returns where the error will arrive.
func goShutdown(ctx context.Context, srv *testServer) <-chan error {
	done := make(chan error, 1)
	go func() { done <- srv.Shutdown(ctx) }()
	return done
}

func TestServer_ShutdownLetsRunningCallsFinishAndRefusesNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		srv := newServer(t, &Server{})
		register(t, srv, "Slow", func() string { <-release; return "finished" })
		c, idle := newClient(t, srv), newClient(t, srv)
		var result string
		running := goCall(c, "Test.Slow", nil, &result)
		synctest.Wait()

		done := goShutdown(t.Context(), srv)
		synctest.Wait()
		assert.EqualError(t, call(idle, "Test.Slow", nil, nil), "server is shutting down")
		assert.ErrorIs(t, <-srv.served, ErrServerClosed, "nobody is accepted any more")
		assert.Empty(t, done, "one call is running")

		close(release)
		require.NoError(t, <-running)
		assert.Equal(t, "finished", result)
		require.NoError(t, <-done)
		assert.Error(t, call(idle, "Test.Slow", nil, nil), "the connection is closed")
	})
}

// A request is counted or refused while the lock is held that Shutdown takes. What
// goes wrong without it takes a moment too short for a test, but the race detector
// notices: go test -race.
func TestServer_ShutdownAmongRequestsAnswersThoseThatItCounts(t *testing.T) {
	for i := range 20 {
		synctest.Test(t, func(t *testing.T) {
			srv := newServer(t, &Server{Handle: handle(func(req Request) Response {
				<-time.After(time.Second)
				return echo(req)
			})})
			c := newClient(t, srv)
			require.NoError(t, call(c, "M", nil, nil)) // the connection is served
			var result string
			running := goCall(c, "M", nil, &result)
			for range i {
				runtime.Gosched() // which orders nothing
			}
			done := goShutdown(t.Context(), srv)
			if err := <-running; err != nil {
				assert.NotEqual(t, "canceled", err.Error())
			} else {
				assert.Equal(t, "Echo: M", result)
			}
			assert.NoError(t, <-done)
		})
	}
}

func TestServer_ShutdownCutsWhatIsLeftWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		srv := newServer(t, &Server{})
		register(t, srv, "Stubborn", func() string { <-release; return "late" })
		running := goCall(newClient(t, srv), "Test.Stubborn", nil, nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := srv.Shutdown(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		assert.Error(t, <-running)
	})
}

func TestServer_ShutdownIsNotHeldUpByADeafClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		conn := srv.connect(t)
		write(t, conn, request("never read"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		assert.ErrorIs(t, srv.Shutdown(ctx), context.DeadlineExceeded)
		_, err := conn.Read(make([]byte, 1))
		assert.ErrorIs(t, err, io.EOF, "the connection is closed")
	})
}

func TestServer_ShutdownMayComeFirstTwiceAndWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{}
		require.NoError(t, srv.Shutdown(t.Context()))
		assert.ErrorIs(t, srv.Serve(newPipeListener()), ErrServerClosed)
		first, second := goShutdown(t.Context(), &testServer{Server: srv}), goShutdown(t.Context(), &testServer{Server: srv})
		require.NoError(t, srv.Close())
		assert.NoError(t, <-first)
		assert.NoError(t, <-second)
	})
}

func TestServer_ShutdownHearsOutItsClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := newEchoServer(t)
		conn := srv.connect(t)
		exchange(t, conn, request("hello"))
		done := goShutdown(t.Context(), srv)
		synctest.Wait()
		write(t, conn, request("too late")) // a connection cut off would fail this
		assert.Empty(t, done, "the server waits for its client to hang up")
		conn.Close()
		assert.NoError(t, <-done)
	})
}

func TestServer_ShutdownHandsOverTheLastReplies(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := &Server{Handle: handle(echo)}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	exchange(t, conn, request("hello"))
	write(t, conn, request("last")+request("half a line")[:5])
	assert.Equal(t, answer("last"), read(t, conn))

	done := goShutdown(t.Context(), &testServer{Server: srv})
	rest, err := io.ReadAll(conn)
	assert.NoError(t, err, "an end, not a reset")
	assert.Empty(t, rest)
	conn.Close()
	assert.NoError(t, <-done)
	assert.ErrorIs(t, <-served, ErrServerClosed)
}
