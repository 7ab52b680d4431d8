package demo

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/middleware/cache"
	"example.com/rpc-from-scratch/final/rpc"
)

// A window is the shop's window, with the whole stock in it. Passers-by look at
// what a cache keeps for them; one who copies it all asks the inventory each time,
// and runs into its limit.
type window struct {
	answers  *cache.Cache
	shown    *rpc.Pool
	behind   *rpc.Pool
	watching sync.WaitGroup

	looks    atomic.Int64 // that passers-by had an answer to
	answered atomic.Int64 // to who copies
	refused  atomic.Int64
}

const (
	passersBy = 4
	// freshFor is how old what the window shows may be.
	freshFor = 50 * time.Millisecond
	// listsPerSecond is how often the inventory allows its stock to be listed.
	listsPerSecond = 100
)

// newWindow returns a window of the inventory that resolver finds.
func newWindow(resolver rpc.Resolver, codec rpc.Codec, reach []rpc.ClientOption) (*window, error) {
	answers, err := cache.New(cache.Method(inventory.List.Name(), freshFor))
	if err != nil {
		return nil, err
	}
	return &window{
		answers: answers,
		shown:   rpc.NewPool(resolver, rpc.WithCodec(codec), rpc.WithClientInterceptors(answers.Intercept), rpc.WithClientOptions(reach...)),
		behind:  rpc.NewPool(resolver, rpc.WithCodec(codec), rpc.WithMaxRetryAfter(0), rpc.WithClientOptions(reach...)), // who copies does not wait
	}, nil
}

// open has people look until ctx ends. While the inventory is away they see
// nothing, and look again.
func (w *window) open(ctx context.Context) {
	for range passersBy {
		w.watching.Go(func() {
			for pause(ctx, 5*time.Millisecond) {
				if w.look(ctx, w.shown) == nil {
					w.looks.Add(1)
				}
			}
		})
	}
	w.watching.Go(func() {
		for pause(ctx, 2*time.Millisecond) {
			switch rpc.CodeOf(w.look(ctx, w.behind)) {
			case rpc.OK:
				w.answered.Add(1)
			case rpc.ResourceExhausted:
				w.refused.Add(1)
			}
		}
	})
}

func (w *window) look(ctx context.Context, c rpc.Caller) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	_, err := inventory.List.Call(ctx, c, &inventory.ListRequest{})
	return err
}

// close waits for those who look, once open's context has ended.
func (w *window) close() {
	w.watching.Wait()
	w.shown.Close()
	w.behind.Close()
}
