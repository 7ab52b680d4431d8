package rpc

import (
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// belowTLS is the connection below a tls.Conn that this package makes. crypto/tls writes of
// its own accord, too: while it reads, it answers a peer that asks for new keys. No flusher
// has set a deadline for that, or one that has passed meanwhile, and the lock that it holds
// until then is needed by other writes, and by Close.
type belowTLS struct {
	net.Conn
	timeout time.Duration // of such a write; 0: none

	mu     sync.Mutex // guards what follows
	until  time.Time  // the write deadline
	ending bool       // since end
}

// closingTime is how long a peer that reads nothing can delay the end of a connection: TLS
// says goodbye.
const closingTime = 100 * time.Millisecond

// Write implements net.Conn.
func (b *belowTLS) Write(p []byte) (int, error) {
	if err := b.arm(); err != nil {
		return 0, err
	}
	return b.Conn.Write(p)
}

// arm sets the deadline, if there is none for this write.
func (b *belowTLS) arm() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	if b.timeout == 0 || b.ending || b.until.After(now) {
		return nil
	}
	b.until = now.Add(b.timeout)
	return b.Conn.SetWriteDeadline(b.until)
}

// SetDeadline implements net.Conn.
func (b *belowTLS) SetDeadline(when time.Time) error {
	if err := b.SetWriteDeadline(when); err != nil {
		return err
	}
	return b.Conn.SetReadDeadline(when)
}

// SetWriteDeadline implements net.Conn.
func (b *belowTLS) SetWriteDeadline(when time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if latest := time.Now().Add(closingTime); b.ending && (when.IsZero() || when.After(latest)) {
		when = latest
	}
	b.until = when
	return b.Conn.SetWriteDeadline(when)
}

// end has a write fail that is waiting, and leaves little time to others.
func (b *belowTLS) end() {
	b.mu.Lock()
	b.ending = true
	b.mu.Unlock()
	b.SetWriteDeadline(time.Now())
}

// endWrites makes Close of a tls.Conn possible, which needs the lock of writes. That of a
// user's own tells a peer that reads nothing for five seconds that it ends.
func endWrites(conn net.Conn) {
	secure, ok := conn.(*tls.Conn)
	if !ok {
		return
	}
	if below, ok := secure.NetConn().(*belowTLS); ok {
		below.end()
		return
	}
	secure.SetWriteDeadline(time.Now())
}
