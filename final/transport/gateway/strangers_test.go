package gateway

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// onlyWithToken authorizes callers with a token.
func onlyWithToken(ctx context.Context, _ string) (rpc.Identity, error) {
	if rpc.MetadataFrom(ctx)["authorization"] == "" {
		return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "no token")
	}
	return rpc.Identity{Name: "ann"}, nil
}

const token = "Authorization: Bearer t"

// Strangers whose bodies never come take no place from those who may call, and are
// answered at once.
func TestCall_StrangersAreRefusedBeforeTheirBodies(t *testing.T) {
	noLeaks(t)
	_, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(onlyWithToken)}, WithMaxInFlight(1), WithReadTimeout(0))
	var strangers []net.Conn
	for range 4 {
		strangers = append(strangers, send(t, target, method, 100, "{"))
	}
	for _, conn := range strangers {
		assert.Equal(t, http.StatusOK, post(t, target+method, `{}`, token).StatusCode)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(20*time.Second)))
		text, err := io.ReadAll(conn)
		require.NoError(t, err)
		assert.Contains(t, string(text), "HTTP/1.1 401 ")
	}
}

// Streams, too: whoever may not open one takes neither a place of theirs nor of a body, and
// learns nothing of the params. Whoever may has until the deadline for the body.
func TestStream_StrangersAreRefusedBeforeAnything(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	srv, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(onlyWithToken)},
		WithMaxInFlight(1), WithMaxStreams(1), WithReadTimeout(0), WithGET(watch.Name()))
	registerStreams(t, srv, h)
	params := target + watchPath + "?params="
	a := do(t, http.MethodGet, params+url.QueryEscape(`{"Count":1}`), "", "Accept: "+ndjson, token)
	assert.Equal(t, `{"item":{"N":0}}`+"\n"+`{"end":{"code":"ok"}}`+"\n", a.text)

	answer := unfinished(t, target, "POST "+watchPath+" | "+token+" | Rpc-Timeout: 30ms")
	assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 504 "), "%s", answer)

	resp, in := openStream(t, target, `{"Count":1,"Then":"wait"}`, token)
	_, err := in.ReadString('\n')
	require.NoError(t, err)
	for range 4 {
		assert.True(t, strings.HasPrefix(unfinished(t, target, "POST "+watchPath), "HTTP/1.1 401 "))
		assert.Equal(t, http.StatusUnauthorized, post(t, target+watchPath, `[`).StatusCode)
		assert.Equal(t, http.StatusUnauthorized, do(t, http.MethodGet, params+"[", "", "Accept: "+eventStream).StatusCode)
	}
	assert.Equal(t, http.StatusTooManyRequests, post(t, target+watchPath, `{}`, token).StatusCode, "the only place is taken")
	resp.Body.Close()
	<-h.ended
}

// The time of a handler does not begin before its params have arrived, nor does it take
// one of WithMaxHandlers.
func TestCall_ABodyOnItsWayIsNoHandler(t *testing.T) {
	noLeaks(t)
	_, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithMaxHandlers(1)})
	slow := send(t, target, method, 2, "{")
	assert.Equal(t, http.StatusOK, post(t, target+method, `{}`).StatusCode)
	_, err := slow.Write([]byte("}"))
	require.NoError(t, err)
	head := make([]byte, len("HTTP/1.1 200"))
	_, err = io.ReadFull(slow, head)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1 200", string(head))
}

// The deadline of a call is for its body, too.
func TestCall_TheDeadlineIsForTheBodyToo(t *testing.T) {
	noLeaks(t)
	_, target := serve(t, newInventory(), nil)
	answer := unfinished(t, target, "POST "+method+" | Rpc-Timeout: 30ms")
	assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 504 "), "%s", answer)
}

// Also if a hook, that does not look at it, is still deciding. The answer does not wait for
// a body that nobody will read.
func TestCall_TheDeadlineIsForHooksToo(t *testing.T) {
	noLeaks(t)
	let := make(chan struct{})
	hang := func(context.Context, string) (rpc.Identity, error) {
		<-let
		return rpc.Identity{}, nil
	}
	_, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(hang)}, WithReadTimeout(0))
	answer := unfinished(t, target, "POST "+method+" | Rpc-Timeout: 30ms")
	assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 504 "), "%s", answer)
	close(let)
}

// The time of a body is its own: a slow hook takes none of it.
func TestCall_TheBodyHasItsTimeWhenTheHookHasDecided(t *testing.T) {
	noLeaks(t)
	slow := func(context.Context, string) (rpc.Identity, error) {
		<-time.After(2 * time.Second)
		return rpc.Identity{}, nil
	}
	_, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(slow)}, WithReadTimeout(time.Second))
	assert.Equal(t, http.StatusOK, post(t, target+method, `{}`).StatusCode)
}

// Close and Shutdown of the server wait neither for a body that does not arrive, nor for
// an answer that nobody reads: those are the http.Server's.
func TestCall_DoesNotDelayTheServersEnd(t *testing.T) {
	for name, end := range map[string]func(srv *rpc.Server) error{
		"Close":    (*rpc.Server).Close,
		"Shutdown": func(srv *rpc.Server) error { return srv.Shutdown(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			noLeaks(t)
			srv := rpc.NewServer()
			ended := make(chan struct{}, 1)
			require.NoError(t, srv.RegisterFunc("Test.Large", func() string {
				defer func() { ended <- struct{}{} }()
				return strings.Repeat("x", largeAnswer)
			}))
			g := New(srv, WithReadTimeout(0), WithWriteTimeout(0))
			hs := httptest.NewServer(g)
			defer hs.Close()
			reading := send(t, hs.URL, "/rpc/Test.Large", 100, "{")
			defer reading.Close()
			for g.places.bodies() == 0 {
				runtime.Gosched()
			}
			unread := send(t, hs.URL, "/rpc/Test.Large", 0, "")
			defer unread.Close()
			<-ended
			require.NoError(t, end(srv)) // and for the handler, which is encoding its result
			_, err := reading.Write([]byte(strings.Repeat(" ", 98) + "}"))
			require.NoError(t, err)
			head := make([]byte, len("HTTP/1.1 503"))
			_, err = io.ReadFull(reading, head)
			require.NoError(t, err)
			assert.Equal(t, "HTTP/1.1 503", string(head))
		})
	}
}

func (ps *places) bodies() int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	return ps.reading.Len()
}

type panicBody struct{}

func (panicBody) Read([]byte) (int, error) { panic("a body's") }
func (panicBody) Close() error             { return nil }

// Middleware may wrap a body. What it panics with is net/http's to report, and the place
// is free again.
func TestCall_ABodyThatPanicsGivesItsPlaceBack(t *testing.T) {
	noLeaks(t)
	srv := rpc.NewServer()
	defer srv.Close()
	require.NoError(t, srv.RegisterFunc("Test.It", func(int) error { return nil }))
	g := New(srv, WithMaxInFlight(1))
	for range 3 {
		r := httptest.NewRequest(http.MethodPost, "/rpc/Test.It", panicBody{})
		r.Host = "localhost"
		r.Header.Set("Content-Type", "application/json")
		assert.PanicsWithValue(t, "a body's", func() { g.ServeHTTP(httptest.NewRecorder(), r) })
	}
	assert.Zero(t, g.places.taken)
	assert.Zero(t, g.places.bodies())
	assert.NoError(t, srv.Shutdown(t.Context()))
}

// While a hook decides, requests wait within a bound.
func TestCall_HooksThatHangAreBounded(t *testing.T) {
	noLeaks(t)
	asked, let := make(chan struct{}, leastDoor), make(chan struct{})
	hang := func(context.Context, string) (rpc.Identity, error) {
		asked <- struct{}{}
		<-let
		return rpc.Identity{}, nil
	}
	_, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(hang)}, WithMaxInFlight(leastDoor))
	statuses := make(chan int)
	for range leastDoor {
		go func() { statuses <- post(t, target+method, `{}`).StatusCode }()
		<-asked
	}
	assert.Equal(t, http.StatusTooManyRequests, post(t, target+method, `{}`).StatusCode)
	close(let)
	for range leastDoor {
		assert.Equal(t, http.StatusOK, <-statuses)
	}
}

// Answers that nobody reads take no more memory than WithReplyMemory allows: the results
// beyond that are not encoded. Those of calls with small answers are.
func TestCall_UnreadAnswersAreWithinReplyMemory(t *testing.T) {
	noLeaks(t)
	const size, answers = 4 << 20, 40
	srv, target := serve(t, newInventory(), []rpc.ServerOption{rpc.WithReplyMemory(16<<20, 0)}, WithWriteTimeout(0))
	large, ended := strings.Repeat("x", size), make(chan struct{}, answers)
	require.NoError(t, srv.RegisterFunc("Test.Large", func() string {
		defer func() { ended <- struct{}{} }()
		return large
	}))
	before := heap()
	var unread []net.Conn
	for range answers {
		unread = append(unread, send(t, target, "/rpc/Test.Large", 0, ""))
		<-ended
	}
	assert.Equal(t, http.StatusOK, post(t, target+method, `{}`).StatusCode)
	// An answer and its copies in the making, beside what is counted.
	assert.Less(t, heap()-before, int64(4<<20+4*size))
	for _, conn := range unread {
		conn.Close()
	}
	assert.Equal(t, fmt.Sprintf("%q\n", large), post(t, target+"/rpc/Test.Large", "").text)
	<-ended
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
