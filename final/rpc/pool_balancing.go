package rpc

import "slices"

// Balancing says how a [Pool] chooses among the connections that can take a call, or
// have a slot for a stream. A stream is one in flight from its open to its end. It
// stays on the connection that it was opened on.
type Balancing uint8

// The ways to choose.
const (
	// LeastInFlight takes the connection with the fewest calls and streams of this
	// pool in flight, so that a slow server gets less. It looks at every connection.
	LeastInFlight Balancing = iota
	// TwoChoices picks two connections at random, and takes the one with fewer
	// calls and streams in flight. It is nearly as fair, costs the same for any number of
	// servers, and does not send all clients to the same idle server at once.
	// (M. Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 1996.)
	TwoChoices
	// RoundRobin takes the connections in turn, however busy they are. Each server
	// gets the same number of calls, which suits calls that all cost the same. Streams
	// do not: they last for different times.
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
func (c *Client) usable(stream bool) bool {
	return c.hasRoom(stream) && c.server.state.Load() == healthy
}

// hasRoom reports whether c is connected and has a free slot, for a call or a stream.
func (c *Client) hasRoom(stream bool) bool {
	conn := c.conn.Load()
	return conn != nil && !conn.isFull(stream) && !conn.over.Load()
}

// takeSlot returns c's connection, which has taken a slot for a call or for a
// stream, or nil. It reports whether that decides a probe.
func (c *Client) takeSlot(stream bool) (conn *clientConn, probe bool) {
	conn = c.conn.Load()
	if conn == nil || !conn.acquire(stream) {
		return nil, false
	}
	ok, probe := c.mayTake()
	if !ok {
		conn.release(stream, 0)
		return nil, false
	}
	return conn, probe
}

// inFlight returns how busy c is, to be compared.
func (c *Client) inFlight() int32 { return c.calls.Load() + c.streams.Load() }

// choose returns the member for a call or a stream, never one in tried, or nil if none can
// take it now.
func (g *group) choose(members, tried []*Client, stream bool) *Client {
	switch {
	case len(members) == 0:
		return nil
	case len(members) > 1 && len(tried) == 0 && g.options.balancing == TwoChoices:
		if c := twoChoices(members, g.options.chance, stream); c != nil {
			return c
		}
	}
	return g.search(members, tried, stream)
}

// twoChoices returns nil if one of the two cannot take a call: search then looks
// at all members, and does what is to be done about that one.
func twoChoices(members []*Client, by *chance, stream bool) *Client {
	i, j := int(by.upTo(int64(len(members)))), int(by.upTo(int64(len(members)-1)))
	if j >= i {
		j++
	}
	a, b := members[i], members[j]
	if !a.usable(stream) || !b.usable(stream) {
		return nil
	}
	if b.inFlight() < a.inFlight() {
		return b
	}
	return a
}

// search looks at all members. One whose server is to be tried again gets the
// call. Those that are not connected begin to, in the background.
func (g *group) search(members, tried []*Client, stream bool) *Client {
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
		case slices.Contains(tried, c) || !c.hasRoom(stream):
		case c.server.state.Load() == healthy:
			usable++
			best = lessBusy(best, c)
		case c.server.state.Load() == halfOpen:
			return c
		}
	}
	switch {
	case best == nil && g.nobodyBut(nil):
		return lastResort(members, tried, stream)
	case g.options.balancing == RoundRobin && usable > 1:
		return inTurn(members, tried, int(turn%uint32(usable)), best, stream)
	}
	return best
}

func lessBusy(a, b *Client) *Client {
	if a == nil || b.inFlight() < a.inFlight() {
		return b
	}
	return a
}

// inTurn skips so many members of those that can take a call. If they have become
// fewer since they were counted it returns other.
func inTurn(members, tried []*Client, skip int, other *Client, stream bool) *Client {
	for _, c := range members {
		if !c.usable(stream) || slices.Contains(tried, c) {
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
func lastResort(members, tried []*Client, stream bool) (best *Client) {
	for _, c := range members {
		if c.hasRoom(stream) && !slices.Contains(tried, c) {
			best = lessBusy(best, c)
		}
	}
	return best
}
