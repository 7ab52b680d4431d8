package rpc

import (
	"math/rand/v2"
	"slices"
)

// Balancing says how a [Pool] chooses among the connections that can take a call.
type Balancing uint8

// The ways to choose.
const (
	// LeastInFlight takes the connection with the fewest calls of this pool in
	// flight, so that a slow server gets less. It looks at every connection.
	LeastInFlight Balancing = iota
	// TwoChoices takes two connections at random and of these the one with fewer
	// calls in flight. It is nearly as fair, costs the same for any number of
	// servers, and does not send all clients to the same idle server at once.
	// (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 1996.)
	TwoChoices
	// RoundRobin takes one connection after the other, however busy they are: the
	// same number of calls for each server, for calls that all cost the same.
	RoundRobin
)

// String returns the way's name: "least in flight".
func (b Balancing) String() string {
	switch b {
	case TwoChoices:
		return "two choices"
	case RoundRobin:
		return "round robin"
	}
	return "least in flight"
}

// usable reports whether c can take a call of its pool now.
func (c *Client) usable() bool {
	return c.conn.Load() != nil && c.server.standing.Load() == admitted
}

// hasRoom reports whether the server allows another call on c's connection.
func (c *Client) hasRoom() bool {
	conn := c.conn.Load()
	return conn != nil && int(c.calls.Load()) < conn.maxInFlight
}

// reserve counts a call of c, if the server allows another one.
func (c *Client) reserve() bool {
	conn := c.conn.Load()
	for conn != nil {
		n := c.calls.Load()
		if int(n) >= conn.maxInFlight {
			return false
		}
		if c.calls.CompareAndSwap(n, n+1) {
			return true
		}
	}
	return false
}

// choose returns the member for a call, which it has counted; nil if none can take
// one now. It is never one in tried while there is another.
func (p *Pool) choose(members, tried []*Client) *Client {
	if len(members) == 0 {
		return nil
	}
	if p.options.balancing == TwoChoices && len(tried) == 0 && len(members) > 1 {
		if c := twoChoices(members); c != nil && c.reserve() {
			return c
		}
	}
	for {
		c, full := p.search(members, tried)
		switch {
		case c == nil:
			return nil
		case full: // it waits there for its turn
			c.calls.Add(1)
			return c
		case c.reserve():
			return c
		case c.conn.Load() == nil:
			return nil
		}
	}
}

// twoChoices returns nil if one of the two cannot take a call: whoever then looks
// at all members does what is to be done about that one.
func twoChoices(members []*Client) *Client {
	i, j := rand.IntN(len(members)), rand.IntN(len(members)-1)
	if j >= i {
		j++
	}
	a, b := members[i], members[j]
	if !a.usable() || !b.usable() || !a.hasRoom() || !b.hasRoom() {
		return nil
	}
	if b.calls.Load() < a.calls.Load() {
		return b
	}
	return a
}

// search looks at all members. One whose server is to be tried again gets the
// call. Those that are not connected begin to, in the background. full says that
// the member has no room, and neither has any other.
func (p *Pool) search(members, tried []*Client) (_ *Client, full bool) {
	turn := p.next.Add(1)
	from := int(turn % uint32(len(members)))
	var best, busy, resort *Client
	roomy, promising := 0, false
	for i := range members {
		c := members[(from+i)%len(members)]
		if len(tried) > 0 && slices.Contains(tried, c) {
			continue
		}
		switch {
		case c.usable() && c.hasRoom():
			roomy++
			best = lessBusy(best, c)
		case c.usable():
			busy = lessBusy(busy, c)
		case c.conn.Load() != nil && c.server.beginTrial():
			return c, true
		case c.conn.Load() != nil:
			resort = c
		case !c.backingOff():
			c.connectSoon()
			promising = promising || c.server.standing.Load() == admitted
		}
	}
	switch {
	case best != nil && p.options.balancing == RoundRobin && roomy > 1:
		return inTurn(members, tried, int(turn%uint32(roomy)), best), false
	case best != nil:
		return best, false
	case busy != nil:
		return busy, true
	case promising:
		return nil, false
	}
	return resort, true // ejected, but there is no other
}

// lessBusy returns the one with fewer calls in flight; a may be nil.
func lessBusy(a, b *Client) *Client {
	if a == nil || b.calls.Load() < a.calls.Load() {
		return b
	}
	return a
}

// inTurn skips so many members of those that can take a call. If they have become
// fewer since they were counted it returns other.
func inTurn(members, tried []*Client, skip int, other *Client) *Client {
	for _, c := range members {
		if !c.usable() || !c.hasRoom() || len(tried) > 0 && slices.Contains(tried, c) {
			continue
		}
		if skip == 0 {
			return c
		}
		skip--
	}
	return other
}
