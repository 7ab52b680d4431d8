package rpccmd

import (
	"context"
	"io"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// units are what a run counts, by the kind of its method.
var units = map[rpc.MethodKind]string{
	rpc.Unary:           "call",
	rpc.ServerStreaming: "item",
	rpc.ClientStreaming: "item",
	rpc.BidiStreaming:   "round trip",
}

// tryOutStream opens the stream once, and lets one item pass.
func tryOutStream(ctx context.Context, c *rpc.Client, method string, m *message) error {
	if m.kind != rpc.ServerStreaming && m.params == nil {
		return usagef("%s is a %s: want an item to send, as JSON", method, m.kind)
	}
	s, err := openStream(ctx, c, method, m)
	if err != nil {
		return err
	}
	defer s.Close()
	if m.kind != rpc.ServerStreaming {
		if err = s.Send(ctx, m.params); err != nil {
			return err
		}
	}
	if m.kind == rpc.ClientStreaming {
		return reportOf(ctx, s, m)
	}
	if err = s.Receive(ctx, m.newReply()); err == io.EOF { // it has no items
		return nil
	}
	return err
}

func openStream(ctx context.Context, c *rpc.Client, method string, m *message) (rpc.OpenedStream, error) {
	var params any
	if m.kind == rpc.ServerStreaming {
		params = m.params
	}
	return rpc.OpenStream(ctx, c, m.kind, method, params)
}

// reportOf ends the sending half, and receives what a client stream's handler says.
func reportOf(ctx context.Context, s rpc.OpenedStream, m *message) error {
	if err := s.CloseSend(); err != nil {
		return err
	}
	return s.Receive(ctx, m.newReply())
}

// streamOn is one caller that opens streams, one after the other. What an interrupt, or the
// end of the time, cuts off is not counted. A stream that was not opened, and a server stream
// that has ended without an item, count as an item of -n: else the run might have no end.
func (r *run) streamOn(ctx context.Context, c *rpc.Client, res *result) {
	for !r.ended(ctx) {
		items := res.items
		opened, err := r.streamOnce(ctx, c, res)
		empty := opened && r.message.kind == rpc.ServerStreaming && res.items == items
		switch {
		case r.ended(ctx):
			return
		case (empty || !opened) && !r.more():
			return
		case empty:
			res.empty++
		}
		if err != nil {
			res.record(0, err)
		}
		if (empty || !opened) && r.enough() {
			r.finish()
		}
	}
}

// enough reports whether as many were begun as -n says.
func (r *run) enough() bool { return r.calls > 0 && r.begun.Load() >= int64(r.calls) }

// finish ends the run, and cuts off the server streams that are still open: they may have no end.
func (r *run) finish() {
	r.over.Store(true)
	if r.message.kind == rpc.ServerStreaming {
		r.stop()
	}
}

// ended reports whether nothing more is to be begun.
func (r *run) ended(ctx context.Context) bool { return ctx.Err() != nil || r.over.Load() }

func (r *run) streamOnce(ctx context.Context, c *rpc.Client, res *result) (opened bool, err error) {
	if r.bounded && r.timeout > 0 && r.message.kind == rpc.ServerStreaming {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.timeout)
		defer cancel()
	}
	s, err := openStream(ctx, c, r.method, r.message)
	if err != nil {
		return false, err
	}
	defer s.Close()
	res.streams++
	switch r.message.kind {
	case rpc.ServerStreaming:
		err = r.receiveOn(ctx, s, res)
	case rpc.ClientStreaming:
		err = r.sendOn(ctx, s, res)
	default:
		err = r.pingPong(ctx, s, res)
	}
	return true, err
}

// receiveOn counts the items of a server stream.
func (r *run) receiveOn(ctx context.Context, s rpc.OpenedStream, res *result) error {
	for {
		err := s.Receive(ctx, r.message.newReply())
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case !r.more():
			return nil
		}
		res.items++
		if r.enough() {
			r.finish()
			return nil
		}
	}
}

// sendOn sends items, and counts them when the handler has reported on them.
func (r *run) sendOn(ctx context.Context, s rpc.OpenedStream, res *result) error {
	sent := int64(0)
	for r.more() {
		if err := s.Send(ctx, r.message.params); err != nil {
			return err
		}
		sent++
	}
	r.over.Store(true)
	if err := reportOf(ctx, s, r.message); err != nil {
		res.record(0, err) // also though the run is over
		return nil
	}
	res.items += sent
	return nil
}

// pingPong sends an item when the one before has been answered.
func (r *run) pingPong(ctx context.Context, s rpc.OpenedStream, res *result) error {
	for r.more() {
		start := time.Now()
		if err := s.Send(ctx, r.message.params); err != nil {
			return err
		}
		err := s.Receive(ctx, r.message.newReply())
		if err == io.EOF {
			return nil // the handler wants no more on this stream
		}
		if err != nil {
			return err
		}
		res.record(time.Since(start), nil)
		res.items++
	}
	r.over.Store(true)
	return nil
}

// bound returns the context of a run's streams, and ends it in time. A server stream may
// have no end, so it is cut off when the time is up, or there are enough items: by a
// cancel, since the server could notice a deadline first, and call it a failure. The
// others have the time of a call to end.
func (r *run) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	switch {
	case r.message.kind == rpc.ServerStreaming && r.calls == 0:
		ctx, cancel := context.WithCancel(ctx)
		timer := time.AfterFunc(r.d, cancel)
		return ctx, func() { timer.Stop(); cancel() }
	case r.message.kind == rpc.Unary || r.calls > 0:
		return context.WithCancel(ctx)
	case r.timeout > 0:
		return context.WithTimeout(ctx, r.d+r.timeout)
	}
	return ctx, func() {}
}
