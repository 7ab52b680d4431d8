// Package ratelimit bounds how many calls a server takes in a second: from
// everybody together, of one method, and from one peer. A call over a limit is
// refused before its params are decoded, with ResourceExhausted and, in the
// error's details, the pause after which it may succeed; the clients and pools
// of package rpc wait that long and make it again.
//
//	limits, err := ratelimit.New(
//		ratelimit.Server(5000, 500),
//		ratelimit.Method("Inventory.Reserve", 100, 20),
//		ratelimit.Peer(ratelimit.Host, 50, 100),
//	)
//	srv := rpc.NewServer(rpc.WithAuthorize(limits.Authorize))
//
// The limits work in the Authorize hook and not in an interceptor: what the hook
// refuses is marked as never run, so that a client may make the call again
// without doing anything twice, and has cost no decoding. With another hook,
// [Limiter.After] limits the calls that it has let through, [Limiter.Before]
// those that it is asked about.
//
// Health checks (Health.Check) are not limited unless [Exempt] or a [Method]
// limit says so. Calls of methods that do not exist are limited as others are.
//
// # Limits
//
// A limit is a token bucket (golang.org/x/time/rate): it holds burst tokens,
// each call takes one, and they come back at so many per second. A call takes a
// token from each bucket that it has to do with, or from none: who is refused
// uses up nothing.
//
// # Peers
//
// A peer's bucket is kept only while it is not full, and forgotten when its
// place is needed and it is full again: a forgotten peer has then nothing to
// gain, since a new bucket is full, too. No bucket that is not full is
// ever dropped. While all places are taken by such buckets, peers without a
// place share one bucket of the same size. To keep all N places taken, somebody
// has to make calls under N keys at the limited rate, over and over; refused
// calls take no place.
//
// What a key costs is therefore the strength of a limit per peer. Addresses and
// verified identities cost something; a key taken from metadata costs nothing,
// and whoever makes up a new one for each call is stopped by the other limits
// alone.
package ratelimit
