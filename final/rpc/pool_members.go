package rpc

// PoolMember is one connection of a [Pool], or the place of one that is to be made.
type PoolMember struct {
	Addr       string
	Connected  bool // the hellos are exchanged: calls can be made on it
	BackingOff bool // the last attempt to connect failed, or the connection broke at once, and the next attempt is not due yet
	Ejected    bool // the server has failed too many calls in a row: see [WithEjection]
	InFlight   int  // calls of the pool in flight on it
}

// Members returns the state of each connection of the pool at this moment.
// Addresses that the resolver has added later come last. A server that the
// resolver no longer lists is left out, even while it ends its calls in
// flight. After Close there are none. Members may be called by many
// goroutines.
func (p *Pool) Members() []PoolMember {
	if p.check() != nil {
		return nil
	}
	clients := *p.members.Load()
	members := make([]PoolMember, len(clients))
	for i, c := range clients {
		connected := c.conn.Load() != nil
		members[i] = PoolMember{
			Addr:       c.addr,
			Connected:  connected,
			BackingOff: !connected && c.backingOff(),
			Ejected:    c.server.state.Load() != healthy,
			InFlight:   int(c.calls.Load()),
		}
	}
	return members
}
