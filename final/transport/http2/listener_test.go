package http2

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// raw sends bytes by TCP and returns the response's status, header and text.
func raw(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

func TestListener_OldHTTPIsToldSo(t *testing.T) {
	noLeaks(t)
	s := serve(t, newService().server(t), nil)
	resp, text := raw(t, s.addr, "POST /rpc.v1 HTTP/1.1\r\nHost: x\r\nContent-Type: "+ContentType+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	assert.Equal(t, http.StatusHTTPVersionNotSupported, resp.StatusCode)
	assert.Equal(t, "HTTP/1.1 cannot carry RPC frames: use HTTP/2\n", text)
}

func TestListener_CurlIsToldWhatIsWrong(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	noLeaks(t)
	s := serve(t, newService().server(t), nil)
	for _, test := range []struct {
		args string
		want string
	}{
		{"", "HTTP/1.1 cannot carry RPC frames: use HTTP/2\n505"},
		{"--http2-prior-knowledge", "RPC frames travel in a POST\n405"},
		{"--http2-prior-knowledge -d {}", "the Content-Type of RPC frames is application/x-rpc-frames\n415"},
	} {
		args := append(strings.Fields(test.args), "-s", "-m", "20", "-w", "%{http_code}", "http://"+s.addr+DefaultPath)
		out, err := exec.CommandContext(t.Context(), curl, args...).Output()
		if err != nil && strings.Contains(err.Error(), "exit status 2") {
			t.Skip("this curl does not speak HTTP/2")
		}
		require.NoError(t, err)
		assert.Equal(t, test.want, string(out), "curl %s", test.args)
	}
}

func TestDial_AnswersThatAreNotAListeners(t *testing.T) {
	noLeaks(t)
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, text, status) }
	}
	for _, test := range []struct {
		handler http.HandlerFunc
		code    rpc.Code
		text    string
	}{
		{http.NotFound, rpc.Unimplemented, "404 Not Found: 404 page not found"},
		{answer(401, "who are you?"), rpc.Unauthenticated, "401 Unauthorized: who are you?"},
		{answer(403, "go away"), rpc.PermissionDenied, "403 Forbidden: go away"},
		{answer(502, "line one\n\x1b[31mline two"), rpc.Unavailable, "502 Bad Gateway: line one [31mline two"},
		{answer(502, "away\u202e\u2066 \u0085on\xff"), rpc.Unavailable, `502 Bad Gateway: away\u202e\u2066 on`},
		{answer(500, strings.Repeat("long ", 1000)), rpc.Unknown, "500 Internal Server Error: long"},
		{func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, rpc.Unimplemented, "no Listener answers there"},
	} {
		hs := httptest.NewUnstartedServer(test.handler)
		Configure(hs.Config)
		hs.Start()
		dialer := newDialer(t, nil)
		_, err := rpc.Dial(bounded(t), hs.Listener.Addr().String(), rpc.WithDialer(dialer.Dial))
		assert.ErrorIs(t, err, test.code)
		assert.ErrorContains(t, err, test.text)
		assert.True(t, rpc.NeverRan(err))
		assert.Less(t, len(err.Error()), 2*errorText)
		dialer.Close()
		hs.Close()
	}
}

func TestDial_ServersWithoutHTTP2(t *testing.T) {
	noLeaks(t)
	hs := httptest.NewServer(http.NotFoundHandler())
	defer hs.Close()
	dialer := newDialer(t, nil)
	_, err := rpc.Dial(bounded(t), hs.Listener.Addr().String(), rpc.WithDialer(dialer.Dial))
	assert.ErrorIs(t, err, rpc.Unavailable)

	dialer.Close()
	_, err = dialer.Dial(bounded(t), hs.Listener.Addr().String())
	assert.ErrorIs(t, err, net.ErrClosed)

	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS() // offers HTTP/1.1 alone
	defer secure.Close()
	dialer = newDialer(t, secure.Client().Transport.(*http.Transport).TLSClientConfig)
	_, err = rpc.Dial(bounded(t), secure.Listener.Addr().String(), rpc.WithDialer(dialer.Dial))
	assert.ErrorIs(t, err, rpc.Unavailable)
	assert.ErrorContains(t, err, "no application protocol")
}

// Dial gives up when its context ends, wherever it is.
func TestDial_ContextEnds(t *testing.T) {
	noLeaks(t)
	hs := httptest.NewUnstartedServer(NewListener()) // from which nobody accepts
	Configure(hs.Config)
	hs.Start()
	defer hs.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := newDialer(t, nil).Dial(ctx, hs.Listener.Addr().String())
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// Timeouts of an http.Server are for requests that end; a stream outlives them. They also
// bound how long a connection takes to begin, so on a busy machine they may have to be longer.
func TestListener_ServersTimeoutsDoNotApply(t *testing.T) {
	noLeaks(t)
	for timeout := 50 * time.Millisecond; !outlives(t, timeout); timeout *= 2 {
		require.Less(t, timeout, time.Minute)
	}
}

// outlives reports whether a stream could begin with such timeouts, and fails the test if it
// did not outlive them.
func outlives(t *testing.T, timeout time.Duration) bool {
	svc := newService()
	srv := svc.server(t)
	ln := NewListener()
	hs := httptest.NewUnstartedServer(ln)
	Configure(hs.Config)
	hs.Config.ReadTimeout, hs.Config.WriteTimeout = timeout, timeout
	hs.Start()
	defer hs.Close()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	defer func() {
		srv.Close()
		<-served
	}()
	d := newDialer(t, nil)
	client, err := rpc.Dial(bounded(t), hs.Listener.Addr().String(), rpc.WithDialer(d.Dial), rpc.WithFailFast(), rpc.WithMaxAttempts(1))
	if err != nil {
		return false
	}
	defer client.Close()
	if _, err := echo.Call(bounded(t), client, &echoRequest{}); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*timeout)
	defer cancel()
	_, err = hold.Call(ctx, client, &echoRequest{})
	assert.ErrorIs(t, err, context.DeadlineExceeded)
	_, err = echo.Call(bounded(t), client, &echoRequest{})
	assert.NoError(t, err, "on the same connection")
	return true
}

// More clients than a TCP connection may have streams.
func TestDialer_OpensAnotherTCPConnection(t *testing.T) {
	noLeaks(t)
	svc := newService()
	srv := svc.server(t)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	counting := &countingListener{Listener: tcp}
	ln := NewListener()
	hs := &http.Server{Handler: ln, HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 2}}
	Configure(hs)
	served := make(chan error, 2)
	go func() { served <- srv.Serve(ln) }()
	go func() { served <- hs.Serve(counting) }()
	t.Cleanup(func() {
		srv.Close()
		hs.Close()
		<-served
		<-served
	})
	dialer := newDialer(t, nil)
	for range 5 {
		client := connect(t, dialer, tcp.Addr().String())
		_, err := echo.Call(bounded(t), client, &echoRequest{})
		require.NoError(t, err)
	}
	assert.GreaterOrEqual(t, counting.accepted.Load(), int32(3), "net/http may open one more while it does not know the server's limit")
}

// A proxy between, here net/http's own, with HTTP/2 on both sides.
func TestProxy_CallsPassThrough(t *testing.T) {
	noLeaks(t)
	svc := newService()
	s := serve(t, svc.server(t), nil)
	var h2c http.Protocols
	h2c.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: &h2c}
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: s.addr}) },
		Transport:     transport,
		FlushInterval: -1,
	})
	Configure(proxy.Config)
	proxy.Start()
	t.Cleanup(func() {
		proxy.Close()
		transport.CloseIdleConnections()
	})
	client := connect(t, newDialer(t, nil), proxy.Listener.Addr().String())
	for i := range 20 {
		text := strings.Repeat(fmt.Sprint(i), 10_000)
		reply, err := echo.Call(bounded(t), client, &echoRequest{Text: text})
		require.NoError(t, err)
		require.Equal(t, text, reply.Text)
	}
	lost := start(t, client, hold, "x")
	<-svc.began
	require.NoError(t, client.Close())
	assert.ErrorIs(t, <-svc.ended, context.Canceled, "the proxy passes on the end")
	assert.ErrorIs(t, <-lost, rpc.ErrClientClosed)
}
