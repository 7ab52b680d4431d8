package rpc

import (
	"cmp"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// newKeepalive returns what pings a silent client, and cuts the connection if it stays
// silent; nil if that is not wanted. Without WithKeepalive it does so while streams are
// open: a call's handler ends some day, but that of a stream may wait for its client alone.
func (c *serverConn) newKeepalive() *keepalive {
	o := &c.server.options
	d := cmp.Or(o.keepalive, o.streamKeepalive)
	if d <= 0 || o.keepalive == 0 && !o.streams {
		return nil
	}
	k := &keepalive{period: d, reads: &c.in.reads, ping: c.ping}
	if o.keepalive == 0 {
		k.needed = c.hasStreams
	}
	k.gone = func() {
		if c.over() {
			return // it was cut, and the reader has not noticed yet
		}
		err := Errorf(Unavailable, "keepalive timeout: nothing received from the client for %v (WithKeepalive)", 2*d)
		c.cut(err)
		c.report(&c.server.broken, err)
	}
	return k
}

func (c *serverConn) hasStreams() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streaming > 0 || c.streams.open() > 0
}

func (c *serverConn) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.out.err != nil
}

func (c *serverConn) ping() {
	c.control(false, func(dst []byte) []byte { return wire.AppendHeader(dst, wire.KindPing, 0, 0, 0) })
}
