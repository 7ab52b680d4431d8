package wire

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// maxBacklog is how many bytes, of all connections, may wait to be printed.
const maxBacklog = 16 << 20

// A tap takes copies of what passes on a connection and prints them on a
// goroutine of its own: what passes never waits for what is printed. One queue
// has both directions, so that a request is printed before its reply.
type tap struct {
	conn    int
	began   time.Time
	out     sink
	backlog *atomic.Int64 // of all connections

	mu    sync.Mutex
	queue []passed
	more  chan struct{} // has a token if the queue is not empty
	deaf  bool          // too much was waiting
}

// passed is something that happened on a connection.
type passed struct {
	fromClient bool
	at         time.Duration
	data       []byte
	event      string // if there is no data
	ends       bool   // the direction does
	lost       bool   // from here on, messages are not shown
	closes     bool   // the connection does
}

// data takes bytes that are about to be passed on. It copies them, and waits for nothing.
func (t *tap) data(fromClient bool, b []byte) {
	if t.backlog.Add(cost(b)) > maxBacklog {
		t.backlog.Add(-cost(b))
		t.giveUp()
		return
	}
	t.put(passed{fromClient: fromClient, data: append([]byte(nil), b...)})
}

// cost is what bytes in the queue count for: themselves and their place.
func cost(b []byte) int64 {
	if b == nil {
		return 0
	}
	return int64(len(b)) + 128
}

// giveUp ends the printing of messages: to leave some out would lose their bounds.
func (t *tap) giveUp() {
	t.mu.Lock()
	was := t.deaf
	t.deaf = true
	t.mu.Unlock()
	if !was {
		t.put(passed{lost: true, event: "more passes than can be printed: from here on, messages of this connection are not shown"})
	}
}

// put appends to the queue.
func (t *tap) put(p passed) {
	p.at = time.Since(t.began)
	t.mu.Lock()
	if t.deaf && p.data != nil {
		t.backlog.Add(-cost(p.data))
	} else {
		t.queue = append(t.queue, p)
	}
	t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default: // it was told
	}
}

// run prints until the connection closes.
func (t *tap) run(w Wire) {
	client, server := w.dialects()
	directions := map[bool]*direction{true: {dialect: client, fromClient: true}, false: {dialect: server}}
	messages, lost := 0, false
	for _, d := range directions {
		d.show = func(m message) {
			messages++
			t.out.message(t.conn, m)
		}
	}
	for range t.more {
		t.mu.Lock()
		queue := t.queue
		t.queue = nil
		t.mu.Unlock()
		for _, p := range queue {
			d := directions[p.fromClient]
			d.feed(p.data, p.at)
			t.backlog.Add(-cost(p.data))
			if p.ends && !lost {
				d.end(p.at)
			}
			lost = lost || p.lost
			if p.event != "" {
				t.out.event(t.conn, p.at, p.event)
			}
			if p.closes {
				t.out.event(t.conn, p.at, fmt.Sprintf("closed, messages: %d", messages))
				return
			}
		}
	}
}
