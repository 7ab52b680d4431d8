package consul

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// The rules of blocking queries, and what Consul may answer, are tested in
// bubbles against a Consul that the test writes; consul_test.go has the real one.

// fakeConsul answers requests in place of the network.
type fakeConsul func(req *http.Request) (*http.Response, error)

func (f fakeConsul) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (f fakeConsul) client(t *testing.T) *api.Client {
	t.Helper()
	client, err := api.NewClient(&api.Config{
		Address: "consul.test:8500", Datacenter: "dc2", Token: "secret", HttpClient: &http.Client{Transport: f},
	})
	require.NoError(t, err)
	return client
}

func reply(status int, index, body string) *http.Response {
	header := http.Header{"X-Consul-Lastcontact": {"0"}, "X-Consul-Knownleader": {"true"}}
	if index != "" {
		header.Set("X-Consul-Index", index)
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}
}

// instances is Consul's answer for services at addresses "host:port".
func instances(addrs ...string) string {
	entries := []any{}
	for _, addr := range addrs {
		i := strings.LastIndex(addr, ":")
		var port int
		fmt.Sscan(addr[i+1:], &port)
		entries = append(entries, map[string]any{
			"Node": map[string]any{"Address": "10.9.9.9"}, "Service": map[string]any{"Address": addr[:i], "Port": port},
		})
	}
	text, err := json.Marshal(entries)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// blocked waits as Consul does when nothing changes.
func blocked(req *http.Request, index, body string) (*http.Response, error) {
	wait, err := time.ParseDuration(req.URL.Query().Get("wait"))
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(wait + wait/16):
		return reply(200, index, body), nil
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
}

// resolving is a Resolver at work in a bubble, and what it has said.
type resolving struct {
	mu      sync.Mutex
	updates []string // each list, with spaces
	errs    []string
	queries []string // their parameters
	at      []time.Duration
	begun   time.Time
}

// resolve runs r against answer, which gets the number of the query, from 1 on.
func resolve(t *testing.T, r Resolver, answer func(n int, req *http.Request) (*http.Response, error)) *resolving {
	t.Helper()
	said := &resolving{begun: time.Now()}
	r.Service = "inventory"
	r.Client = fakeConsul(func(req *http.Request) (*http.Response, error) {
		said.mu.Lock()
		said.queries = append(said.queries, req.URL.Query().Encode())
		said.at = append(said.at, time.Since(said.begun))
		n := len(said.queries)
		said.mu.Unlock()
		assert.Equal(t, "/v1/health/service/inventory", req.URL.Path)
		assert.Equal(t, "secret", req.Header.Get("X-Consul-Token"))
		return answer(n, req)
	}).client(t)
	r.OnError = func(err error) {
		said.mu.Lock()
		said.errs = append(said.errs, err.Error())
		said.mu.Unlock()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		done <- r.Resolve(ctx, func(addrs []string) {
			said.mu.Lock()
			said.updates = append(said.updates, strings.Join(addrs, " "))
			said.mu.Unlock()
		})
	}()
	t.Cleanup(func() {
		cancel()
		assert.ErrorIs(t, <-done, context.Canceled)
	})
	return said
}

// after lets the bubble's clock run and returns what has been said so far.
func (r *resolving) after(d time.Duration) *resolving {
	<-time.After(d)
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return &resolving{updates: r.updates, errs: r.errs, queries: r.queries, at: r.at}
}

func TestResolver_AsksForPassingInstancesAndWaitsForChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		change := make(chan string)
		r := resolve(t, Resolver{Tags: []string{"v2", "blue"}, Wait: 5 * time.Minute}, func(n int, req *http.Request) (*http.Response, error) {
			if n == 1 {
				return reply(200, "10", instances("b:2", "a:1", "a:1")), nil
			}
			select {
			case body := <-change:
				return reply(200, fmt.Sprint(9+n), body), nil
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
		})
		now := r.after(0)
		assert.Equal(t, []string{"a:1 b:2"}, now.updates)
		assert.Equal(t, []string{"dc=dc2&passing=1&tag=v2&tag=blue", "dc=dc2&index=10&passing=1&tag=v2&tag=blue&wait=300000ms"}, now.queries)
		change <- instances("a:1", "b:2") // the order is nobody's business
		change <- instances("b:2", ":3")
		now = r.after(0)
		assert.Equal(t, []string{"a:1 b:2", "10.9.9.9:3 b:2"}, now.updates, "an instance without an address has its node's")
		assert.Empty(t, now.errs)
		assert.Equal(t, "dc=dc2&index=12&passing=1&tag=v2&tag=blue&wait=300000ms", now.queries[3])
	})
}

func TestResolver_IndexNeverWaitsForAnotherHistory(t *testing.T) {
	for _, c := range []struct {
		name    string
		answers []string // indices
		asked   []string
	}{
		{"it rises", []string{"5", "7", "7"}, []string{"", "5", "7", "7"}},
		{"it goes backwards", []string{"500", "12", "12"}, []string{"", "500", "1", "12"}},
		{"it is 0", []string{"0", "0"}, []string{"", "1", "1"}},
		{"it is missing", []string{"", ""}, []string{"", "1", "1"}},
		{"it is no number", []string{"many"}, []string{"", "1"}},
		{"it is negative", []string{"-1"}, []string{"", "1"}},
		{"it is as large as can be", []string{"18446744073709551615", "3"}, []string{"", "18446744073709551615", "1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked []string
				resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
					asked = append(asked, req.URL.Query().Get("index"))
					if n <= len(c.answers) {
						return reply(200, c.answers[n-1], instances("a:1")), nil
					}
					<-req.Context().Done()
					return nil, req.Context().Err()
				}).after(time.Second)
				assert.Equal(t, c.asked, asked)
			})
		})
	}
}

func TestResolver_AsksAtABoundedRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
			return reply(200, fmt.Sprint(n), instances(fmt.Sprintf("a:%d", 1+n%1000))), nil
		})
		assert.InDelta(t, 10+5*60, len(r.after(time.Minute).queries), 2, "ten at once, then five a second")
	})
}

func TestResolver_KeepsWhatItKnowsWhileConsulIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var back atomic.Bool
		r := resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
			switch {
			case n == 1:
				return reply(200, "70", instances("a:1")), nil
			case n == 2:
				return nil, errors.New("connection reset")
			case n == 3:
				return reply(500, "", "No cluster leader"), nil
			case n == 4:
				return reply(200, "71", "<html>a proxy's login page"), nil
			case !back.Load():
				return nil, errors.New("connection refused")
			case req.URL.Query().Get("index") == "":
				return reply(200, "3", instances("b:2")), nil
			}
			return blocked(req, "3", instances("b:2"))
		})
		now := r.after(time.Hour)
		assert.Equal(t, []string{"a:1"}, now.updates)
		assert.InDelta(t, 3600/3.75, len(now.queries), 100, "a pause of 2.5 to 5 s between attempts")
		assert.Contains(t, now.errs[0], "consul: where is inventory: ")
		assert.Contains(t, now.errs[0], "connection reset")
		assert.Contains(t, now.errs[1], "No cluster leader")
		back.Store(true)
		now = r.after(lastPause)
		assert.Equal(t, []string{"a:1", "b:2"}, now.updates)
		last := now.queries[len(now.queries)-2:]
		assert.NotContains(t, last[0], "index", "another history begins with a query that does not wait")
		assert.Contains(t, last[1], "index=3")
	})
}

func TestResolver_GivesUpAQueryThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, Resolver{Wait: 16 * time.Minute / 10}, func(n int, req *http.Request) (*http.Response, error) {
			if n%2 == 1 {
				return reply(200, "5", instances("a:1")), nil
			}
			<-req.Context().Done() // the machine is gone, and the connection does not know
			return nil, req.Context().Err()
		})
		wait := 96*time.Second + 6*time.Second + answerIn
		assert.Empty(t, r.after(wait-time.Second).errs, "Consul may answer a sixteenth later than asked")
		now := r.after(2 * time.Second)
		assert.Len(t, now.errs, 1)
		assert.Len(t, now.queries, 4)
		assert.Equal(t, []string{"a:1"}, now.updates)
	})
}

func TestResolver_DoubtsAnEmptyList(t *testing.T) {
	for _, c := range []struct {
		name   string
		grace  time.Duration
		back   time.Duration // when servers are there again; 0: never
		within time.Duration
		want   []string
		at     time.Duration // of the last update
	}{
		{"the servers register again", 0, 50 * time.Second, 10 * time.Minute, []string{"a:1 b:2", "b:2"}, 50 * time.Second},
		{"they do not", 0, 0, 59 * time.Second, []string{"a:1 b:2"}, 0},
		{"they never do", 0, 0, 10 * time.Minute, []string{"a:1 b:2", ""}, time.Minute},
		{"a longer grace", 5 * time.Minute, 4 * time.Minute, 10 * time.Minute, []string{"a:1 b:2", "b:2"}, 4 * time.Minute},
		{"none", -1, 0, time.Second, []string{"a:1 b:2", ""}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				r := resolve(t, Resolver{Grace: c.grace}, func(n int, req *http.Request) (*http.Response, error) {
					switch left := c.back - time.Since(begun); {
					case n == 1:
						return reply(200, "9", instances("a:1", "b:2")), nil
					case n == 2:
						return reply(200, "10", "[]"), nil
					case c.back == 0:
						return blocked(req, "10", "[]")
					case left > 0:
						wait, err := time.ParseDuration(req.URL.Query().Get("wait"))
						require.NoError(t, err)
						if wait < left {
							return blocked(req, "10", "[]")
						}
						<-time.After(left)
						return reply(200, "11", instances("b:2")), nil
					}
					return blocked(req, "11", instances("b:2"))
				})
				now := r.after(c.within)
				assert.Equal(t, c.want, now.updates)
				assert.Empty(t, now.errs)
				assert.Less(t, len(now.queries), 20)
			})
		})
	}
}

func TestResolver_EmptyListIsBelievedWhereNothingWasKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
			if n == 1 {
				return reply(200, "9", "[]"), nil
			}
			return blocked(req, "9", "[]")
		})
		assert.Equal(t, []string{""}, r.after(0).updates, "so that calls fail at once, and say why")
	})
}

func TestResolver_LeavesOutWhatCannotBeDialled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := `[null, {}, {"Service":null}, {"Service":{"Address":"a b","Port":1}}, {"Service":{"Port":1}}, {"Service":{"Address":"a","Port":0}},
			{"Service":{"Address":"a","Port":70000}}, {"Service":{"Address":"a\nb","Port":1}}, {"Service":{"Address":"unix:/etc/x","Port":1}},
			{"Service":{"Address":"::1","Port":7}}, {"Service":{"Address":"ok.example","Port":7}}]`
		r := resolve(t, Resolver{}, func(n int, req *http.Request) (*http.Response, error) {
			if n == 1 {
				return reply(200, "9", body), nil
			}
			return blocked(req, "9", body)
		})
		now := r.after(0)
		assert.Equal(t, []string{"[::1]:7 ok.example:7"}, now.updates)
		assert.Len(t, now.errs, 9)
		assert.Equal(t, `consul: an instance of inventory: address "a:70000": want a port from 1 to 65535`, now.errs[6])
	})
}

func TestResolver_RefusesAName(t *testing.T) {
	for _, name := range []string{"", "a/b", "a?b", "..", "a b", "ä"} {
		r := &Resolver{Service: name}
		assert.ErrorContains(t, r.Resolve(t.Context(), nil), "consul: service name", name)
	}
}

// A caller who gives up for want of an address reads why there is none.
func TestResolver_ACallerSeesWhyThereAreNoAddresses(t *testing.T) {
	for want, answer := range map[string]fakeConsul{
		"connection refused": func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
		"Permission denied":  func(*http.Request) (*http.Response, error) { return reply(403, "", "Permission denied"), nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			var queries int
			counted := fakeConsul(func(req *http.Request) (*http.Response, error) { queries++; return answer(req) })
			pool := rpc.NewPool(&Resolver{Client: counted.client(t), Service: "inventory"})
			defer pool.Close()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			err := pool.Call(ctx, "Inventory.CheckStock", nil, nil)
			assert.ErrorIs(t, err, rpc.DeadlineExceeded)
			assert.ErrorContains(t, err, "consul: where is inventory: ")
			assert.ErrorContains(t, err, want)
			assert.Greater(t, queries, 5)
			assert.Less(t, queries, 100)
		})
	}
}
