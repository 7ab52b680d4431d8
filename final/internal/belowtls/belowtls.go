// Package belowtls bounds what crypto/tls writes of its own accord. While it reads, it
// answers a peer that asks for new keys. If that peer reads nothing, the write waits for it,
// and holds a lock that Close needs, too: without a deadline, both wait for ever.
package belowtls

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// Conn is a connection on which a tls.Conn is made. It may be used as a net.Conn may.
type Conn struct {
	net.Conn
	timeout time.Duration
	keeps   bool // a deadline of the user's that has passed holds until the user takes it back

	mu     sync.Mutex // guards what follows
	until  time.Time  // the write deadline that the user has set; zero: none
	over   bool       // it had passed when it was set: no write is to succeed
	ending bool       // since end
}

// ClosingTime is how long a peer that reads nothing can delay the end of a connection after
// [EndWrites]: TLS says goodbye.
const ClosingTime = 100 * time.Millisecond

// New returns a connection whose writes take at most timeout each, where the user of the
// tls.Conn has set no deadline, or one that has passed since. 0: they may take any time.
func New(conn net.Conn, timeout time.Duration) *Conn { return &Conn{Conn: conn, timeout: timeout} }

// NewKeeping is New for a user who takes its deadlines back, as net/http does: one that has
// passed holds.
func NewKeeping(conn net.Conn, timeout time.Duration) *Conn {
	return &Conn{Conn: conn, timeout: timeout, keeps: true}
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	if err := c.arm(); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// arm sets the deadline, if there is none for this write.
func (c *Conn) arm() error {
	if c.timeout == 0 {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if c.ending || c.over || c.until.After(now) || c.keeps && !c.until.IsZero() {
		return nil
	}
	return c.Conn.SetWriteDeadline(now.Add(c.timeout))
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(when time.Time) error {
	if err := c.SetWriteDeadline(when); err != nil {
		return err
	}
	return c.Conn.SetReadDeadline(when)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(when time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if latest := now.Add(ClosingTime); c.ending && (when.IsZero() || when.After(latest)) {
		when = latest
	}
	c.until, c.over = when, !when.IsZero() && !when.After(now)
	return c.Conn.SetWriteDeadline(when)
}

// end has a write fail that is waiting, and leaves little time to others.
func (c *Conn) end() {
	c.mu.Lock()
	c.ending = true
	c.mu.Unlock()
	c.SetWriteDeadline(time.Now())
}

// EndWrites is to be called before a connection is closed. It makes Close of a tls.Conn
// possible, which needs the lock of writes. One that is not above a Conn tells a peer that
// reads nothing for five seconds that it ends. Other connections stay as they are.
func EndWrites(conn net.Conn) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	if below, ok := secure.NetConn().(*Conn); ok {
		below.end()
		return
	}
	secure.SetWriteDeadline(time.Now())
}
