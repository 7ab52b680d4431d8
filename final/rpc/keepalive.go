package rpc

import (
	"sync"
	"sync/atomic"
	"time"
)

// leastKeepalive keeps pings far below what a server takes: see [pingRate].
const leastKeepalive = 10 * time.Millisecond

// keepalive notices that the other end of a connection is gone. Every period it looks
// whether something has arrived. If not, it pings; if nothing arrives after that either,
// it gives up.
type keepalive struct {
	period time.Duration
	reads  *atomic.Uint64 // how often bytes have arrived
	ping   func()
	gone   func()

	// needed reports whether it is to look at all; nil: always. It may take the connection's
	// lock, under mu. When that has become true, resume is called, without the lock.
	needed func() bool

	mu      sync.Mutex // guards what follows
	timer   *time.Timer
	running bool // looks, of one that is not always needed
	ended   bool
}

// start may be called on a nil keepalive, and after stop. One that is not always needed
// starts by resume.
func (k *keepalive) start() {
	if k != nil && k.needed == nil {
		k.lookLater(k.reads.Load(), false)
	}
}

// resume may be called on a nil keepalive, after stop, and at any time.
func (k *keepalive) resume() {
	if k == nil || k.needed == nil {
		return
	}
	k.mu.Lock()
	begins := !k.running
	k.running = true
	k.mu.Unlock()
	if begins {
		k.lookLater(k.reads.Load(), false)
	}
}

// pauses stops looking if it is not needed now.
func (k *keepalive) pauses() bool {
	if k.needed == nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.running = k.needed()
	return !k.running
}

// stop may be called on a nil keepalive, which never started, and more than once.
func (k *keepalive) stop() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = true
	if k.timer != nil {
		k.timer.Stop()
	}
}

func (k *keepalive) lookLater(reads uint64, pinged bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.ended {
		k.timer = time.AfterFunc(k.period, func() { k.look(reads, pinged) })
	}
}

func (k *keepalive) look(reads uint64, pinged bool) {
	if k.pauses() {
		return
	}
	now := k.reads.Load()
	quiet := now == reads
	if quiet && pinged {
		k.gone()
		return
	}
	if quiet {
		k.ping()
	}
	k.lookLater(now, quiet)
}
