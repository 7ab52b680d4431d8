package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

type (
	watchRequest struct {
		Count int
		Size  int
		Fails string // the code of the end
		Then  string // "wait": until the client leaves; "goexit", "panic"
	}
	change struct {
		N    int
		Data string `json:",omitempty"`
	}
	odd struct{ text string } // its JSON
)

func (o *odd) MarshalJSON() ([]byte, error) { return []byte(o.text), nil }

var (
	watch   = rpc.ServerStream[watchRequest, change]("Inventory.Watch")
	imports = rpc.ClientStream[change, change]("Orders.Import")
	syncing = rpc.BidiStream[change, change]("Inventory.Sync")
)

const watchPath = "/rpc/Inventory.Watch"

// watcher is the handler of watch.
type watcher struct {
	saw   func(ctx context.Context)
	sent  chan int   // if not nil: what has been sent
	ended chan error // what the contexts of those that waited have ended with
}

func (h *watcher) watch(ctx context.Context, req *watchRequest, out *rpc.Sender[change]) error {
	if h.saw != nil {
		h.saw(ctx)
	}
	data := strings.Repeat("x", req.Size)
	for n := range req.Count {
		if err := out.Send(ctx, &change{N: n, Data: data}); err != nil {
			h.ended <- ctx.Err()
			return err
		}
		if h.sent != nil {
			h.sent <- n
		}
	}
	switch req.Then {
	case "wait":
		<-ctx.Done()
		h.ended <- ctx.Err()
		return ctx.Err()
	case "panic":
		panic("secret")
	}
	for c := rpc.Canceled; c <= rpc.Unauthenticated; c++ {
		if c.String() == req.Fails {
			return &rpc.Error{Code: c, Message: "as you\nwish", Details: map[string]string{rpc.RetryAfterDetail: "1500"}}
		}
	}
	return nil
}

func newWatcher() *watcher { return &watcher{ended: make(chan error, 64)} }

// serveStreams serves h and the other kinds of streams.
func serveStreams(t *testing.T, h *watcher, opts ...Option) (srv *rpc.Server, url string) {
	t.Helper()
	srv, url = serve(t, newInventory(), nil, opts...)
	registerStreams(t, srv, h)
	return srv, url
}

func registerStreams(t *testing.T, srv *rpc.Server, h *watcher) {
	t.Helper()
	require.NoError(t, watch.Handle(srv, h.watch))
	require.NoError(t, imports.Handle(srv, func(ctx context.Context, in *rpc.Receiver[change]) (*change, error) { return in.Receive(ctx) }))
	require.NoError(t, syncing.Handle(srv, func(ctx context.Context, in *rpc.Receiver[change], out *rpc.Sender[change]) error { return nil }))
}

func TestStream_LinesAndEvents(t *testing.T) {
	noLeaks(t)
	_, url := serveStreams(t, newWatcher(), WithGET(watch.Name()))
	for _, c := range []struct {
		params, accept, kind, want string
	}{
		{`{"Count":2}`, "", ndjson, `{"item":{"N":0}}` + "\n" + `{"item":{"N":1}}` + "\n" + `{"end":{"code":"ok"}}` + "\n"},
		{`{"Count":2}`, "*/*", ndjson, `{"item":{"N":0}}` + "\n" + `{"item":{"N":1}}` + "\n" + `{"end":{"code":"ok"}}` + "\n"},
		{`{"Count":1}`, "text/html, application/x-ndjson;q=0.5, text/event-stream;q=0", ndjson, `{"item":{"N":0}}` + "\n" + `{"end":{"code":"ok"}}` + "\n"},
		{"", "", ndjson, `{"end":{"code":"ok"}}` + "\n"},
		{`{"Count":2}`, "text/event-stream", eventStream, "data: {\"N\":0}\n\ndata: {\"N\":1}\n\nevent: end\ndata: {\"code\":\"ok\"}\n\n"},
		{
			`{"Count":1,"Fails":"aborted"}`, "", ndjson,
			`{"item":{"N":0}}` + "\n" + `{"end":{"code":"aborted","message":"as you\nwish","details":{"retry-after-ms":"1500"}}}` + "\n",
		},
		{
			`{"Count":1,"Fails":"aborted"}`, "text/event-stream", eventStream,
			"data: {\"N\":0}\n\nevent: end\nretry: 1500\ndata: {\"code\":\"aborted\",\"message\":\"as you\\nwish\",\"details\":{\"retry-after-ms\":\"1500\"}}\n\n",
		},
		{`{"Count":1,"Then":"panic"}`, "", ndjson, `{"item":{"N":0}}` + "\n" + `{"end":{"code":"internal","message":"the handler of Inventory.Watch panicked"}}` + "\n"},
	} {
		a := post(t, url+watchPath, c.params, "Accept: "+c.accept)
		assert.Equal(t, http.StatusOK, a.StatusCode, c.params)
		assert.Equal(t, c.kind, a.Header.Get("Content-Type"), c.accept)
		assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
		assert.Equal(t, c.want, a.text)
	}
}

// What a stream fails with before its first item has the status of a call's error.
func TestStream_AnErrorBeforeTheFirstItemIsACalls(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	h.saw = func(ctx context.Context) { assert.NoError(t, rpc.SetHeader(ctx, rpc.Metadata{"tenant": "blue"})) }
	_, url := serveStreams(t, h)
	for _, accept := range []string{"", "text/event-stream"} {
		a := post(t, url+watchPath, `{"Fails":"unavailable"}`, "Accept: "+accept)
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		assert.Equal(t, "unavailable", a.failure(t).Code)
		assert.Equal(t, "2", a.Header.Get("Retry-After"))
		assert.Equal(t, "blue", a.Header.Get("Rpc-Meta-Tenant"))
		a = post(t, url+watchPath, `[`, "Accept: "+accept)
		assert.Equal(t, http.StatusBadRequest, a.StatusCode)
	}
	a := post(t, url+watchPath, `{"Count":1}`)
	assert.Equal(t, "blue", a.Header.Get("Rpc-Meta-Tenant"), "and beside items")
	a = post(t, url+watchPath, `{}`)
	assert.Equal(t, "blue", a.Header.Get("Rpc-Meta-Tenant"), "and beside none")
}

func TestStream_HeaderAndTrailer(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	h.saw = func(ctx context.Context) {
		assert.NoError(t, rpc.SetHeader(ctx, rpc.Metadata{"tenant": "blue"}))
		assert.NoError(t, rpc.SendHeader(ctx))
		assert.NoError(t, rpc.SetTrailer(ctx, rpc.Metadata{"seen": "all\u202e"}))
	}
	_, url := serveStreams(t, h)
	resp, in := openStream(t, url, `{"Then":"wait"}`)
	assert.Equal(t, "blue", resp.Header.Get("Rpc-Meta-Tenant"), "without an item")
	resp.Body.Close()
	<-h.ended
	_, err := in.ReadByte()
	assert.Error(t, err)
	a := post(t, url+watchPath, `{}`)
	assert.Equal(t, `{"end":{"code":"ok","trailer":{"seen":"all\u202e"}}}`+"\n", a.text)
	a = post(t, url+watchPath, `{"Fails":"not_found"}`)
	assert.Equal(t, http.StatusOK, a.StatusCode, "the header has left")
	assert.Contains(t, a.text, `"trailer":{"seen":"all`)

	h.saw = func(ctx context.Context) { assert.NoError(t, rpc.SetTrailer(ctx, rpc.Metadata{"seen": "none"})) }
	a = post(t, url+watchPath, `{"Fails":"not_found"}`)
	assert.Equal(t, http.StatusNotFound, a.StatusCode)
	assert.Equal(t, rpc.Metadata{"seen": "none"}, a.failure(t).Trailer)
}

func TestStream_OtherKindsNeedAConnection(t *testing.T) {
	noLeaks(t)
	_, url := serveStreams(t, newWatcher(), WithGET(imports.Name()))
	for name, kind := range map[string]string{imports.Name(): "client stream", syncing.Name(): "bidi stream"} {
		a := post(t, url+"/rpc/"+name, `{}`, "Accept: text/event-stream")
		assert.Equal(t, http.StatusNotImplemented, a.StatusCode)
		assert.Equal(t, errorBody{Code: "unimplemented", Message: name + " is a " + kind + ": over HTTP there are calls and server streams; this one needs a connection of package rpc"}, a.failure(t))
	}
	a := do(t, http.MethodGet, url+"/rpc/Orders.Import", "", "Accept: text/event-stream")
	assert.Equal(t, http.StatusNotImplemented, a.StatusCode)
	a = post(t, url+method, `{}`, "Accept: text/event-stream")
	assert.Equal(t, "application/json", a.Header.Get("Content-Type"), "a call is a call")
}

func TestStream_ByGET(t *testing.T) {
	noLeaks(t)
	_, target := serveStreams(t, newWatcher(), WithGET(watch.Name(), checkStock.Name()), WithCORS("https://shop.example"), WithMaxBody(100))
	get := func(path, query string, headers ...string) answer {
		return do(t, http.MethodGet, target+path+"?"+query, "", headers...)
	}
	params := url.Values{"params": {`{"Count":1}`}}.Encode()
	a := get(watchPath, params, "Accept: text/event-stream", "Sec-Fetch-Site: same-origin")
	assert.Equal(t, "data: {\"N\":0}\n\nevent: end\ndata: {\"code\":\"ok\"}\n\n", a.text)
	a = get(watchPath, "", "Accept: application/x-ndjson")
	assert.Equal(t, `{"end":{"code":"ok"}}`+"\n", a.text)
	a = get(watchPath, params, "Accept: text/event-stream", "Sec-Fetch-Site: cross-site", "Origin: https://shop.example")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Equal(t, "https://shop.example", a.Header.Get("Access-Control-Allow-Origin"))
	for _, c := range []struct {
		path, query string
		status      int
		headers     []string
	}{
		{watchPath, params, 403, []string{"Accept: text/event-stream", "Sec-Fetch-Site: cross-site"}},
		{watchPath, params, 403, []string{"Accept: text/event-stream", "Sec-Fetch-Site: same-site"}},
		{watchPath, params, 403, []string{"Accept: text/event-stream", "Origin: https://evil.example"}},
		{watchPath, params + "&" + params, 400, []string{"Accept: text/event-stream"}},
		{watchPath, `params={"Item":"a;b"}`, 400, []string{"Accept: text/event-stream"}},
		{watchPath, `params={"Item":"a%"}`, 400, []string{"Accept: text/event-stream"}},
		{watchPath, "params=" + strings.Repeat("x", 101), 413, []string{"Accept: text/event-stream"}},
		{watchPath, params, 400, []string{"Accept: text/event-stream", "Rpc-Timeout: soon"}},
		{watchPath, params, 405, []string{"Accept: */*"}},
		{watchPath, params, 405, nil},
		{method, "", 501, []string{"Accept: text/event-stream"}},
		{"/rpc/Clock.Tick", "", 405, []string{"Accept: text/event-stream"}},
	} {
		a := get(c.path, c.query, c.headers...)
		assert.Equal(t, c.status, a.StatusCode, "%v", c)
		assert.NotEmpty(t, a.failure(t).Message)
	}
	assert.Equal(t, "GET, POST", get(watchPath, "").Header.Get("Allow"))
	for _, bad := range []string{"", "Watch", ".Watch"} {
		assert.Panics(t, func() { WithGET(bad) }, bad)
	}
	assert.Panics(t, func() { New(rpc.NewServer(), WithMaxStreams(-1)) })
}

// openStream opens a stream, of which the test reads as much as it likes.
func openStream(t *testing.T, url, params string, headers ...string) (*http.Response, *bufio.Reader) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+watchPath, strings.NewReader(params))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	return resp, bufio.NewReader(resp.Body)
}

func TestStream_ItemsArriveAsTheyAreSent(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	_, url := serveStreams(t, h)
	resp, in := openStream(t, url, `{"Count":2,"Then":"wait"}`)
	for n := range 2 {
		line, err := in.ReadString('\n')
		assert.NoError(t, err)
		assert.Equal(t, fmt.Sprintf(`{"item":{"N":%d}}`+"\n", n), line, "though the stream goes on")
	}
	resp.Body.Close()
	assert.ErrorIs(t, <-h.ended, context.Canceled, "the client has left")
}

func TestStream_TheTimeIsUp(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	_, url := serveStreams(t, h)
	a := post(t, url+watchPath, `{"Count":1,"Then":"wait"}`, "Rpc-Timeout: 50ms")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Contains(t, a.text, `{"item":{"N":0}}`+"\n"+`{"end":{"code":"deadline_exceeded","message":"`)
	assert.ErrorIs(t, <-h.ended, context.DeadlineExceeded)
}

func TestStream_PlacesOfTheirOwn(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	_, url := serveStreams(t, h, WithMaxStreams(1), WithMaxInFlight(1))
	resp, in := openStream(t, url, `{"Count":1,"Then":"wait"}`)
	_, err := in.ReadString('\n')
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, post(t, url+method, `{}`).StatusCode, "the only place in flight is free")
	a := post(t, url+watchPath, `{}`)
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	assert.Equal(t, "more than 1 streams are open", a.failure(t).Message)
	resp.Body.Close()
	<-h.ended
	for a.StatusCode == http.StatusTooManyRequests {
		a = post(t, url+watchPath, `{}`)
	}
	assert.Equal(t, http.StatusOK, a.StatusCode)
}

// A client that does not read is bounded in memory, since its handler waits, and in time.
func TestStream_WhoDoesNotReadLosesIt(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	h.sent = make(chan int, 1<<20)
	_, target := serveStreams(t, h, WithWriteTimeout(time.Second))
	body := `{"Count":1000000,"Size":10000}` // 10 GB
	send(t, target, watchPath, len(body), body)
	assert.ErrorIs(t, <-h.ended, context.Canceled)
	assert.Less(t, len(h.sent), 2000, "what buffers of the two systems hold")
}

// Over HTTP/2 a deadline that passes ends a stream, also one that waits for its handler.
func TestStream_OverHTTP2AnIdleOneGoesOn(t *testing.T) {
	noLeaks(t)
	srv := rpc.NewServer()
	t.Cleanup(func() { srv.Close() })
	next := make(chan struct{})
	require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *rpc.Sender[change]) error {
		for n := range 2 {
			if err := out.Send(ctx, &change{N: n}); err != nil {
				return err
			}
			<-next
		}
		return nil
	}))
	const timeout = 100 * time.Millisecond
	hs := httptest.NewUnstartedServer(New(srv, WithWriteTimeout(timeout)))
	hs.EnableHTTP2 = true
	hs.StartTLS()
	t.Cleanup(hs.Close)
	resp, err := hs.Client().Post(hs.URL+watchPath, "application/json", nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	assert.Equal(t, 2, resp.ProtoMajor)
	in := bufio.NewReader(resp.Body)
	_, err = in.ReadString('\n')
	require.NoError(t, err)
	<-time.After(3 * timeout)
	next <- struct{}{}
	next <- struct{}{}
	rest, err := io.ReadAll(in)
	assert.NoError(t, err)
	assert.Equal(t, `{"item":{"N":1}}`+"\n"+`{"end":{"code":"ok"}}`+"\n", string(rest))
}

// pacedWriter is a client that takes its time for each item.
type pacedWriter struct {
	*httptest.ResponseRecorder
	each     time.Duration
	deadline time.Time
}

func (w *pacedWriter) SetWriteDeadline(t time.Time) error { w.deadline = t; return nil }

func (w *pacedWriter) FlushError() error {
	late := w.deadline
	<-time.After(w.each)
	if !late.IsZero() && !time.Now().Before(late) {
		return os.ErrDeadlineExceeded
	}
	return nil
}

// A client that reads slowly but steadily gets all, though that takes far longer than the
// timeout. One that takes longer for an item does not.
func TestStream_EachItemHasItsTime(t *testing.T) {
	for each, whole := range map[time.Duration]bool{20 * time.Second: true, 40 * time.Second: false} {
		synctest.Test(t, func(t *testing.T) {
			srv := rpc.NewServer()
			defer srv.Close()
			registerStreams(t, srv, newWatcher())
			w := &pacedWriter{ResponseRecorder: httptest.NewRecorder(), each: each}
			r := httptest.NewRequest(http.MethodPost, watchPath, strings.NewReader(`{"Count":100,"Size":3000}`))
			r.Header.Set("Content-Type", "application/json")
			New(srv).ServeHTTP(w, r)
			assert.Equal(t, whole, strings.HasSuffix(w.Body.String(), `{"end":{"code":"ok"}}`+"\n"), each)
		})
	}
}

// openedRecorder notes when something was sent for the first time.
type openedRecorder struct {
	*httptest.ResponseRecorder
	opened time.Time
}

func (w *openedRecorder) FlushError() error {
	if w.opened.IsZero() {
		w.opened = time.Now()
	}
	return nil
}

// An event stream is open before there is anything to tell, and then says that it is alive.
func TestStream_ASilentOneIsOpenAndAlive(t *testing.T) {
	for accept, want := range map[string]string{
		eventStream: ": alive\n\n: alive\n\nevent: end\ndata: {\"code\":\"not_found\",\"message\":\"late\"}\n\n",
		ndjson:      "  " + `{"end":{"code":"not_found","message":"late"}}` + "\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			srv := rpc.NewServer()
			defer srv.Close()
			require.NoError(t, watch.Handle(srv, func(ctx context.Context, _ *watchRequest, out *rpc.Sender[change]) error {
				<-time.After(40 * time.Second)
				return rpc.Errorf(rpc.NotFound, "late")
			}))
			w := &openedRecorder{ResponseRecorder: httptest.NewRecorder()}
			r := httptest.NewRequest(http.MethodPost, watchPath, nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", accept)
			began := time.Now()
			New(srv).ServeHTTP(w, r)
			assert.Equal(t, want, w.Body.String())
			assert.Equal(t, http.StatusOK, w.Code)
			assert.Equal(t, openAfter, w.opened.Sub(began))
		})
	}
}

// oneConn is a listener that accepts one connection, and then waits to be closed.
type oneConn struct {
	net.Listener
	conn   chan net.Conn
	closed chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *oneConn) Close() error { close(l.closed); return nil }

// A client that has sent more than its request, and leaves, is not seen leaving by net/http,
// which reads no further. Its stream is not kept: what says that it is alive cannot be written.
func TestStream_WhoSendsMoreAndLeavesIsFoundOut(t *testing.T) {
	for _, accept := range []string{eventStream, ndjson} {
		t.Run(accept, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newWatcher()
				srv := rpc.NewServer()
				defer srv.Close()
				registerStreams(t, srv, h)
				near, far := net.Pipe()
				ln := &oneConn{conn: make(chan net.Conn, 1), closed: make(chan struct{})}
				ln.conn <- far
				web := &http.Server{Handler: New(srv)}
				go web.Serve(ln)
				defer web.Close()
				body := `{"Count":1,"Then":"wait"}`
				_, err := fmt.Fprintf(near, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n%s",
					watchPath, accept, len(body), body)
				require.NoError(t, err)
				resp, err := http.ReadResponse(bufio.NewReader(near), nil)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, resp.StatusCode)
				_, err = io.WriteString(near, "P")
				require.NoError(t, err)
				synctest.Wait()
				near.Close()
				select {
				case err := <-h.ended:
					assert.ErrorIs(t, err, context.Canceled)
				case <-time.After(time.Hour):
					assert.Fail(t, "the stream is still open")
				}
			})
		})
	}
}

// An item is one line, whatever its marshaler makes.
func TestStream_AnItemIsOneLine(t *testing.T) {
	srv := rpc.NewServer()
	defer srv.Close()
	for i, c := range []struct{ text, want string }{{"{\n \"a\":\r\n\"b c\"}", `{"a":"b c"}`}, {`"\u2028"`, `"\u2028"`}, {"null", "null"}} {
		m := rpc.ServerStream[struct{}, odd](fmt.Sprint("Test.Odd", i))
		require.NoError(t, m.Handle(srv, func(ctx context.Context, _ *struct{}, out *rpc.Sender[odd]) error { return out.Send(ctx, &odd{c.text}) }))
		for accept, want := range map[string]string{ndjson: `{"item":` + c.want + "}\n", eventStream: "data: " + c.want + "\n\n"} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/rpc/"+m.Name(), nil)
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("Accept", accept)
			New(srv).ServeHTTP(w, r)
			assert.True(t, strings.HasPrefix(w.Body.String(), want), w.Body.String())
		}
	}
}

func TestStream_CanceledByTheServerBeforeItIsOpen(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	_, url := serveStreams(t, h)
	a := post(t, url+watchPath, `{"Fails":"canceled"}`)
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Equal(t, "unavailable", a.failure(t).Code)
}

func TestStream_ShutdownEndsIt(t *testing.T) {
	noLeaks(t)
	h := newWatcher()
	srv, url := serveStreams(t, h)
	_, in := openStream(t, url, `{"Count":1,"Then":"wait"}`)
	_, err := in.ReadString('\n')
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.ErrorIs(t, srv.Shutdown(ctx), context.Canceled)
	line, err := in.ReadString('\n')
	require.NoError(t, err)
	var last struct{ End errorBody }
	require.NoError(t, json.Unmarshal([]byte(line), &last))
	assert.Equal(t, "unavailable", last.End.Code, "the client has not left")
	assert.Equal(t, http.StatusServiceUnavailable, post(t, url+watchPath, `{}`).StatusCode)
}
