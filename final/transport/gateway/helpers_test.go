package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// The service that the tests call.
type (
	stockRequest struct {
		Item string `json:"item"`
	}
	stockReply struct {
		Item  string `json:"item"`
		Count int    `json:"count"`
	}
)

var checkStock = rpc.Method[stockRequest, stockReply]("Inventory.CheckStock")

// inventory is what a test can do with its handler.
type inventory struct {
	saw   func(ctx context.Context)
	began chan struct{}
	ended chan error
	let   chan struct{}
}

func newInventory() *inventory {
	return &inventory{began: make(chan struct{}, 64), ended: make(chan error, 64), let: make(chan struct{})}
}

func (inv *inventory) check(ctx context.Context, req *stockRequest) (*stockReply, error) {
	if inv.saw != nil {
		inv.saw(ctx)
	}
	switch req.Item {
	case "held":
		inv.began <- struct{}{}
		select {
		case <-inv.let:
		case <-ctx.Done():
			inv.ended <- ctx.Err()
			return nil, ctx.Err()
		}
	case "deaf": // does not look at its context
		inv.began <- struct{}{}
		<-inv.let
		inv.ended <- nil
	case "panic":
		panic("secret")
	case "goexit":
		runtime.Goexit()
	case "plain":
		return nil, errors.New("the shelf\nis <on> fire")
	case "busy":
		return nil, &rpc.Error{Code: rpc.ResourceExhausted, Message: "too many", Details: map[string]string{rpc.RetryAfterDetail: "1500"}}
	}
	if code, ok := strings.CutPrefix(req.Item, "code "); ok {
		for c := rpc.Canceled; c <= rpc.Unauthenticated; c++ {
			if c.String() == code {
				return nil, &rpc.Error{Code: c, Message: "as you wish", Details: map[string]string{"item": req.Item}}
			}
		}
	}
	return &stockReply{Item: req.Item, Count: 100}, nil
}

// serve serves inv over HTTP at the returned URL, until the test ends.
func serve(t *testing.T, inv *inventory, srvOpts []rpc.ServerOption, opts ...Option) (*rpc.Server, string) {
	t.Helper()
	srv := rpc.NewServer(srvOpts...)
	require.NoError(t, checkStock.Handle(srv, inv.check))
	require.NoError(t, srv.RegisterFunc("Clock.Tick", func() error { return nil }))
	mux := http.NewServeMux()
	mux.Handle("/rpc/", New(srv, opts...))
	hs := httptest.NewServer(mux)
	t.Cleanup(func() {
		hs.Close()
		srv.Close()
	})
	return srv, hs.URL
}

// answer is the response.
type answer struct {
	*http.Response
	text string
}

// failure reads an answer as an error.
func (a answer) failure(t *testing.T) (e errorBody) {
	t.Helper()
	assert.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.NoError(t, json.Unmarshal([]byte(a.text), &e), "%s", a.text)
	return e
}

// do makes a request with headers given as "Name: value".
func do(t *testing.T, method, url, body string, headers ...string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Add(name, value)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return answer{resp, string(text)}
}

// post makes a call as curl would.
func post(t *testing.T, url, body string, headers ...string) answer {
	t.Helper()
	return do(t, http.MethodPost, url, body, append(headers, "Content-Type: application/json")...)
}

// noLeaks fails the test if there are more goroutines at its end than now. Call it first.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 3_000_000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			runtime.Gosched()
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}
