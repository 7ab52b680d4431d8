package rpc

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A serverConn is a connection of a server, on which many requests may be in
// flight: being answered at the same time.
type serverConn struct {
	srv     *Server
	conn    net.Conn
	writing chan struct{} // a lock: full while held

	requests sync.WaitGroup // counts those that are being answered
	ended    atomic.Bool    // no more requests are read
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	return &serverConn{srv: s, conn: conn, writing: make(chan struct{}, 1)}
}

// start answers req. A request with an id gets a goroutine of its own, so a slow
// method delays no later request. A request without an id is answered before the next
// is read, since only the order of the responses tells which requests they answer.
func (c *serverConn) start(req Request) {
	if req.ID == 0 {
		c.answer(req)
		return
	}
	// Enough for a lesson; a busy server would limit how many run at a time.
	c.requests.Go(func() { c.answer(req) })
}

// answer calls the method and sends what it returned.
func (c *serverConn) answer(req Request) {
	resp := Response{Error: "internal error"} // stays if the method calls runtime.Goexit
	defer func() { c.reply(req, resp) }()
	resp = c.srv.handle(req)
}

// end waits until all requests have their responses: a client that has closed
// only its own direction still reads. It has a second to take each response.
func (c *serverConn) end() {
	c.ended.Store(true)
	c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	c.requests.Wait()
}

// reply sends the response to req. If that fails, it closes the connection, which
// ends the reading, too.
func (c *serverConn) reply(req Request, resp Response) {
	resp.ID = req.ID
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	if c.ended.Load() {
		c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	}
	if err := writeResponse(c.conn, resp); err != nil {
		c.conn.Close()
	}
}
