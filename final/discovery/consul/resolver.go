package consul

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
	"golang.org/x/time/rate"

	"example.com/rpc-from-scratch/final/discovery/static"
)

const (
	answerIn   = 10 * time.Second // beyond the time that Consul was asked to wait
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second

	toldOf = 10 // instances of an answer that cannot be dialled
)

// Resolver is an rpc.Resolver: the addresses of the service's instances whose
// checks all pass. Each change reaches it at once, by a query that Consul answers
// when there is one ("blocking query").
//
// While Consul cannot be reached or answers with an error, the known addresses
// stay in use. They also stay when Consul says that there are no servers any
// more, because a Consul that has lost its state says the same, until the
// servers have registered again. The empty list is used only after Grace. That
// costs nothing: the pool notices itself which servers have failed. Until Consul
// has answered once, calls that fail for lack of an address say why.
//
// Its fields must not change once it is in use. Several pools may share a Resolver.
type Resolver struct {
	// Client asks the agent. That of [NewClient] bounds the memory that an answer may take.
	Client  *api.Client
	Service string
	// Tags are those that an instance must have, all of them.
	Tags []string
	// Wait is how long a query waits for a change. 0 is 1 min; Consul allows 10 min
	// at most.
	Wait time.Duration
	// Grace is how long an empty list is ignored after one that was not empty.
	// 0 is 1 min; below 0 an empty list is used at once.
	Grace time.Duration
	// OnError gets the errors of failed queries, and of instances that cannot be
	// dialled: of ten in an answer, and then how many more there are. Each is one
	// line: an agent's control characters are escaped, and a long text is cut. It
	// must not wait. It may be nil.
	OnError func(error)
}

// Resolve implements rpc.Resolver. It returns when ctx ends, at once if the fields
// make no sense, and if a query fails before Consul has answered one: a pool tells
// its callers, and calls it again after a pause.
func (r *Resolver) Resolve(ctx context.Context, update func(addrs []string)) error {
	if err := checkName(r.Service); err != nil {
		return err
	}
	if r.Client == nil {
		return errors.New("consul: Resolver: the Client is nil")
	}
	w := watch{
		Resolver: r,
		update:   update,
		limit:    rate.NewLimiter(rate.Every(200*time.Millisecond), 10), // changes may come in a burst
		pause:    firstPause,
	}
	for ctx.Err() == nil {
		if w.limit.Wait(ctx) != nil {
			break
		}
		entries, index, err := w.query(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil && !w.told:
			w.tell(err)
			return err
		case err != nil:
			w.failed(ctx, err)
		default:
			w.answered(entries, index)
		}
	}
	return ctx.Err()
}

// watch is what one Resolve knows.
type watch struct {
	*Resolver
	update func([]string)
	limit  *rate.Limiter // of queries, whatever Consul answers
	pause  time.Duration // after the next failure

	index      uint64 // of the last answer; 0 asks for one at once
	told       bool
	known      []string // what update was told last, sorted
	emptySince time.Time
}

// query asks for the passing instances: when index is set, once they have changed.
func (w *watch) query(ctx context.Context) ([]*api.ServiceEntry, uint64, error) {
	patience := answerIn
	options := &api.QueryOptions{WaitIndex: w.index}
	if w.index > 0 {
		options.WaitTime = w.waitTime()
		patience += options.WaitTime + options.WaitTime/16 // Consul adds up to a sixteenth
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	entries, meta, err := w.Client.Health().ServiceMultipleTags(w.Service, w.Tags, true, options.WithContext(ctx))
	if err != nil {
		return nil, 0, agentErrorf("consul: where is %s: %w", w.Service, err)
	}
	return entries, meta.LastIndex, nil
}

// waitTime is Wait, or less when an empty list is to be believed before.
func (w *watch) waitTime() time.Duration {
	wait := cmp.Or(w.Wait, time.Minute)
	if !w.emptySince.IsZero() {
		wait = min(wait, w.grace()-time.Since(w.emptySince))
	}
	return max(wait, time.Millisecond)
}

func (w *watch) grace() time.Duration { return cmp.Or(w.Grace, time.Minute) }

// failed pauses, and begins anew: the agent that answers next may not know the
// earlier indices.
func (w *watch) failed(ctx context.Context, err error) {
	w.tell(err)
	w.index, w.emptySince = 0, time.Time{}
	wait(ctx, w.pause-rand.N(w.pause/2))
	w.pause = min(2*w.pause, lastPause)
}

func (w *watch) answered(entries []*api.ServiceEntry, index uint64) {
	w.pause = firstPause
	w.index = nextIndex(w.index, index)
	addrs := w.addresses(entries)
	if w.doubtful(addrs) || w.told && slices.Equal(addrs, w.known) {
		return
	}
	w.told, w.known, w.emptySince = true, addrs, time.Time{}
	w.update(slices.Clone(addrs))
}

// nextIndex follows https://developer.hashicorp.com/consul/api-docs/features/blocking:
// an index that goes backwards is of another history, so what was learned last may
// not be all of it, and 1 is answered at once; 0 would not wait at all.
func nextIndex(last, index uint64) uint64 {
	if index < last {
		return 1
	}
	return max(index, 1)
}

// doubtful reports whether addrs is empty, and was not, and not for long enough.
func (w *watch) doubtful(addrs []string) bool {
	if len(addrs) > 0 || len(w.known) == 0 {
		w.emptySince = time.Time{}
		return false
	}
	if w.emptySince.IsZero() {
		w.emptySince = time.Now()
	}
	return time.Since(w.emptySince) < w.grace()
}

// addresses returns where the instances can be dialled, sorted.
func (w *watch) addresses(entries []*api.ServiceEntry) []string {
	addrs, bad := make([]string, 0, len(entries)), 0
	for _, entry := range entries {
		addr, err := address(entry)
		if err == nil {
			addrs = append(addrs, addr)
			continue
		}
		if bad++; bad <= toldOf {
			w.tell(agentErrorf("consul: an instance of %s: %w", w.Service, err))
		}
	}
	if bad > toldOf {
		w.tell(agentErrorf("consul: %d more instances of %s cannot be dialled", bad-toldOf, w.Service))
	}
	slices.Sort(addrs)
	return slices.Compact(addrs)
}

// address is the service's own, or that of the node where it runs.
func address(entry *api.ServiceEntry) (string, error) {
	if entry == nil || entry.Service == nil {
		return "", errors.New("no service in the answer")
	}
	host := entry.Service.Address
	if host == "" && entry.Node != nil {
		host = entry.Node.Address
	}
	addr := net.JoinHostPort(host, strconv.Itoa(entry.Service.Port))
	return addr, static.Check(addr)
}

func (w *watch) tell(err error) {
	if w.OnError != nil {
		w.OnError(err)
	}
}
