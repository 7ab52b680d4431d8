package rpc

import "time"

var errTooOld = Errorf(Unavailable, "the connection has reached its maximum age")

// limitAge lets the connection end as in Shutdown when it is old enough. stop is for a
// connection that ends before.
func (c *serverConn) limitAge() (stop func()) {
	o := &c.server.options
	if o.maxConnAge <= 0 {
		return func() {}
	}
	timer := time.AfterFunc(o.chance.around(o.maxConnAge), func() { c.drain(errTooOld) })
	return func() { timer.Stop() }
}
