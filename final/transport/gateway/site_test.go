package gateway

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestPrefix_WhateverItsSlashes(t *testing.T) {
	srv := rpc.NewServer()
	require.NoError(t, checkStock.Handle(srv, newInventory().check))
	for _, c := range []struct{ prefix, at string }{
		{"", ""}, {"/", ""}, {"//", ""}, {".", ""}, {"/a", "/a"}, {"a", "/a"}, {"a/", "/a"}, {"/a/", "/a"}, {"//a//", "/a"}, {"/a//b/", "/a/b"}, {"a/b", "/a/b"},
	} {
		gw := New(srv, WithPrefix(c.prefix), WithPage(nil))
		for request, status := range map[string]int{
			"POST " + c.at + "/Inventory.CheckStock":  200,
			"GET " + c.at + "/Inventory.CheckStock":   200,
			"GET " + c.at + "/":                       200,
			"GET " + c.at + "/healthz":                200,
			"GET /healthz":                            200,
			"GET " + c.at + "/Inventory.Nope":         404,
			"POST " + c.at + "/Inventory.Nope":        501,
			"POST " + c.at + "//Inventory.CheckStock": 501,
			"POST " + c.at + "/":                      404,
			"POST /other/Inventory.CheckStock":        map[bool]int{true: 501, false: 404}[c.at == ""],
		} {
			method, path, _ := strings.Cut(request, " ")
			r := httptest.NewRequest(method, "http://h"+path, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			gw.ServeHTTP(w, r)
			assert.Equal(t, status, w.Code, "WithPrefix(%q): %s", c.prefix, request)
			if request == "GET "+c.at+"/" {
				assert.Contains(t, w.Body.String(), `<a href="`+c.at+`/Inventory.CheckStock">`, "WithPrefix(%q)", c.prefix)
			}
		}
	}
}

const shop = "https://shop.example"

func TestCORS_PagesOfTheOriginsMayCall(t *testing.T) {
	noLeaks(t)
	_, url := serve(t, newInventory(), nil, WithCORS("https://Shop.example", "http://localhost:3000"), WithCORS("https://two.example:443", "http://[::1]:80"))
	for origin, allowed := range map[string]bool{
		shop: true, "http://localhost:3000": true, "https://two.example": true, "http://[::1]": true,
		"http://shop.example": false, "https://shop.example:444": false, "https://evil.example": false, "https://shop.example.evil": false, "null": false,
	} {
		allow := map[bool]string{true: origin}[allowed]
		a := do(t, "OPTIONS", url+method, "", "Origin: "+origin, "Access-Control-Request-Method: POST",
			"Access-Control-Request-Headers: authorization,content-type,rpc-meta-tenant,rpc-timeout")
		assert.Equal(t, 204, a.StatusCode, origin)
		assert.Equal(t, allow, a.Header.Get("Access-Control-Allow-Origin"), origin)
		assert.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"))
		assert.Contains(t, strings.Join(a.Header.Values("Vary"), ","), "Origin")
		if allowed {
			assert.Equal(t, "POST", a.Header.Get("Access-Control-Allow-Methods"))
			assert.Equal(t, "authorization,content-type,rpc-meta-tenant,rpc-timeout", strings.ReplaceAll(a.Header.Get("Access-Control-Allow-Headers"), " ", ""))
			assert.Equal(t, "600", a.Header.Get("Access-Control-Max-Age"))
		}
		a = do(t, "OPTIONS", url+method, "", "Origin: "+origin, "Access-Control-Request-Method: DELETE")
		assert.Empty(t, a.Header.Get("Access-Control-Allow-Methods"))

		a = post(t, url+method, `{"item":"busy"}`, "Origin: "+origin, "Sec-Fetch-Site: cross-site")
		assert.Equal(t, map[bool]int{true: 429, false: 403}[allowed], a.StatusCode, origin)
		assert.Equal(t, allow, a.Header.Get("Access-Control-Allow-Origin"), origin)
		if allowed {
			assert.Equal(t, "Retry-After", a.Header.Get("Access-Control-Expose-Headers"))
		}

		a = do(t, "GET", url+"/rpc/healthz", "", "Origin: "+origin)
		assert.Equal(t, 200, a.StatusCode, origin)
		assert.Equal(t, allow, a.Header.Get("Access-Control-Allow-Origin"), "a status page of %s", origin)
	}
	a := post(t, url+method, `{}`)
	assert.Equal(t, 200, a.StatusCode, "no browser")
	assert.Empty(t, a.Header.Get("Access-Control-Allow-Origin"))
}

func TestCORS_RefusesWhatIsNoOrigin(t *testing.T) {
	for _, origin := range []string{"", "*", "shop.example", "https://shop.example/", "https://shop.example/path", "https://*.example", "null", "https://ann@shop.example", "https://münchen.example", "https://:443"} {
		assert.Panics(t, func() { New(rpc.NewServer(), WithCORS(origin)) }, origin)
	}
	_, url := serve(t, newInventory(), nil, WithCORS())
	a := do(t, "OPTIONS", url+method, "", "Origin: "+shop, "Access-Control-Request-Method: POST")
	assert.Equal(t, 405, a.StatusCode, "no origin is no CORS")
}

// On a machine alone, another site's name for it is an attack.
func TestHosts_OverLoopbackOnlyLoopbacksNames(t *testing.T) {
	for _, c := range []struct {
		about string
		local net.Addr
		opts  []Option
		host  string
		page  int
		call  int
	}{
		{"loopback", loopback4, nil, "127.0.0.1:80", 200, 200},
		{"loopback", loopback4, nil, "LOCALHOST.", 200, 200},
		{"loopback", loopback4, nil, "shop.localhost:80", 200, 200},
		{"loopback", loopback4, nil, "127.8.8.8", 200, 200},
		{"loopback", loopback4, nil, "", 200, 200},
		{"loopback", loopback6, nil, "[::1]:80", 200, 200},
		{"loopback", loopback6, nil, "evil.example", 421, 421},
		{"loopback", loopback4, nil, "evil.example:80", 421, 421},
		{"loopback", loopback4, nil, "localhost.evil.example", 421, 421},
		{"loopback", loopback4, nil, "10.0.0.1", 421, 421},
		{"another address", &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, nil, "shop.example", 200, 200},
		{"a socket", &net.UnixAddr{Name: "s"}, nil, "shop.example", 200, 200},
		{"by name", loopback4, []Option{WithHosts("Shop.example")}, "shop.example:80", 200, 200},
		{"by name", loopback4, []Option{WithHosts("Shop.example")}, "localhost", 421, 421},
		{"any", loopback4, []Option{WithHosts("*")}, "evil.example", 200, 200},
	} {
		srv := rpc.NewServer()
		require.NoError(t, checkStock.Handle(srv, newInventory().check))
		gw := New(srv, append(c.opts, WithPage(nil))...)
		ask := func(h http.Handler, method, path string) int {
			r := httptest.NewRequest(method, path, strings.NewReader("{}"))
			r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.local))
			r.Header.Set("Content-Type", "application/json")
			r.Host = c.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		assert.Equal(t, c.page, ask(gw, "GET", "/rpc/"), "%s: the page of %q", c.about, c.host)
		assert.Equal(t, c.page, ask(gw, "GET", method), "%s: a method's page of %q", c.about, c.host)
		assert.Equal(t, c.call, ask(gw, "POST", method), "%s: a call of %q", c.about, c.host)
		assert.Equal(t, 200, ask(gw, "GET", "/rpc/healthz"), "%s: a probe of %q", c.about, c.host)
		if c.opts == nil {
			assert.Equal(t, c.page, ask(OnlyHosts(gw), "GET", "/rpc/healthz"), "%s: beside it, of %q", c.about, c.host)
		}
	}
	assert.Equal(t, 421, func() int {
		w := httptest.NewRecorder()
		OnlyHosts(http.NotFoundHandler(), "a", "b").ServeHTTP(w, httptest.NewRequest("GET", "http://c/", nil))
		return w.Code
	}())
}

// A name that no host has would let no request in, without a word.
func TestHosts_RefusesWhatIsNoHost(t *testing.T) {
	for _, name := range []string{"", "*.example", " shop.example", "a,b", "https://shop.example", "shop.example/rpc", "münchen.example"} {
		assert.PanicsWithError(t, fmt.Sprintf("gateway: WithHosts: host %q: want a name such as shop.example, or an address; a name of another script as DNS has it (xn--…)", name),
			func() { WithHosts("a", name) })
		assert.Panics(t, func() { OnlyHosts(http.NotFoundHandler(), name) }, name)
	}
	for _, name := range []string{"*", "shop.example", "shop.example:80", "[::1]", "::1", "SHOP_1", "shop.example."} {
		assert.NotPanics(t, func() { WithHosts(name) }, name)
	}
}

var (
	loopback4 = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	loopback6 = &net.TCPAddr{IP: net.IPv6loopback, Port: 80}
)

func TestPage_AnErrorIsAPageForABrowser(t *testing.T) {
	noLeaks(t)
	_, url := servePage(t)
	const chromium = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	for _, path := range []string{"/rpc/Inventory.Nope", "/rpc/favicon.ico", "/rpc/%3Cscript%3E", "/rpc/Inventory%2ECheckStock"} {
		a := do(t, "GET", url+path, "", chromium)
		assert.Equal(t, 404, a.StatusCode, path)
		assert.Equal(t, "text/html; charset=utf-8", a.Header.Get("Content-Type"), path)
		assert.NotEmpty(t, a.Header.Get("Content-Security-Policy"))
		assert.Contains(t, a.text, "<h1>Not Found</h1>", path)
		assert.Contains(t, a.text, `<a href="/rpc/">`, path)
		assert.NotContains(t, a.text, "<script", path)
	}
	assert.Contains(t, do(t, "GET", url+"/rpc/Inventory.Nope", "", chromium).text, "method not found: Inventory.Nope")
	a := do(t, "GET", url+"/rpc/", "", chromium, "Host: evil.example")
	assert.Equal(t, 421, a.StatusCode)
	assert.Contains(t, a.text, "this is not the server of &#34;evil.example&#34;")
	assert.NotContains(t, a.text, "CheckStock")
	for accept, isPage := range map[string]bool{"": false, "*/*": false, "application/json": false, "text/html;q=0": false, "text/*": false, "application/json, text/html;q=0.1": true} {
		a := do(t, "GET", url+"/rpc/Inventory.Nope", "", "Accept: "+accept)
		assert.Equal(t, isPage, strings.HasPrefix(a.Header.Get("Content-Type"), "text/html"), accept)
	}
	a = post(t, url+"/rpc/Inventory.Nope", "{}", chromium)
	assert.Equal(t, "unimplemented", a.failure(t).Code, "a call is answered as one")
}

func TestNumbers_AreForPeople(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.001: "< 0.01", 0.25: "0.25", 1: "1", 3.14159: "3.14", 9.999: "10", 12.34: "12.3", 99.99: "100", 5600: "5,600", 195444.4: "195,444"} {
		assert.Equal(t, want, rate(v))
	}
	for d, want := range map[time.Duration]string{
		0: "0 µs", 250: "0.25 µs", 4 * time.Microsecond: "4 µs", 999_400 * time.Nanosecond: "999 µs", 999_600 * time.Nanosecond: "1 ms",
		1234 * time.Microsecond: "1.23 ms", 999_900 * time.Microsecond: "1 s", 12340 * time.Millisecond: "12.3 s", 59_990 * time.Millisecond: "1 min",
		90 * time.Second: "1 min 30 s", time.Hour - 1: "1 h", 2*time.Hour + 5*time.Minute + 40*time.Second: "2 h 6 min", 76 * time.Hour: "3 d 4 h", 9000 * time.Hour: "375 d",
	} {
		assert.Equal(t, want, span(d), "%v", d)
	}
}
