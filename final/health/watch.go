package health

import (
	"context"
	"iter"
	"maps"

	"example.com/rpc-from-scratch/final/rpc"
)

// watch answers Watch.
func (h *Health) watch(ctx context.Context, req *CheckRequest, out *rpc.Sender[CheckReply]) error {
	draining := rpc.DrainingFrom(ctx)
	var last *CheckReply
	for {
		changed, leaves := h.changes(), isClosed(draining) // first: nothing is missed that changes meanwhile
		reply, _ := h.reply(req.GetService())
		if last == nil || reply.GetStatus() != last.GetStatus() || !maps.Equal(reply.GetServices(), last.GetServices()) {
			if err := out.Send(ctx, reply); err != nil {
				return err
			}
			last = reply
		}
		if leaves {
			return rpc.Errorf(rpc.Unavailable, "the server is shutting down")
		}
		select {
		case <-changed:
		case <-draining:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changes returns a channel that the next Set closes.
func (h *Health) changes() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.changed
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Follow ranges over the statuses of a service on the server that c calls: the one that
// it has now, and each that it changes to; "" is the server as a whole. It ends with an
// error: Unavailable when the server shuts down or is lost, or what ctx has ended with.
// Then call Follow again, after a pause, to follow another server. A service's first
// method may be registered while Follow runs: that shows with the next Set.
func Follow(ctx context.Context, c rpc.Caller, service string) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		replies, err := Watch.Open(ctx, c, &CheckRequest{Service: service})
		if err != nil {
			yield("", err)
			return
		}
		defer replies.Close()
		for reply, err := range replies.All() {
			if !yield(Status(reply.GetStatus()), err) {
				return
			}
		}
	}
}
