package cache

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// request and reply are what the tests' method takes and returns.
type request struct{ Item string }

type reply struct {
	Item  string
	Count int
	Tags  []string
}

const method = "Inventory.CheckStock"

// server answers calls in the place of a Client, as one with JSON would.
type server struct {
	mu      sync.Mutex
	calls   int
	hold    chan struct{}                           // nil: answers at once
	respond func(req request, n int) (reply, error) // nil: the count is the call's number
	ended   []error                                 // what the contexts of calls ended with while they were held
}

func (s *server) Call(ctx context.Context, _ string, params, out any) error {
	s.mu.Lock()
	s.calls++
	n := s.calls
	s.mu.Unlock()
	if s.hold != nil {
		select {
		case <-s.hold:
		case <-ctx.Done():
			s.mu.Lock()
			s.ended = append(s.ended, ctx.Err())
			s.mu.Unlock()
			return rpc.Errorf(rpc.CodeOf(ctx.Err()), "%w", ctx.Err())
		}
	}
	var req request
	if p, ok := params.(*request); ok {
		req = *p
	}
	answer := reply{Item: req.Item, Count: n, Tags: []string{"a", "b"}}
	if s.respond != nil {
		var err error
		if answer, err = s.respond(req, n); err != nil {
			return err
		}
	}
	if out == nil {
		return nil
	}
	body, err := json.Marshal(answer)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}

func (s *server) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

func newCache(t testing.TB, opts ...Option) *Cache {
	t.Helper()
	c, err := New(opts...)
	require.NoError(t, err)
	return c
}

// ask calls the tests' method and returns the count.
func ask(ctx context.Context, c rpc.Caller, item string) (int, error) {
	var r reply
	err := c.Call(ctx, method, &request{Item: item}, &r)
	return r.Count, err
}

func mustAsk(t testing.TB, ctx context.Context, c rpc.Caller, item string) int {
	t.Helper()
	n, err := ask(ctx, c, item)
	require.NoError(t, err)
	return n
}
