package consul

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hostileAgent answers the first query with a list, and each later one with head, and then
// with more without end. It counts what it could send.
func hostileAgent(t *testing.T, head, more string) (addr string, sent *atomic.Int64) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	sent = new(atomic.Int64)
	good := instances("a:1", "b:2")
	good = fmt.Sprintf("HTTP/1.1 200 OK\r\nX-Consul-Index: 5\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(good), good)
	go func() {
		for n := 0; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				conn.Read(make([]byte, 4<<10))
				if n == 0 {
					io.WriteString(conn, good)
					return
				}
				more := strings.Repeat(more, 64<<10/len(more))
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Consul-Index: 6\r\n"+head)
				for err == nil {
					var k int
					k, err = io.WriteString(conn, more)
					sent.Add(int64(k))
				}
			}()
		}
	}()
	return ln.Addr().String(), sent
}

// Whatever an agent sends without end, little of it is read, the error says why, and the
// servers that are known stay in use.
func TestNewClient_BoundsWhatAnAgentSays(t *testing.T) {
	const body = "Content-Type: application/json\r\n\r\n"
	for name, c := range map[string]struct{ head, more, says string }{
		"services":       {body + "[", `{"Service":{"Address":"c","Port":3}},`, "the answer has more than 8 MiB"},
		"empty services": {body + "[", "{},", "the answer has more than 8 MiB"},
		"a text":         {body + `["`, "x", "the answer has more than 8 MiB"},
		"white space":    {body, " ", "the answer has more than 8 MiB"},
		"a long body":    {"Content-Length: 1000000000000\r\n\r\n[", "{},", "the answer has more than 8 MiB"},
		"headers":        {"", "X-More: and more\r\n", "response headers exceeded 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, sent := hostileAgent(t, c.head, c.more)
			client, err := NewClient(&api.Config{Address: addr})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error, 1)
			updates := make(chan []string, 10)
			r := Resolver{Client: client, Service: "inventory", OnError: func(err error) {
				select {
				case failed <- err:
				default:
				}
			}}
			done := make(chan error)
			go func() { done <- r.Resolve(ctx, func(addrs []string) { updates <- addrs }) }()
			assert.Equal(t, []string{"a:1", "b:2"}, <-updates)
			assert.ErrorContains(t, <-failed, c.says)
			cancel()
			assert.ErrorIs(t, <-done, context.Canceled)
			assert.Empty(t, updates)
			assert.Less(t, sent.Load(), int64(3*(maxAnswer+8<<20)), "bytes that were taken of the agent, by at most three queries")
		})
	}
}

// The text of an error is cut.
func TestNewClient_BoundsTheTextOfAnError(t *testing.T) {
	b := bounded{fakeConsul(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 500, Body: io.NopCloser(endless{})}, nil
	})}
	resp, err := b.RoundTrip(nil)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, resp.Body)
	assert.NoError(t, err)
	assert.EqualValues(t, maxFailure, n)
}

// The longest answer that is allowed is read whole; one byte more is an error.
func TestNewClient_TakesTheLongestAnswer(t *testing.T) {
	for more, failed := range []bool{false, true} {
		b := bounded{fakeConsul(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(io.LimitReader(endless{}, int64(maxAnswer+more)))}, nil
		})}
		resp, err := b.RoundTrip(nil)
		require.NoError(t, err)
		n, err := io.Copy(io.Discard, resp.Body)
		assert.Equal(t, failed, err != nil)
		assert.EqualValues(t, maxAnswer+more, n)
	}
}

// endless is bytes without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// What a program has given is not changed.
func TestNewClient_ChangesNoConfig(t *testing.T) {
	transport, given := new(http.Transport), new(http.Client)
	for _, config := range []*api.Config{{Transport: transport}, {HttpClient: given}, {Address: "unix:///tmp/none", Transport: transport}} {
		before := *config
		_, err := NewClient(config)
		require.NoError(t, err)
		assert.Equal(t, before, *config)
	}
	assert.Nil(t, given.Transport)
	_, err := NewClient(nil)
	assert.NoError(t, err)
	_, err = NewClient(&api.Config{Address: "ftp://localhost"})
	assert.Error(t, err)
}

// drip is a body that comes byte by byte, for as long as its request lasts.
type drip struct {
	ctx  context.Context
	tick *time.Ticker
}

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-d.tick.C:
		return copy(p, " "), nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// An answer that drips has the time of a query.
func TestResolver_GivesUpAnAnswerThatDrips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, Resolver{Wait: time.Minute}, func(n int, req *http.Request) (*http.Response, error) {
			resp := reply(200, "5", instances("a:1"))
			if n > 1 {
				tick := time.NewTicker(time.Second)
				context.AfterFunc(req.Context(), tick.Stop)
				resp.Body = io.NopCloser(drip{req.Context(), tick})
			}
			return resp, nil
		})
		now := r.after(2 * time.Minute) // the first query has 74 s, and the others 10 s each
		assert.Equal(t, []string{"a:1"}, now.updates)
		require.Len(t, now.errs, 5)
		assert.Contains(t, now.errs[0], context.DeadlineExceeded.Error())
	})
}

// An answer with many instances that cannot be dialled fills no log.
func TestResolver_TellsOfAFewBadInstances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
			if n > 1 {
				return blocked(req, "5", "[]")
			}
			return reply(200, "5", "["+strings.Repeat("{},", 100_000)+strings.TrimPrefix(instances("a:1"), "[")), nil
		})
		now := r.after(0)
		assert.Equal(t, []string{"a:1"}, now.updates)
		require.Len(t, now.errs, 11)
		assert.Contains(t, now.errs[10], "99990 more instances of inventory cannot be dialled")
	})
}
