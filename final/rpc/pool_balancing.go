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
	// TwoChoices picks two connections at random, and takes the one with fewer
	// calls in flight. It is nearly as fair, costs the same for any number of
	// servers, and does not send all clients to the same idle server at once.
	// (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 1996.)
	TwoChoices
	// RoundRobin takes the connections in turn, however busy they are. Each server
	// gets the same number of calls, which suits calls that all cost the same.
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

// usable reports whether c can take a call now.
func (c *Client) usable() bool {
	return c.hasRoom() && c.server.state.Load() == healthy
}

// hasRoom reports whether c is connected and has a free slot.
func (c *Client) hasRoom() bool {
	conn := c.conn.Load()
	return conn != nil && !conn.full.Load() && !conn.over.Load()
}

// takeSlot returns c's connection, which has taken a slot for a call, or nil. It
// reports whether the call decides a probe.
func (c *Client) takeSlot() (conn *clientConn, probe bool) {
	conn = c.conn.Load()
	if conn == nil || !conn.acquire() {
		return nil, false
	}
	ok, probe := c.mayTake()
	if !ok {
		conn.release()
		return nil, false
	}
	return conn, probe
}

// choose returns the member for a call, never one in tried, or nil if none can
// take it now.
func (g *group) choose(members, tried []*Client) *Client {
	switch {
	case len(members) == 0:
		return nil
	case len(members) > 1 && len(tried) == 0 && g.options.balancing == TwoChoices:
		if c := twoChoices(members); c != nil {
			return c
		}
	}
	return g.search(members, tried)
}

// twoChoices returns nil if one of the two cannot take a call: search then looks
// at all members, and does what is to be done about that one.
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
func (g *group) search(members, tried []*Client) *Client {
	turn := uint32(0)
	if len(members) > 1 { // all callers share the counter
		turn = g.next.Add(1) - 1
	}
	from := int(turn % uint32(len(members)))
	var best *Client
	usable := 0
	for i := range members {
		c := members[(from+i)%len(members)]
		switch {
		case c.conn.Load() == nil:
			c.connect(false)
		case slices.Contains(tried, c) || !c.hasRoom():
		case c.server.state.Load() == healthy:
			usable++
			best = lessBusy(best, c)
		case c.server.state.Load() == halfOpen:
			return c
		}
	}
	switch {
	case best == nil && g.nobodyBut(nil):
		return lastResort(members, tried)
	case g.options.balancing == RoundRobin && usable > 1:
		return inTurn(members, tried, int(turn%uint32(usable)), best)
	}
	return best
}

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
		if !c.usable() || slices.Contains(tried, c) {
			continue
		}
		if skip == 0 {
			return c
		}
		skip--
	}
	return other
}

// lastResort returns a member whose server is left out, or nil. It is for when no
// other one is connected, or is about to be.
func lastResort(members, tried []*Client) (best *Client) {
	for _, c := range members {
		if c.hasRoom() && !slices.Contains(tried, c) {
			best = lessBusy(best, c)
		}
	}
	return best
}
