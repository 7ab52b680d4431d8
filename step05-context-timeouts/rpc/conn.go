package rpc

import (
	"context"
	"fmt"
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

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc

	requests sync.WaitGroup // counts those that have no response yet
	ended    atomic.Bool    // no more requests are read

	mu    sync.Mutex
	calls map[uint64]*serverCall // those in flight, by the request's id
}

// A serverCall is a request in flight.
type serverCall struct {
	req    Request
	ctx    context.Context // ends when the caller no longer waits for the response
	cancel context.CancelFunc
	done   chan struct{} // closed once the response is sent
}

func newServerConn(s *Server, conn net.Conn) *serverConn {
	ctx, cancel := context.WithCancel(s.ctx)
	return &serverConn{
		srv:     s,
		conn:    conn,
		writing: make(chan struct{}, 1),
		ctx:     ctx,
		cancel:  cancel,
		calls:   make(map[uint64]*serverCall),
	}
}

// start answers req in a goroutine of its own, so a slow method delays no later
// request, unless req has no id. Such a request is answered before the next is read,
// since only the order of the responses tells which requests they answer. While start
// waits for that, the server does not notice that the client has gone.
func (c *serverConn) start(req Request) {
	call, err := c.begin(req)
	if err != nil {
		c.reply(req, Response{Error: err.Error()})
		return
	}
	// Enough for a lesson; a busy server would limit how many run at a time.
	go c.answer(call)
	if req.ID == 0 {
		<-call.done
	}
}

// begin puts req on the list of calls in flight. It refuses an id that is on the
// list already.
func (c *serverConn) begin(req Request) (*serverCall, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[req.ID] != nil {
		return nil, fmt.Errorf("%w: id %d is in flight", errInvalidRequest, req.ID)
	}
	if err := c.srv.beginRequest(); err != nil {
		return nil, err
	}
	call := &serverCall{req: req, done: make(chan struct{})}
	call.ctx, call.cancel = context.WithTimeout(c.ctx, c.srv.timeout(req))
	c.calls[req.ID] = call
	c.requests.Add(1)
	return call, nil
}

// answer calls the method and sends what it returned. If the call's context ends
// first, the reason for that is sent at once, without waiting for the method,
// which might ignore its context.
func (c *serverConn) answer(call *serverCall) {
	stop := context.AfterFunc(call.ctx, func() { c.finish(call, endedResponse(call.ctx.Err())) })
	resp := Response{Error: "internal error"} // stays if the method calls runtime.Goexit
	defer func() {
		stop()
		if err := call.ctx.Err(); err != nil {
			resp = endedResponse(err)
		}
		c.finish(call, resp)
	}()
	resp = c.srv.handle(call.ctx, call.req)
}

// finish sends the response to call, unless it has one already. The list
// decides: only the goroutine that takes the call off it replies.
func (c *serverConn) finish(call *serverCall, resp Response) {
	c.mu.Lock()
	late := c.calls[call.req.ID] != call
	if !late {
		delete(c.calls, call.req.ID)
	}
	c.mu.Unlock()
	if late {
		return
	}
	call.cancel()
	c.reply(call.req, resp)
	close(call.done)
	c.requests.Done()
	c.srv.requests.Done()
}

// end ends the contexts of all calls, and waits until they have their responses.
// A client that has closed only its own direction looks like one that is gone, so
// it is treated as gone, as net/http does. It still gets one response to each
// request: the result, if the method has returned it already, else "canceled". It
// has a second to take each response.
func (c *serverConn) end() {
	c.cancel()
	c.ended.Store(true)
	c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	c.requests.Wait()
}

// cancelCall ends the context of the call with that id, if it is in flight.
func (c *serverConn) cancelCall(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if call := c.calls[id]; call != nil {
		call.cancel()
	}
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
