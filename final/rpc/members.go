package rpc

// PoolMember is one connection of a [Pool], or the place of one that is to be made.
type PoolMember struct {
	Addr       string
	Connected  bool // the hellos are exchanged: calls can be made on it
	BackingOff bool // the last attempt to connect failed, or the connection broke at once, and the next attempt is not due yet
	Ejected    bool // the server has failed too many calls in a row: see [WithEjection]
	InFlight   int  // calls of the pool that it is busy with
}

// Members returns what the pool's connections are doing now, in the order of the
// resolver's addresses as far as they are equally old.
func (p *Pool) Members() []PoolMember {
	clients := *p.members.Load()
	members := make([]PoolMember, len(clients))
	for i, c := range clients {
		connected := c.conn.Load() != nil
		members[i] = PoolMember{
			Addr:       c.addr,
			Connected:  connected,
			BackingOff: !connected && c.backingOff(),
			Ejected:    c.server.standing.Load() != admitted,
			InFlight:   int(c.calls.Load()),
		}
	}
	return members
}
