package rpccmd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/rpc"
)

// load is what bench does to a server.
type load struct {
	callers int
	conns   int
	d       time.Duration // until then, if calls is 0
	calls   int           // in all
}

func (l *load) check() error {
	switch {
	case l.callers < 1:
		return usagef("-c %d: want at least 1", l.callers)
	case l.conns < 1:
		return usagef("-conns %d: want at least 1", l.conns)
	case l.calls < 0:
		return usagef("-n %d: want 0 or more", l.calls)
	case l.d <= 0:
		return usagef("-d %v: want more than 0", l.d)
	}
	return nil
}

func benchCommand(o *options) *cobra.Command {
	var l load
	cmd := &cobra.Command{
		Use:   "bench ADDR METHOD [JSON]",
		Short: "Make many calls and show how long they take",
		Long: `bench lets a number of callers make the same call over and over. Each makes its
next call when it has the last reply. bench prints calls per second, percentiles and
a histogram of the latencies. An interrupt ends it early, with the figures so far.

If the method is a stream, each caller has one open at a time, and bench counts items.
It receives those of a server stream, and opens it again at its end. One that ends without
an item counts as one item of -n. To a client stream it sends the JSON over and over, until
the time is up. On a bidi stream it sends the next item when the last one was answered by
one, and measures how long that takes.

-timeout bounds each call. If it is given, it bounds each server stream, too: one that takes
longer has failed. The other streams go on until -d is over, and then have that long to end.
With -n they have no bound.

It makes real calls: a method that changes something changes it that often.`,
		Example:           `  rpc bench 127.0.0.1:7000 Inventory.CheckStock '{"item":"item1"}' -c 64 -d 5s`,
		Args:              positional("ADDR", "METHOD", "[JSON]"),
		ValidArgsFunction: o.completeMethod,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := l.check(); err != nil {
				return err
			}
			params, err := benchParams(cmd.InOrStdin(), args[2:])
			if err != nil {
				return err
			}
			return o.bench(cmd, args[0], args[1], params, l)
		},
	}
	flags := cmd.Flags()
	o.addUnknownFlag(flags)
	o.addStreamFlag(cmd)
	flags.IntVarP(&l.callers, "callers", "c", 64, "how many callers")
	flags.IntVar(&l.conns, "conns", 1, "how many connections they share")
	flags.DurationVarP(&l.d, "duration", "d", 5*time.Second, "for how long")
	flags.IntVarP(&l.calls, "calls", "n", 0, "stop after this many calls, or items of streams, not after -d")
	return cmd
}

// benchParams returns the JSON argument, or nil if there is none.
func benchParams(stdin io.Reader, args []string) (json.RawMessage, error) {
	switch {
	case len(args) == 0:
		return nil, nil
	case args[0] == "-":
		return readParams(stdin)
	}
	return checkedJSON([]byte(args[0]))
}

// bench makes one call to see that it works, then runs the load and prints what
// it measured.
func (o *options) bench(cmd *cobra.Command, addr, method string, params json.RawMessage, l load) error {
	ctx, err := o.callContext(cmd.Context())
	if err != nil {
		return err
	}
	clients, err := o.dialAll(ctx, addr, min(l.conns, l.callers))
	defer func() {
		for _, c := range clients {
			c.Close()
		}
	}()
	if err != nil {
		return err
	}
	m, err := o.tryOut(ctx, clients[0], method, params)
	if err != nil {
		return err
	}
	r := &run{load: l, clients: clients, method: method, message: m, timeout: o.timeout, bounded: cmd.Flags().Changed("timeout")}
	bar := newProgress(cmd.ErrOrStderr(), r)
	result := r.measure(ctx)
	bar.end()
	name := method
	if m.kind != rpc.Unary {
		name += ", " + m.kind.String()
	}
	what := fmt.Sprintf("%s, %s, %s on %s", name, o.codec, count(l.callers, "caller"), count(len(clients), "connection"))
	if err := result.print(cmd.OutOrStdout(), what); err != nil {
		return err
	}
	return result.failure()
}

func (o *options) dialAll(ctx context.Context, addr string, n int) ([]*rpc.Client, error) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	var clients []*rpc.Client
	for range n {
		c, err := o.dial(ctx, addr)
		if err != nil {
			return clients, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// tryOut makes the call once, so that a wrong method is one error and not a million.
func (o *options) tryOut(ctx context.Context, c *rpc.Client, method string, params json.RawMessage) (*message, error) {
	ctx, cancel := o.bounded(ctx)
	defer cancel()
	m, err := o.message(ctx, c, method, params)
	if err != nil {
		return nil, err
	}
	if m.kind != rpc.Unary {
		err = tryOutStream(ctx, c, method, m)
	} else {
		err = c.Call(ctx, method, m.params, m.newReply())
	}
	if err != nil {
		return nil, explainCall(ctx, c, method, err)
	}
	return m, nil
}

// run is one load at work.
type run struct {
	load
	clients []*rpc.Client
	method  string
	message *message
	timeout time.Duration // of each call
	bounded bool          // it was given, and is for server streams, too

	stop  context.CancelFunc // of the context of streams
	begun atomic.Int64       // calls, counted only if their number ends the run
	over  atomic.Bool
}

// measure runs the callers until the time, the number of calls or ctx ends.
func (r *run) measure(ctx context.Context) *result {
	results := make([]*result, r.callers)
	var callers sync.WaitGroup
	start := time.Now()
	streams, cancel := r.bound(ctx)
	defer cancel()
	r.stop = cancel
	if r.calls == 0 {
		timer := time.AfterFunc(r.d, func() { r.over.Store(true) })
		defer timer.Stop()
	}
	for i := range results {
		results[i] = newResult()
		callers.Go(func() {
			c := r.clients[i%len(r.clients)]
			if r.message.kind != rpc.Unary {
				r.streamOn(streams, c, results[i])
				return
			}
			r.callOn(ctx, c, results[i])
		})
	}
	callers.Wait()
	total := newResult()
	total.kind = r.message.kind
	total.took = time.Since(start)
	total.interrupted = ctx.Err() != nil
	for _, one := range results {
		total.add(one)
	}
	return total
}

// callOn is one caller. A call that an interrupt cut off is not counted.
func (r *run) callOn(ctx context.Context, c *rpc.Client, res *result) {
	reply := r.message.newReply()
	for r.more() {
		start := time.Now()
		err := r.callOnce(ctx, c, reply)
		if ctx.Err() != nil {
			return
		}
		res.record(time.Since(start), err)
	}
}

func (r *run) callOnce(ctx context.Context, c *rpc.Client, reply any) error {
	if r.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	return c.Call(ctx, r.method, r.message.params, reply)
}

// more reports whether another call is to be made.
func (r *run) more() bool {
	if r.calls > 0 {
		return r.begun.Add(1) <= int64(r.calls)
	}
	return !r.over.Load()
}
