package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

const method = "/rpc/Inventory.CheckStock"

func TestCall_ResultInJSON(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil)
	a := post(t, url+method, `{"item":"item1"}`)
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Equal(t, "application/json", a.Header.Get("Content-Type"))
	assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	assert.Equal(t, `{"item":"item1","count":100}`+"\n", a.text)

	a = post(t, url+method, "")
	assert.Equal(t, `{"item":"","count":100}`+"\n", a.text, "no body is the zero value")
	a = do(t, http.MethodPost, url+method, "{}", "Content-Type: Application/JSON; charset=UTF-8")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	a = post(t, url+"/rpc/Clock.Tick", "")
	assert.Equal(t, "null\n", a.text, "a method without a result")
}

func TestCall_MetadataOfTheReply(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	inv.saw = func(ctx context.Context) {
		assert.NoError(t, rpc.SetHeader(ctx, rpc.Metadata{"tenant_id": "blue", "set-cookie": "a=b", "name": "Jörg"}))
	}
	_, url := serve(t, inv, nil, WithCORS("https://shop.example"))
	for item, status := range map[string]int{"item1": 200, "code not_found": 404, "panic": 500, "goexit": 500} {
		a := do(t, http.MethodPost, url+method, `{"item":"`+item+`"}`, "Content-Type: application/json")
		assert.Equal(t, status, a.StatusCode)
		assert.Equal(t, "blue", a.Header.Get("Rpc-Meta-Tenant_id"), item)
		assert.Equal(t, "a=b", a.Header.Get("Rpc-Meta-Set-Cookie"))
		assert.Equal(t, "Jörg", a.Header.Get("Rpc-Meta-Name"))
		assert.Empty(t, a.Header.Values("Set-Cookie"), "a handler sets no headers of HTTP's")
		assert.Empty(t, a.Header.Get("Access-Control-Expose-Headers"), "no page of another origin asked")
	}
	a := do(t, http.MethodPost, url+method, `{"item":"item1"}`, "Content-Type: application/json", "Origin: https://shop.example")
	assert.Equal(t, 200, a.StatusCode)
	exposed := strings.Split(strings.Join(a.Header.Values("Access-Control-Expose-Headers"), ","), ",")
	assert.ElementsMatch(t, []string{"Retry-After", "Rpc-Meta-tenant_id", "Rpc-Meta-set-cookie", "Rpc-Meta-name"}, exposed)
}

// What a handler sets can neither end a header's line nor be one that a proxy or a browser acts on.
func TestCall_MetadataOfTheReplyAreNoOtherHeaders(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	inv.saw = func(ctx context.Context) {
		for _, evil := range []string{"a\r\nSet-Cookie: b=c", "a\nb", "a\rb", "a\x00b", "\x7f", "\u0085", "\xff"} {
			assert.ErrorIs(t, rpc.SetHeader(ctx, rpc.Metadata{"good": "1", "evil": evil}), rpc.InvalidArgument, "%q", evil)
		}
		for _, evil := range []string{"a b", "a:b", "a\r\nb", "Rpc", "", "\u00fc"} {
			assert.ErrorIs(t, rpc.SetHeader(ctx, rpc.Metadata{evil: "1"}), rpc.InvalidArgument, "%q", evil)
		}
		assert.NoError(t, rpc.SetHeader(ctx, rpc.Metadata{"connection": "close", "transfer-encoding": "chunked", "content-length": "1",
			"content-type": "text/html", "location": "https://evil.example", "access-control-allow-origin": "*"}))
	}
	_, url := serve(t, newInventory(), nil)
	before := do(t, http.MethodPost, url+method, `{"item":"item1"}`, "Content-Type: application/json")
	_, url = serve(t, inv, nil)
	a := do(t, http.MethodPost, url+method, `{"item":"item1"}`, "Content-Type: application/json")
	assert.Equal(t, 200, a.StatusCode)
	for key, values := range a.Header {
		if !strings.HasPrefix(key, "Rpc-Meta-") {
			assert.Contains(t, before.Header, key, "set by the handler: %q", values)
		}
	}
	assert.Equal(t, before.Header.Values("Content-Type"), a.Header.Values("Content-Type"))
	assert.Equal(t, "close", a.Header.Get("Rpc-Meta-Connection"))
	assert.Empty(t, a.Header.Get("Rpc-Meta-Good"), "all pairs or none")
}

// The handler of a caller who has left, or whose time is up, may still set metadata.
func TestCall_MetadataOfAHandlerThatGoesOnAreDropped(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	inv.saw = func(ctx context.Context) { assert.NoError(t, rpc.SetHeader(ctx, rpc.Metadata{"k": "v"})) }
	_, url := serve(t, inv, nil)
	a := do(t, http.MethodPost, url+method, `{"item":"deaf"}`, "Content-Type: application/json", "Rpc-Timeout: 50ms")
	assert.Equal(t, http.StatusGatewayTimeout, a.StatusCode)
	assert.Empty(t, a.Header.Get("Rpc-Meta-K"))
	close(inv.let)
	<-inv.ended
}

func TestCall_CodesAndStatuses(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil)
	for code, status := range map[string]int{
		"unknown": 500, "invalid_argument": 400, "deadline_exceeded": 504, "not_found": 404,
		"already_exists": 409, "permission_denied": 403, "resource_exhausted": 429, "failed_precondition": 400,
		"aborted": 409, "out_of_range": 400, "unimplemented": 501, "internal": 500, "unavailable": 503,
		"data_loss": 500, "unauthenticated": 401,
	} {
		a := post(t, url+method, `{"item":"code `+code+`"}`)
		assert.Equal(t, status, a.StatusCode, code)
		assert.Equal(t, errorBody{Code: code, Message: "as you wish", Details: map[string]string{"item": "code " + code}}, a.failure(t))
		assert.Equal(t, status == 401, a.Header.Get("WWW-Authenticate") != "", code)
	}
	assert.Equal(t, 500, statusOf(rpc.Code(99)))
}

// An error has no more details over HTTP than over a connection: see rpc.Error.
func TestCall_DetailsAreBoundedAsInFrames(t *testing.T) {
	noLeaks(t)
	for name, c := range map[string]struct {
		details, size int
		travel        bool
	}{
		"as many as a frame takes":        {4, 4096, true}, // with the lengths of keys and values
		"one byte more than a frame does": {4, 4097, false},
		"very many":                       {10_000, 100, false},
	} {
		t.Run(name, func(t *testing.T) {
			details := map[string]string{}
			for i := range c.details {
				key := fmt.Sprintf("%06d", i)
				details[key] = strings.Repeat("x", c.size-4-len(key))
			}
			srv := rpc.NewServer()
			defer srv.Close()
			require.NoError(t, checkStock.Handle(srv, func(context.Context, *stockRequest) (*stockReply, error) {
				return nil, &rpc.Error{Code: rpc.NotFound, Message: "not here", Details: details}
			}))
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, method, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			New(srv).ServeHTTP(w, r)
			e := answer{w.Result(), w.Body.String()}.failure(t)
			assert.Equal(t, "not here", e.Message)
			if !c.travel {
				details = nil
			}
			assert.Equal(t, details, e.Details)
		})
	}
}

func TestCall_Failures(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil, WithMaxBody(1000), WithMaxMetadata(100))
	for _, test := range []struct {
		name    string
		method  string
		path    string
		body    string
		headers []string
		status  int
		code    string
		text    string
	}{
		{"a handler's plain error", "POST", method, `{"item":"plain"}`, nil, 500, "unknown", "the shelf\nis <on> fire"},
		{"a panic", "POST", method, `{"item":"panic"}`, nil, 500, "internal", "the handler of Inventory.CheckStock panicked"},
		{"a Goexit", "POST", method, `{"item":"goexit"}`, nil, 500, "internal", "the handler of Inventory.CheckStock ended its goroutine (runtime.Goexit)"},
		{"not JSON", "POST", method, `{"item":`, nil, 400, "invalid_argument", "decode params of Inventory.CheckStock: unexpected end of JSON input"},
		{"two values", "POST", method, `{} {}`, nil, 400, "invalid_argument", "after top-level value"},
		{"wrong type", "POST", method, `[1]`, nil, 400, "invalid_argument", "cannot unmarshal array"},
		{"deep nesting", "POST", method, strings.Repeat("[", 900), nil, 400, "invalid_argument", "unexpected end"},
		{"no such method", "POST", "/rpc/Inventory.Nope", `{}`, nil, 501, "unimplemented", "method not found: Inventory.Nope"},
		{"a name without a dot", "POST", "/rpc/Inventory", `{}`, nil, 501, "unimplemented", "method not found: Inventory"},
		{"another spelling", "POST", "/rpc/inventory.checkstock", `{}`, nil, 501, "unimplemented", "method not found"},
		{"needless escapes", "POST", "/rpc/Inventory%2ECheckStock", `{}`, nil, 404, "not_found", "want /rpc/Service.Method"},
		{"a slash behind", "POST", method + "/", `{}`, nil, 501, "unimplemented", "method not found"},
		{"no method", "POST", "/rpc/", `{}`, nil, 404, "not_found", "no method in the path"},
		{"a long name", "POST", "/rpc/A." + strings.Repeat("x", 200), `{}`, nil, 400, "invalid_argument", "at most 128 are allowed"},
		{"GET", "GET", method, "", nil, 405, "invalid_argument", "a call is a POST"},
		{"OPTIONS", "OPTIONS", method, "", []string{"Origin: http://evil.example", "Access-Control-Request-Method: POST"}, 405, "invalid_argument", "a call is a POST"},
		{"too large", "POST", method, `"` + strings.Repeat("x", 1000) + `"`, nil, 413, "resource_exhausted", "a body of more than 1000 bytes"},
		{"a bad timeout", "POST", method, `{}`, []string{"Rpc-Timeout: soon"}, 400, "invalid_argument", "Rpc-Timeout"},
		{"a timeout of the past", "POST", method, `{}`, []string{"Rpc-Timeout: -1s"}, 400, "invalid_argument", "Rpc-Timeout"},
		{"two timeouts", "POST", method, `{}`, []string{"Rpc-Timeout: 1s", "Rpc-Timeout: 2s"}, 400, "invalid_argument", "Rpc-Timeout"},
		{"much metadata", "POST", method, `{}`, []string{"Rpc-Meta-A: " + strings.Repeat("x", 60), "Rpc-Meta-B: " + strings.Repeat("x", 60)}, 431, "resource_exhausted", "metadata of more than 100 bytes"},
		{"metadata twice", "POST", method, `{}`, []string{"Rpc-Meta-A: 1", "Rpc-Meta-A: 2"}, 400, "invalid_argument", "metadata a is given more than once"},
		{"metadata by two names", "POST", method, `{}`, []string{"Authorization: 1", "Rpc-Meta-Authorization: 2"}, 400, "invalid_argument", "metadata authorization is given more than once"},
		{"a key that may not be", "POST", method, `{}`, []string{"Rpc-Meta-A!: 1"}, 400, "invalid_argument", `metadata key "a!"`},
		{"a value that is not UTF-8", "POST", method, `{}`, []string{"Rpc-Meta-A: \xff"}, 400, "invalid_argument", "not one line of UTF-8"},
		{"an encoded body", "POST", method, `{}`, []string{"Content-Encoding: gzip"}, 415, "invalid_argument", "application/json"},
	} {
		t.Run(test.name, func(t *testing.T) {
			headers := test.headers
			if test.method == "POST" {
				headers = append(headers, "Content-Type: application/json")
			}
			a := do(t, test.method, url+test.path, test.body, headers...)
			assert.Equal(t, test.status, a.StatusCode)
			e := a.failure(t)
			assert.Equal(t, test.code, e.Code)
			assert.Contains(t, e.Message, test.text)
			assert.NotContains(t, a.text, "secret")
			assert.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
			if test.status == 405 {
				assert.Equal(t, "POST", a.Header.Get("Allow"))
			}
		})
	}
}

// What a browser sends to another site without asking it first is no call.
func TestCall_PagesOfOtherSitesCannotCall(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	inv.saw = func(context.Context) { t.Error("the handler ran") }
	_, url := serve(t, inv, nil)
	for _, kind := range []string{"", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/plain; application/json", "application/json; charset=latin1", "application/jsonx"} {
		var headers []string
		if kind != "" {
			headers = append(headers, "Content-Type: "+kind)
		}
		a := do(t, http.MethodPost, url+method, `{"item":"item1"}`, headers...)
		assert.Equal(t, http.StatusUnsupportedMediaType, a.StatusCode, kind)
	}
	a := post(t, url+method, `{}`, "Sec-Fetch-Site: cross-site", "Origin: http://evil.example")
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
	assert.Equal(t, "permission_denied", a.failure(t).Code)
	a = post(t, url+method, `{}`, "Origin: http://evil.example")
	assert.Equal(t, http.StatusForbidden, a.StatusCode, "an older browser")
}

func TestCall_Hosts(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil, WithHosts("localhost", "127.0.0.1", "::1", "shop.example"), WithPage(nil))
	for host, status := range map[string]int{
		"":                  200, // 127.0.0.1 and the port
		"LocalHost":         200,
		"localhost:1":       200,
		"[::1]:80":          200,
		"[::1]":             200,
		"shop.example":      200,
		"evil.example":      421,
		"evil.example:8080": 421,
		"127.0.0.1.evil":    421,
	} {
		headers := []string{"Content-Type: application/json"}
		if host != "" {
			headers = append(headers, "Host: "+host)
		}
		assert.Equal(t, status, do(t, http.MethodPost, url+method, "{}", headers...).StatusCode, host)
		assert.Equal(t, status, do(t, http.MethodGet, url+"/rpc/", "", headers...).StatusCode, host)
	}
}

func TestCall_RetryAfter(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil)
	a := post(t, url+method, `{"item":"busy"}`)
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	assert.Equal(t, "2", a.Header.Get("Retry-After"), "1.5 s, rounded up")
	assert.Empty(t, post(t, url+method, `{"item":"code resource_exhausted"}`).Header.Get("Retry-After"))
}

func TestCall_MetadataAndPeerReachHookInterceptorAndHandler(t *testing.T) {
	noLeaks(t)
	var passed []string
	check := func(who string, ctx context.Context) {
		passed = append(passed, who)
		assert.Equal(t, rpc.Metadata{"authorization": "Bearer t", "tenant-id": "blue", "traceparent": "00-1-2-01"}, rpc.MetadataFrom(ctx), who)
		peer, ok := rpc.PeerFrom(ctx)
		if assert.True(t, ok, who) {
			assert.True(t, peer.Addr.(*net.TCPAddr).IP.IsLoopback(), who)
			assert.Equal(t, "json", peer.Codec, who)
			assert.Nil(t, peer.TLS, who)
		}
	}
	inv := newInventory()
	inv.saw = func(ctx context.Context) {
		check("handler", ctx)
		assert.Equal(t, "ann", rpc.IdentityFrom(ctx).Name)
	}
	_, url := serve(t, inv, []rpc.ServerOption{
		rpc.WithAuthorize(func(ctx context.Context, method string) (rpc.Identity, error) {
			if rpc.MetadataFrom(ctx)["authorization"] == "" {
				return rpc.Identity{}, rpc.Errorf(rpc.Unauthenticated, "no token")
			}
			check("authorize", ctx)
			assert.Equal(t, "Inventory.CheckStock", method)
			return rpc.Identity{Name: "ann"}, nil
		}),
		rpc.WithServerInterceptors(func(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler {
			return func(ctx context.Context, params any) (any, error) {
				check("interceptor", ctx)
				return next(ctx, params)
			}
		}),
	})
	a := post(t, url+method, `{}`, "Authorization: Bearer t", "Rpc-Meta-Tenant-ID: blue", "Traceparent: 00-1-2-01", "Cookie: not=this", "Rpc-Timeout: 10s")
	require.Equal(t, http.StatusOK, a.StatusCode, a.text)
	assert.Equal(t, []string{"authorize", "interceptor", "handler"}, passed)

	a = post(t, url+method, `{}`)
	assert.Equal(t, http.StatusUnauthorized, a.StatusCode)
	assert.Equal(t, errorBody{Code: "unauthenticated", Message: "no token"}, a.failure(t))
	assert.Len(t, passed, 3, "nothing else ran")
}

func TestCall_DeadlineFromAHeader(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	_, url := serve(t, inv, nil)
	a := post(t, url+method, `{"item":"held"}`, "Rpc-Timeout: 20ms")
	assert.Equal(t, http.StatusGatewayTimeout, a.StatusCode)
	assert.Equal(t, "deadline_exceeded", a.failure(t).Code)
	assert.ErrorIs(t, <-inv.ended, context.DeadlineExceeded)

	a = post(t, url+method, `{"item":"deaf"}`, "Rpc-Timeout: 20ms")
	assert.Equal(t, http.StatusGatewayTimeout, a.StatusCode, "answered though the handler goes on")
	close(inv.let)
	<-inv.ended
}

func TestCall_ClientLeaves(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	_, url := serve(t, inv, nil)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+method, strings.NewReader(`{"item":"held"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	go func() {
		<-inv.began
		cancel()
	}()
	_, err = (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, <-inv.ended, context.Canceled)
}

// 499 says that the client has left. Whoever else has cancelled a call, its client waits.
func TestCall_CanceledByTheServerIsUnavailable(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	srv, url := serve(t, inv, nil)
	a := post(t, url+method, `{"item":"code canceled"}`)
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Equal(t, errorBody{
		Code: "unavailable", Message: "the server has canceled the call: as you wish", Details: map[string]string{"item": "code canceled"},
	}, a.failure(t), "the server's own calls were")

	go func() {
		<-inv.began
		srv.Close()
	}()
	a = post(t, url+method, `{"item":"held"}`)
	assert.ErrorIs(t, <-inv.ended, context.Canceled)
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Equal(t, errorBody{Code: "unavailable", Message: "the server has canceled the call: context canceled"}, a.failure(t))
}

func TestCall_CanceledByAHookIsUnavailable(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), []rpc.ServerOption{rpc.WithAuthorize(func(context.Context, string) (rpc.Identity, error) {
		return rpc.Identity{}, context.Canceled
	})})
	a := post(t, url+method, `{}`)
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Equal(t, "unavailable", a.failure(t).Code)
}

// The end of the request's context is the client's leaving, unless its cause says otherwise,
// as that of a context from the http.Server's BaseContext may.
func TestCall_WhoHasEndedTheRequest(t *testing.T) {
	for name, c := range map[string]struct {
		cause  error
		status int
		code   string
	}{
		"the client has left":          {nil, 499, "canceled"},
		"the http.Server is shut down": {errors.New("interrupt"), http.StatusServiceUnavailable, "unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			inv := newInventory()
			srv := rpc.NewServer()
			defer srv.Close()
			require.NoError(t, checkStock.Handle(srv, inv.check))
			ctx, cancel := context.WithCancelCause(t.Context())
			r := httptest.NewRequestWithContext(ctx, http.MethodPost, method, strings.NewReader(`{"item":"held"}`))
			r.Header.Set("Content-Type", "application/json")
			go func() {
				<-inv.began
				cancel(c.cause)
			}()
			w := httptest.NewRecorder()
			New(srv).ServeHTTP(w, r)
			<-inv.ended
			a := answer{w.Result(), w.Body.String()}
			assert.Equal(t, c.status, a.StatusCode)
			assert.Equal(t, c.code, a.failure(t).Code)
		})
	}
}

func TestCall_OnlySoManyAtOnce(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	_, url := serve(t, inv, nil, WithMaxInFlight(1))
	a := post(t, url+method, `{"item":"deaf"}`, "Rpc-Timeout: 20ms")
	assert.Equal(t, http.StatusGatewayTimeout, a.StatusCode)
	a = post(t, url+method, `{}`)
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode, "the handler has not returned yet")
	close(inv.let)
	<-inv.ended
	for a.StatusCode == http.StatusTooManyRequests {
		a = post(t, url+method, `{}`)
	}
	assert.Equal(t, http.StatusOK, a.StatusCode)
}

func TestCall_SlowBody(t *testing.T) {
	noLeaks(t)
	_, target := serve(t, newInventory(), nil, WithReadTimeout(30*time.Millisecond))
	answer := unfinished(t, target, "POST "+method)
	assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 408 "), "%s", answer)
	assert.Contains(t, answer, "deadline_exceeded")
}

// A handler repeats what it was sent. Curl prints that on a terminal.
func TestCall_TextsOfErrorsAreTextAndNotTooLong(t *testing.T) {
	srv, target := serve(t, newInventory(), nil, WithPage(nil))
	const hostile = "\x1b[31m\r\x7f\u009b2J\u202e\nforged \xff"
	require.NoError(t, srv.RegisterFunc("Test.Fails", func() error {
		return &rpc.Error{Code: rpc.NotFound, Message: hostile + strings.Repeat("é", 10_000), Details: map[string]string{"item": hostile}}
	}))
	a := post(t, target+"/rpc/Test.Fails", "")
	assert.False(t, strings.ContainsFunc(strings.TrimSuffix(a.text, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }), "%q", a.text[:100])
	e := a.failure(t)
	assert.True(t, strings.HasPrefix(e.Message, "\x1b[31m\r\x7f\u009b2J\u202e\nforged \ufffd"), "%q", e.Message)
	assert.LessOrEqual(t, len(e.Message), 4<<10)
	assert.Equal(t, "\x1b[31m\r\x7f\u009b2J\u202e\nforged \ufffd", e.Details["item"])

	a = do(t, http.MethodGet, target+"/rpc/Test.%E2%80%AE%C2%9B", "", "Accept: text/html")
	assert.NotContains(t, a.text, "\u202e")
}

// A request that is refused unread does not keep its connection either.
func TestCall_RefusedSlowBody(t *testing.T) {
	noLeaks(t)
	_, target := serve(t, newInventory(), nil, WithReadTimeout(30*time.Millisecond), WithPage(nil))
	for request, status := range map[string]string{
		"POST /rpc/":             "404",
		"POST /rpc/%43lock.Tick": "404",
		"PUT " + method:          "405",
		"POST /rpc/healthz":      "405",
		"GET /rpc/healthz":       "200",
		"GET /rpc/":              "200",
		"POST " + method + " | Content-Type: text/plain": "415",
		"POST " + method + " | Origin: http://e/":        "403",
	} {
		assert.Contains(t, unfinished(t, target, request), "HTTP/1.1 "+status+" ", request)
	}
}

// A request for another host is answered at once, and is its connection's last,
// however long a body may take.
func TestHosts_ARefusedRequestEndsItsConnection(t *testing.T) {
	noLeaks(t)
	srv := rpc.NewServer()
	t.Cleanup(func() { srv.Close() })
	for about, h := range map[string]http.Handler{
		"by default":        New(srv, WithReadTimeout(0)),
		"WithHosts":         New(srv, WithReadTimeout(time.Hour), WithHosts("shop.example"), WithPage(nil)),
		"OnlyHosts":         OnlyHosts(New(srv)),
		"OnlyHosts, a name": OnlyHosts(New(srv), "shop.example"),
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			hs := httptest.NewServer(h)
			defer hs.Close()
			answer := unfinished(t, hs.URL, "POST "+method+" | Host: evil.example")
			assert.True(t, strings.HasPrefix(answer, "HTTP/1.1 421 "), answer)
			assert.Contains(t, answer, "\r\nConnection: close\r\n")
			assert.Contains(t, answer, `this is not the server of \"evil.example\"`)
		})
	}
}

// unfinished sends a request, "METHOD /path" or "METHOD /path | Header: value | …", whose body
// does not end, and returns what is received until the server closes the connection.
func unfinished(t *testing.T, target, request string) string {
	t.Helper()
	u, err := url.Parse(target)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", u.Host)
	require.NoError(t, err)
	defer conn.Close()
	parts := strings.Split(request, " | ")
	header := http.Header{"Host": {u.Host}, "Content-Type": {"application/json"}, "Content-Length": {"100"}}
	for _, special := range parts[1:] {
		name, value, _ := strings.Cut(special, ": ")
		header.Set(name, value)
	}
	var sent bytes.Buffer
	fmt.Fprintf(&sent, "%s HTTP/1.1\r\n", parts[0])
	require.NoError(t, header.Write(&sent))
	sent.WriteString("\r\n{")
	_, err = conn.Write(sent.Bytes())
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	return string(answer)
}

// The time for reading the body is not the call's.
func TestCall_MayTakeLongerThanTheBody(t *testing.T) {
	noLeaks(t)
	inv := newInventory()
	_, url := serve(t, inv, nil, WithReadTimeout(30*time.Millisecond))
	released := time.AfterFunc(150*time.Millisecond, func() { close(inv.let) })
	defer released.Stop()
	a := post(t, url+method, `{"item":"held"}`)
	assert.Equal(t, http.StatusOK, a.StatusCode, a.text)
}

func TestCall_ShutDown(t *testing.T) {
	noLeaks(t)
	srv, url := serve(t, newInventory(), nil)
	require.NoError(t, srv.Shutdown(t.Context()))
	a := post(t, url+method, `{}`)
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Equal(t, "unavailable", a.failure(t).Code)
}

func TestGateway_Prefix(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, checkStock.Handle(srv, newInventory().check))
	gw := New(srv, WithPrefix("/api/v1/"))
	for path, status := range map[string]int{
		"/api/v1/Inventory.CheckStock":  200,
		"/api/v1Inventory.CheckStock":   404,
		"/api/v1":                       404,
		"/rpc/Inventory.CheckStock":     404,
		"/":                             404,
		"/api/v1//Inventory.CheckStock": 501,
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("{}"))
		r.Header.Set("Content-Type", "application/json")
		gw.ServeHTTP(w, r)
		assert.Equal(t, status, w.Code, path)
	}
}

// With mutual TLS, a caller has the name that it has over TCP.
func TestCall_CertificateNamesTheCaller(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	spiffe, err := url.Parse("spiffe://shop/orders")
	require.NoError(t, err)
	for want, cert := range map[string]*x509.Certificate{
		"orders":               {Subject: pkix.Name{CommonName: "orders"}},
		"orders.shop":          {Subject: pkix.Name{CommonName: "orders"}, DNSNames: []string{"orders.shop"}},
		"spiffe://shop/orders": {DNSNames: []string{"orders.shop"}, URIs: []*url.URL{spiffe}},
	} {
		t.Run(want, func(t *testing.T) {
			cert.SerialNumber = big.NewInt(1)
			cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
			cert.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
			require.NoError(t, err)
			parsed, err := x509.ParseCertificate(der)
			require.NoError(t, err)
			pool := x509.NewCertPool()
			pool.AddCert(parsed)
			certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}

			names := make(chan string, 2)
			inv := newInventory()
			inv.saw = func(ctx context.Context) { names <- rpc.IdentityFrom(ctx).Name }
			hs := httptest.NewUnstartedServer(nil)
			hs.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
			hs.StartTLS()
			defer hs.Close()
			srv := rpc.NewServer(rpc.WithTLS(hs.TLS))
			require.NoError(t, checkStock.Handle(srv, inv.check))
			hs.Config.Handler = New(srv)

			client := hs.Client()
			transport := client.Transport.(*http.Transport)
			transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
			resp, err := client.Post(hs.URL+method, "application/json", strings.NewReader("{}"))
			require.NoError(t, err)
			resp.Body.Close()
			assert.Equal(t, want, <-names)

			ln, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			served := make(chan error, 1)
			go func() { served <- srv.Serve(ln) }()
			overTCP, err := rpc.Dial(t.Context(), ln.Addr().String(), rpc.WithTLS(&tls.Config{RootCAs: transport.TLSClientConfig.RootCAs, Certificates: []tls.Certificate{certificate}}))
			require.NoError(t, err)
			_, err = checkStock.Call(t.Context(), overTCP, &stockRequest{})
			require.NoError(t, err)
			assert.Equal(t, want, <-names)
			require.NoError(t, overTCP.Close())
			require.NoError(t, srv.Close())
			assert.ErrorIs(t, <-served, rpc.ErrServerClosed)
		})
	}
}

func TestCurl(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("curl is not installed")
	}
	noLeaks(t)
	_, url := serve(t, newInventory(), nil)
	run := func(args ...string) string {
		out, err := exec.CommandContext(t.Context(), curl, append([]string{"-s", "-m", "20", "-w", "%{http_code}"}, args...)...).Output()
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("curl %q: %v: %s", args, err, failed.Stderr)
		}
		require.NoError(t, err)
		return string(out)
	}
	const kind = "Content-Type: application/json"
	assert.Equal(t, `{"item":"item1","count":100}`+"\n200", run("-H", kind, "-d", `{"item":"item1"}`, url+method))
	assert.Equal(t, `{"code":"not_found","message":"as you wish","details":{"item":"code not_found"}}`+"\n404", run("-H", kind, "-d", `{"item":"code not_found"}`, url+method))
	assert.Contains(t, run("-d", `{"item":"item1"}`, url+method), "415")
	assert.Contains(t, run(url+method), "405")
}
