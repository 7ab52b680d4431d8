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

// choose returns the member for a call: never one in tried while there is another.
func (p *Pool) choose(members, tried []*Client) *Client {
	if p.options.balancing == TwoChoices && len(tried) == 0 && len(members) > 1 {
		if c := twoChoices(members); c != nil {
			return c
		}
	}
	return p.search(members, tried)
}

// twoChoices returns nil if one of the two cannot take a call: whoever then looks
// at all members does what is to be done about that one.
func twoChoices(members []*Client) *Client {
	i, j := rand.IntN(len(members)), rand.IntN(len(members)-1)
	if j >= i {
		j++
	}
	a, b := members[i], members[j]
	if !a.usable() || !b.usable() {
		return nil
	}
	if b.calls.Load() < a.calls.Load() {
		return b
	}
	return a
}

// search looks at all members. One whose server is to be tried again gets the
// call. Those that are not connected begin to, in the background.
func (p *Pool) search(members, tried []*Client) *Client {
	turn := p.next.Add(1)
	from := int(turn % uint32(len(members)))
	var best *Client
	var rest lastResorts
	usable := 0
	for i := range members {
		c := members[(from+i)%len(members)]
		if len(tried) > 0 && slices.Contains(tried, c) {
			continue
		}
		switch {
		case c.usable():
			usable++
			if best == nil || c.calls.Load() < best.calls.Load() {
				best = c
			}
		case c.conn.Load() != nil && c.server.beginTrial():
			return c
		default:
			rest.add(c)
		}
	}
	switch {
	case best == nil:
		return rest.first(members[from])
	case p.options.balancing == RoundRobin && usable > 1:
		return inTurn(members, tried, int(turn%uint32(usable)), best)
	}
	return best
}

// inTurn skips so many members of those that can take a call. If they have become
// fewer since they were counted it returns other.
func inTurn(members, tried []*Client, skip int, other *Client) *Client {
	for _, c := range members {
		if !c.usable() || len(tried) > 0 && slices.Contains(tried, c) {
			continue
		}
		if skip == 0 {
			return c
		}
		skip--
	}
	return other
}

// lastResorts are the members for a call that none can take at once.
type lastResorts struct {
	idle    *Client // not connected, and may connect now
	ejected *Client
	waiting *Client // not connected, and has to wait before it connects
}

// add sorts a member in. If it may connect it begins to.
func (r *lastResorts) add(c *Client) {
	out := c.server.standing.Load() != admitted
	switch {
	case c.conn.Load() == nil && c.backingOff():
		r.waiting = c
		return
	case c.conn.Load() == nil:
		c.connectSoon()
	}
	if out {
		r.ejected = c
		return
	}
	r.idle = c
}

// first returns the best of them, or other if there is none.
func (r *lastResorts) first(other *Client) *Client {
	for _, c := range []*Client{r.idle, r.ejected, r.waiting} {
		if c != nil {
			return c
		}
	}
	return other
}
