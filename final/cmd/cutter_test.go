package cmd_test

import (
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
)

// A cutter passes connections on to a server, which may move, and cuts each of them after
// some dozens of messages, wherever that is in one of them.
type cutter struct {
	ln     net.Listener
	target atomic.Pointer[string]
	cuts   atomic.Int64
	wg     sync.WaitGroup
}

func newCutter(target string) (*cutter, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &cutter{ln: ln}
	c.target.Store(&target)
	c.wg.Go(c.accept)
	return c, nil
}

func (c *cutter) accept() {
	for {
		near, err := c.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", *c.target.Load())
		if err != nil {
			near.Close()
			continue
		}
		c.wg.Go(func() { c.pass(near, far) })
		c.wg.Go(func() { c.pass(far, near) })
	}
}

// pass copies until the cut, or until one side ends.
func (c *cutter) pass(from, to net.Conn) {
	defer from.Close()
	defer to.Close()
	n := 100 + rand.Int64N(6_000)
	if copied, _ := io.CopyN(to, from, n); copied == n {
		c.cuts.Add(1)
	}
}

// close waits until all connections are gone: those who made them close them first.
func (c *cutter) close() {
	c.ln.Close()
	c.wg.Wait()
}
