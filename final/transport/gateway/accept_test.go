package gateway

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// Every kind of Accept on every kind of route: what the answer is, or what is offered.
func TestAccept_OnEveryRoute(t *testing.T) {
	const (
		html = "text/html; charset=utf-8"
		none = "application/json" // an error
	)
	type want struct {
		status int
		kind   string
	}
	page, unacceptable, notAllowed := want{200, html}, want{406, none}, want{405, none}
	events, lines := want{200, eventStream}, want{200, ndjson}
	accepts := []string{"", "*/*", "text/*;q=0.5", "text/html", "application/xhtml+xml", "application/json", "text/event-stream", "application/x-ndjson, text/event-stream;q=0.5", "text/html;q=0, */*", "text/html, text/event-stream;q=0.9"}
	for _, c := range []struct {
		name, method, path string
		opts               []Option
		want               []want // as accepts
	}{
		{"list", "GET", "/rpc/", []Option{WithPage(nil)}, []want{page, page, page, page, page, unacceptable, unacceptable, unacceptable, unacceptable, page}},
		{"page of a call", "GET", "/rpc/Inventory.CheckStock", []Option{WithPage(nil)}, []want{page, page, page, page, page, unacceptable, unacceptable, unacceptable, unacceptable, page}},
		{"page of a stream", "GET", watchPath, []Option{WithPage(nil)}, []want{page, page, page, page, page, unacceptable, unacceptable, unacceptable, unacceptable, page}},
		{"page of a stream by GET", "GET", watchPath, []Option{WithPage(nil), WithGET(watch.Name())}, []want{page, page, page, page, page, unacceptable, events, lines, unacceptable, page}},
		{"stream by GET", "GET", watchPath, []Option{WithGET(watch.Name())}, []want{notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, events, lines, notAllowed, events}},
		{"call by GET", "GET", "/rpc/Inventory.CheckStock", nil, []want{notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, notAllowed, notAllowed}},
		{"stream", "POST", watchPath, nil, []want{lines, lines, lines, lines, lines, lines, events, lines, lines, events}},
		{"probe", "GET", "/rpc/healthz", nil, nil},
		{"call", "POST", "/rpc/Inventory.CheckStock", []Option{WithPage(nil)}, nil},
	} {
		srv := rpc.NewServer()
		defer srv.Close()
		registerStreams(t, srv, newWatcher())
		require.NoError(t, checkStock.Handle(srv, newInventory().check))
		gw := New(srv, append(c.opts, WithHosts("*"))...)
		for i, accept := range accepts {
			r := httptest.NewRequest(c.method, c.path, nil)
			r.Header.Set("Accept", accept)
			if c.method == "POST" {
				r.Header.Set("Content-Type", "application/json")
			}
			w := httptest.NewRecorder()
			gw.ServeHTTP(w, r)
			got, about := want{w.Code, w.Header().Get("Content-Type")}, fmt.Sprintf("%s, Accept: %s", c.name, accept)
			if c.want == nil { // Accept changes nothing
				assert.Equal(t, http.StatusOK, w.Code, about)
				continue
			}
			assert.Equal(t, c.want[i], got, about)
		}
	}
}

// A program is told how it gets what it wants.
func TestAccept_TheRefusalSaysHow(t *testing.T) {
	srv := rpc.NewServer()
	defer srv.Close()
	registerStreams(t, srv, newWatcher())
	require.NoError(t, checkStock.Handle(srv, newInventory().check))
	for path, c := range map[string]struct {
		opts []Option
		text string
	}{
		"/rpc/":                     {nil, "by GET there is a page here, text/html"},
		"/rpc/Inventory.CheckStock": {nil, "by GET there is a page here, text/html; a call is a POST"},
		"/rpc/Orders.Import":        {nil, "by GET there is a page here, text/html; a client stream needs a connection of package rpc"},
		watchPath:                   {nil, "by GET there is a page here, text/html; a stream is opened by POST, or by GET if the server allows it (WithGET)"},
		watchPath + "?":             {[]Option{WithGET(watch.Name())}, "by GET there is a page here, text/html, or the stream, text/event-stream or application/x-ndjson"},
	} {
		accept := eventStream
		if c.opts != nil {
			accept = "application/json"
		}
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		New(srv, append(c.opts, WithPage(nil), WithHosts("*"))...).ServeHTTP(w, r)
		assert.Equal(t, http.StatusNotAcceptable, w.Code, path)
		assert.JSONEq(t, fmt.Sprintf(`{"code":"invalid_argument","message":%q}`, c.text), w.Body.String(), path)
	}
}
