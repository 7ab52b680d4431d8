package history

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// A store is an inventory in memory, with a disk that is written now and then, and with
// faults if a test wants them.
type store struct {
	twice bool // a repeated request is applied once more
	early bool // it answers before the disk is written

	mu     sync.Mutex
	synced *sync.Cond // the disk was written, or is lost
	now    books
	disk   books
	crash  int // how often the store has crashed and lost changes
	lost   int // answers so far, some of which are lost on their way
}

type books struct {
	left  map[string]int
	known map[string]error // what each order was answered
	n     int              // changes
}

func (b books) clone() books { return books{maps.Clone(b.left), maps.Clone(b.known), b.n} }

func newStore(stock map[string]int) *store {
	s := &store{now: books{left: stock, known: map[string]error{}}}
	s.disk = s.now.clone()
	s.synced = sync.NewCond(&s.mu)
	return s
}

var errLost = rpc.Errorf(rpc.Unavailable, "the connection is lost")

// Call is for [rpc.CallerFunc].
func (s *store) Call(_ context.Context, _ string, params, reply any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, ok := params.(*inventory.CheckStockRequest); ok {
		seen := &s.disk
		if s.early {
			seen = &s.now // so that only a crash shows the fault
		}
		reply.(*inventory.CheckStockReply).Left = seen.left[p.Item]
		return nil
	}
	req := params.(*inventory.ReserveRequest)
	answer, known := s.now.known[req.Order]
	if !known || s.twice && answer == nil {
		answer = s.now.reserve(req)
	}
	if change, crash := s.now.n, s.crash; !s.early {
		for s.disk.n < change && s.crash == crash {
			s.synced.Wait()
		}
		if s.crash > crash {
			return errLost
		}
	}
	if s.early && s.now.n >= s.disk.n+8 {
		s.write(s.lost%2 == 0) // it does not wait for the disk, so the disk waits for it
	}
	if s.lost++; s.lost%5 == 0 {
		return errLost
	}
	reply.(*inventory.ReserveReply).Units = units(req.Lines)
	return answer
}

func (b *books) reserve(req *inventory.ReserveRequest) error {
	b.n++
	l := req.Lines[0]
	if have := b.left[l.Item]; have < l.Quantity {
		b.known[req.Order] = (&rpc.Error{Code: rpc.FailedPrecondition, Message: "out of stock", Details: map[string]string{
			"item": l.Item, "left": strconv.Itoa(have), "wanted": strconv.Itoa(l.Quantity),
		}})
		return b.known[req.Order]
	}
	b.left[l.Item] -= l.Quantity
	b.known[req.Order] = nil
	return nil
}

// sync writes the disk, or loses what is not on it.
func (s *store) sync(lose bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.write(lose)
}

// write is sync under the lock.
func (s *store) write(lose bool) {
	switch {
	case !lose:
		s.disk = s.now.clone()
	case s.now.n > s.disk.n:
		s.now = s.disk.clone()
		s.crash++
	}
	s.synced.Broadcast()
}

func (s *store) crashes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.crash
}

// trade has four callers reserve, ask again until they have an answer, and look at the
// stock, until the store has lost changes in ten crashes.
func trade(t *testing.T, s *store) []Call {
	t.Helper()
	var recorder Recorder
	client := recorder.Intercept(rpc.CallerFunc(s.Call))
	ctx, cancel := context.WithCancel(t.Context())
	var disk, callers sync.WaitGroup
	disk.Go(func() {
		tick := time.NewTicker(100 * time.Microsecond)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			s.sync(i%3 == 2)
		}
		s.sync(false)
	})
	for c := range 4 {
		callers.Go(func() {
			item := fmt.Sprint("item", c%2)
			for i := 0; i < 60 || s.crashes() < 10; i++ {
				req := &inventory.ReserveRequest{Order: fmt.Sprint(c, "-", i), Lines: []inventory.Line{{Item: item, Quantity: 1 + i%3}}}
				for err := error(errLost); err == error(errLost); {
					_, err = inventory.Reserve.Call(ctx, client, req)
				}
				inventory.CheckStock.Call(ctx, client, &inventory.CheckStockRequest{Item: item})
			}
		})
	}
	callers.Wait()
	cancel()
	disk.Wait()
	for i := range 2 {
		_, err := inventory.CheckStock.Call(t.Context(), client, &inventory.CheckStockRequest{Item: fmt.Sprint("item", i)})
		require.NoError(t, err)
	}
	return recorder.Calls()
}

func TestCheck_FindsPlantedFaults(t *testing.T) {
	for _, test := range []struct {
		name  string
		plant func(*store)
		found bool
	}{
		{"none", func(*store) {}, false},
		{"a reservation is applied twice", func(s *store) { s.twice = true }, true},
		{"an answer before the sync", func(s *store) { s.early = true }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			stock := map[string]int{"item0": 200, "item1": 1000} // the first runs out, the second does not
			s := newStore(maps.Clone(stock))
			test.plant(s)
			err := Check(stock, trade(t, s), time.Minute)
			if !test.found {
				assert.NoError(t, err)
				return
			}
			assert.ErrorContains(t, err, "explains all answers")
			assert.NotErrorIs(t, err, ErrNotDecided)
			t.Log(err)
		})
	}
}
