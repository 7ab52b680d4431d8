package main

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
)

// A wireCount is how many bytes one call takes on the connection, TCP's own headers left out, once the connection has settled:
// handshake, HTTP/2's header table and gob's type descriptions are behind it.
type wireCount struct {
	Peer     string  `json:"peer"`
	Workload string  `json:"workload"`
	Sent     float64 `json:"sent_bytes"`     // by the client
	Received float64 `json:"received_bytes"` // by the client
}

// total is the bytes of request and reply together.
func (w wireCount) total() float64 { return w.Sent + w.Received }

// countWire makes a fixed number of calls over counting connections. It is not part of any timed round.
func countWire(ctx context.Context, p peer, w workload) (wireCount, error) {
	var sent, received atomic.Int64
	b, err := openBench(p, w, func(conn net.Conn) net.Conn {
		return &countingConn{Conn: conn, sent: &sent, received: &received}
	})
	if err != nil {
		return wireCount{}, err
	}
	defer b.close()
	calls, n := b.callsOf(w), wireCallsPerCaller(w)
	if err := eachCalls(ctx, calls, n); err != nil { // settles
		return wireCount{}, fmt.Errorf("%s, %s: %w", p.name, w.title, err)
	}
	sentBefore, receivedBefore := sent.Load(), received.Load()
	if err := eachCalls(ctx, calls, n); err != nil {
		return wireCount{}, fmt.Errorf("%s, %s: %w", p.name, w.title, err)
	}
	made := float64(len(calls) * n)
	return wireCount{
		Peer: p.name, Workload: w.id,
		Sent:     float64(sent.Load()-sentBefore) / made,
		Received: float64(received.Load()-receivedBefore) / made,
	}, nil
}

// wireCallsPerCaller is enough calls for what comes once in many calls, such as a window update, to be shared out.
func wireCallsPerCaller(w workload) int {
	return max(4, min(2000, 16<<20/(w.body+1))/w.callers)
}

// eachCalls has every caller make n calls, all at once, and returns the first error.
func eachCalls(ctx context.Context, calls []call, n int) error {
	ctx, cancel := context.WithTimeout(ctx, callDeadline)
	defer cancel()
	failed := make(chan error, len(calls))
	var wg sync.WaitGroup
	for _, c := range calls {
		wg.Go(func() {
			for range n {
				if err := c(ctx); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// A countingConn adds up what passes through it.
type countingConn struct {
	net.Conn
	sent, received *atomic.Int64
}

func (c *countingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.received.Add(int64(n))
	return n, err
}

func (c *countingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(int64(n))
	return n, err
}
