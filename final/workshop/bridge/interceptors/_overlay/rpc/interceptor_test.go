package rpc

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// noting returns an interceptor for each side that writes its name down.
func noting(notes *[]string, name string) (ServerInterceptor, ClientInterceptor) {
	server := func(next Handler) Handler {
		*notes = append(*notes, "made "+name)
		return func(ctx context.Context, req Request) Response {
			*notes = append(*notes, name+" sees "+req.Method)
			return next(ctx, req)
		}
	}
	client := func(next Caller) Caller {
		return CallerFunc(func(ctx context.Context, method string, params, result any) error {
			*notes = append(*notes, name+" calls "+method)
			return next.Call(ctx, method, params, result)
		})
	}
	return server, client
}

func TestInterceptors_RunInOrderOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes []string
		s1, c1 := noting(&notes, "one")
		s2, c2 := noting(&notes, "two")
		srv := &Server{}
		srv.Use(s1, s2)
		s := newServer(t, srv)
		register(t, s, "Add", func(n int) int { return n + 1 })
		caller := Intercept(newClient(t, s), c1, c2)
		var sum int
		for range 2 {
			require.NoError(t, caller.Call(t.Context(), "Test.Add", 1, &sum))
		}
		assert.Equal(t, 2, sum)
		assert.Equal(t, []string{
			"made two", "made one",
			"one calls Test.Add", "two calls Test.Add", "one sees Test.Add", "two sees Test.Add",
			"one calls Test.Add", "two calls Test.Add", "one sees Test.Add", "two sees Test.Add",
		}, notes)
	})
}

func TestInterceptors_SeeWhatWasNotFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var notes []string
		s1, _ := noting(&notes, "one")
		srv := &Server{}
		srv.Use(s1)
		err := call(newClient(t, newServer(t, srv)), "Nobody.WroteThis", nil, nil)
		assert.EqualError(t, err, "method not found: Nobody.WroteThis")
		assert.Contains(t, notes, "one sees Nobody.WroteThis")
	})
}

func TestAtMost_RefusesWhatIsTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{}
		srv.Use(AtMost(3))
		s := newServer(t, srv)
		release, running := make(chan struct{}), make(chan struct{}, 10)
		register(t, s, "Slow", func() { running <- struct{}{}; <-release })
		c := newClient(t, s)
		var done []<-chan error
		for range 3 {
			done = append(done, goCall(c, "Test.Slow", nil, nil))
		}
		synctest.Wait()
		for range 7 {
			assert.ErrorIs(t, call(c, "Test.Slow", nil, nil), ResourceExhausted)
		}
		assert.Len(t, running, 3)
		close(release)
		for _, d := range done {
			assert.NoError(t, <-d)
		}
		assert.NoError(t, call(c, "Test.Slow", nil, nil), "there is room again")
	})
}

func TestAtMost_CancelledCallsTakeRoomUntilTheyReturn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{}
		srv.Use(AtMost(1))
		s := newServer(t, srv)
		release, running := make(chan struct{}), make(chan struct{}, 10)
		register(t, s, "Deaf", func() { running <- struct{}{}; <-release })
		c := newClient(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Call(ctx, "Test.Deaf", nil, nil) }()
		<-running
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
		synctest.Wait()
		assert.ErrorIs(t, call(c, "Test.Deaf", nil, nil), ResourceExhausted)
		close(release)
	})
}

func TestAtMost_APanicGivesItsRoomBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{}
		srv.Use(AtMost(1))
		s := newServer(t, srv)
		register(t, s, "Panic", func() { panic("no") })
		c := newClient(t, s)
		for range 3 {
			assert.EqualError(t, call(c, "Test.Panic", nil, nil), "internal error")
		}
	})
}

func TestLogRequests_WritesALineForEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		srv := &Server{}
		srv.Use(LogRequests(slog.New(slog.NewTextHandler(&log, nil))))
		s := newServer(t, srv)
		register(t, s, "Secret", func(string) error { return Errorf(NotFound, "unknown item: item9") })
		assert.ErrorIs(t, call(newClient(t, s), "Test.Secret", "password", nil), NotFound)
		assert.Contains(t, log.String(), "msg=request method=Test.Secret id=1 took=")
		assert.Contains(t, log.String(), `code=not_found error="unknown item: item9"`)
		assert.NotContains(t, log.String(), "password")
	})
}
