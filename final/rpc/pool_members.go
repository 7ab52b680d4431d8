package rpc

// PoolMember is one connection of a [Pool], or stands for one that is to be
// made.
type PoolMember struct {
	Addr      string
	Connected bool // the hellos are exchanged: calls can be made on it

	// BackingOff says that the next attempt to connect is not due yet: the last
	// one failed, or the connection broke soon.
	BackingOff bool

	// Ejected says that the server has failed too many calls or streams in a
	// row, and has not been let back: see [WithEjection].
	Ejected bool

	InFlight int // calls of the pool in flight on it, without streams
	Streams  int // streams of the pool that are open on it
}

// Members returns the state of each connection of the pool at this moment.
// Addresses that the resolver has added later come last. A server that the resolver
// no longer lists is left out, even while it ends its calls in flight and its
// streams. After Close there are none.
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
			Streams:    int(c.streams.Load()),
		}
	}
	return members
}
