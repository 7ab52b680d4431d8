package history

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/orders"
	"example.com/rpc-from-scratch/final/rpc"
)

// A Recorder notes the calls of the shop's methods that pass through it. Its zero value
// is ready to use, and it may be used concurrently.
//
// Several clients of one process can share a Recorder. Their times are comparable,
// because they come from one clock.
type Recorder struct {
	mu    sync.Mutex // guards what follows
	start time.Time  // of the first call
	calls []Call
}

// Intercept is an [rpc.ClientInterceptor]. Calls of methods that are not the shop's pass
// without a note.
func (r *Recorder) Intercept(next rpc.Caller) rpc.Caller {
	return rpc.CallerFunc(func(ctx context.Context, method string, params, reply any) error {
		call, ok := ask(params)
		if !ok {
			return next.Call(ctx, method, params, reply)
		}
		n := r.begin(call)
		err := next.Call(ctx, method, params, reply)
		r.end(n, reply, err)
		return err
	})
}

// Calls returns the calls so far. A call that is under way is among them, unknown and
// without an end.
func (r *Recorder) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.calls)
}

// Saw notes what the stock is now, as somebody found out without a call. No call may be
// under way.
func (r *Recorder) Saw(items []inventory.Item) {
	n := r.begin(Call{Kind: Look})
	r.end(n, &inventory.ListReply{Items: items}, nil)
}

func (r *Recorder) begin(c Call) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start.IsZero() {
		r.start = time.Now()
	}
	c.Outcome, c.Begun, c.Ended = Unknown, time.Since(r.start), Never
	r.calls = append(r.calls, c)
	return len(r.calls) - 1
}

func (r *Recorder) end(n int, reply any, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[n].tell(reply, err)
	r.calls[n].Ended = time.Since(r.start)
}

// ask returns the call that params make; false if it is none of the shop's.
func ask(params any) (c Call, ok bool) {
	switch p := params.(type) {
	case *inventory.ReserveRequest:
		return Call{Kind: Reserve, Order: p.Order, Lines: p.Lines}, true
	case *inventory.ReleaseRequest:
		return Call{Kind: Release, Order: p.Order}, true
	case *inventory.CheckStockRequest:
		return Call{Kind: Look, Levels: []Level{{Item: p.Item}}}, true
	case *inventory.ListRequest:
		return Call{Kind: Look}, true
	case *orders.Order:
		return Call{Kind: Place, Order: p.ID, Lines: p.Lines}, true
	}
	return Call{}, false
}

// tell notes what the caller was told.
func (c *Call) tell(reply any, err error) {
	if err != nil {
		c.Outcome = c.refusal(err)
		return
	}
	switch r := reply.(type) {
	case *inventory.ReserveReply:
		c.Outcome, c.Units = Held, r.Units
	case *orders.Receipt:
		c.Outcome, c.Units = Held, r.Units
	case *inventory.ReleaseReply:
		c.Outcome, c.Units = Released, r.Units
	case *inventory.CheckStockReply:
		c.Outcome, c.Levels = Seen, []Level{{c.Levels[0].Item, r.Left}}
	case *inventory.ListReply:
		c.Outcome, c.Levels = Seen, nil
		for _, item := range r.Items {
			c.Levels = append(c.Levels, Level{item.ID, item.Left})
		}
	}
}

// refusal says what an error tells the caller. Whatever is not the shop's own answer
// leaves the outcome open, also "it never ran": that may be true of the last attempt only.
func (c *Call) refusal(err error) Outcome {
	switch code := rpc.CodeOf(err); {
	case code == rpc.InvalidArgument:
		return NoEffect
	case c.Kind == Release && code == rpc.FailedPrecondition, c.Kind == Look && code == rpc.NotFound:
		return NoEffect
	case code == rpc.FailedPrecondition:
		c.Short = shortage(err)
		return Refused
	case code == rpc.NotFound:
		return NoSuchItem
	case code == rpc.Aborted:
		return Withdrawn
	case code == rpc.AlreadyExists:
		return Conflict
	}
	return Unknown
}

// shortage reads the details that a refusal has; -1 stands for a number that is missing.
func shortage(err error) inventory.Shortage {
	var details map[string]string
	if e, ok := errors.AsType[*rpc.Error](err); ok {
		details = e.Details
	}
	number := func(key string) int {
		if n, err := strconv.Atoi(details[key]); err == nil {
			return n
		}
		return -1
	}
	return inventory.Shortage{Item: details["item"], Left: number("left"), Wanted: number("wanted")}
}
