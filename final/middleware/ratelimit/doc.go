// Package ratelimit limits how many calls per second a server takes: from all
// callers together, of one method, and from one peer. A call over a limit is
// refused before its params are decoded, with ResourceExhausted. The error's
// details have the pause after which it may succeed; the clients and pools of
// package rpc wait that long and try again.
//
//	limits, err := ratelimit.New(
//		ratelimit.Server(5000, 500),
//		ratelimit.Method("Inventory.Reserve", 100, 20),
//		ratelimit.Peer(ratelimit.Host, 50, 100),
//	)
//	srv := rpc.NewServer(rpc.WithAuthorize(limits.Authorize))
//
// The limits work in the Authorize hook and not in an interceptor. A call that
// the hook refuses is marked as never run, so that a client may repeat it
// safely, and its params are not decoded. Beside another hook, [Limiter.After]
// limits the calls that the other one allows, and [Limiter.Before] all calls
// that it is asked about.
//
// A stream counts as a call when it opens. Its messages are limited only if [Messages]
// says so: then they are not refused, but wait.
//
// Health checks (Health.Check, Health.Watch) are not limited unless [LimitHealth] or a [Method]
// limit says so. But one that the hook beside [Limiter.Before] refuses does count,
// so that nobody can try out tokens there. Calls of methods that do not exist are
// limited as others are.
//
// # Limits
//
// A limit is a token bucket (golang.org/x/time/rate). It holds burst tokens,
// each call takes one, and perSecond tokens return in each second. A call takes
// a token from each bucket that applies to it, or from none: a refused call
// uses up nothing.
//
// # Peers
//
// A peer's bucket is kept while it is not full. A full one is dropped when its
// place is needed, which changes nothing for the peer: a new bucket is full,
// too. When all places are taken by buckets that are not full, peers without a
// place share one bucket of the same size. To keep all N places taken, an
// attacker has to make calls under N keys at the limited rate, over and over;
// refused calls take no place.
//
// A limit per peer is therefore as strong as its key is expensive. Addresses
// and verified identities cost something. A key taken from metadata costs
// nothing: an attacker who makes up a new one for each call is stopped only by
// the other limits.
package ratelimit
