package conform

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// mini is a second server of the protocol, as plain as can be. It shows that the
// rules ask for the protocol and not for final/rpc, and it can be wrong on
// purpose: fault names the one thing that it then does wrong.
type mini struct {
	fault string
	ctx   context.Context // ends: shut down
}

const (
	miniInFlight   = 40
	miniMaxMessage = 1 << 20
)

// miniConn is one connection. Its reader answers everything but Test.Wait itself.
type miniConn struct {
	*mini
	conn    *net.TCPConn
	in      io.Reader
	largest int // the largest message that the client reads
	agreed  uint8

	peerWindow int64 // of a stream

	mu       sync.Mutex
	lastID   uint64
	draining bool
	calls    map[uint64]*miniCall
	streams  map[uint64]*miniStream
	handlers sync.WaitGroup
}

type miniCall struct {
	cancel context.CancelFunc
	done   chan struct{}
}

func (m *mini) serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		c := &miniConn{mini: m, conn: conn.(*net.TCPConn), in: conn, calls: map[uint64]*miniCall{}, streams: map[uint64]*miniStream{}}
		go c.run()
	}
}

func (c *miniConn) run() {
	defer c.conn.Close()
	if !c.hello() {
		return
	}
	stop := context.AfterFunc(c.ctx, c.drain)
	defer stop()
	reason, text := c.read()
	if reason != wire.OK && c.fault != "closes in place of a go-away" {
		c.write(frames.Reason{Code: reason, Text: text}.Frame(wire.KindGoAway, 0, c.lastID))
	}
	c.mu.Lock()
	ended := c.draining || reason == wire.OK
	c.mu.Unlock()
	if !ended {
		c.linger()
	}
	c.conn.Close()
	c.cancelAll()
	c.handlers.Wait()
}

// linger ends this side and reads on, so that no reset destroys what was said.
func (c *miniConn) linger() {
	c.conn.CloseWrite()
	c.conn.SetReadDeadline(time.Now().Add(time.Second))
	io.Copy(io.Discard, c.conn)
}

func (c *miniConn) drain() {
	c.mu.Lock()
	c.draining = true
	last := c.lastID
	c.mu.Unlock()
	c.write(frames.Reason{Code: wire.Unavailable, Text: "shutting down"}.Frame(wire.KindGoAway, 0, last))
	c.handlers.Wait()
	c.conn.CloseWrite()
}

func (c *miniConn) cancelAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, call := range c.calls {
		call.cancel()
	}
	for _, s := range c.streams {
		s.fail(wire.Canceled)
	}
}

func (c *miniConn) hello() bool {
	in := io.Reader(c.conn)
	if c.fault == "reads ahead of the hello" {
		in = bufio.NewReader(c.conn)
	}
	c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	b, err := frames.Read(in, true, wire.HelloSize+8320)
	c.conn.SetReadDeadline(time.Time{})
	code, text := wire.OK, ""
	switch {
	case len(b) >= 4 && !wire.IsMagic(b):
		code, text = wire.InvalidArgument, "not this protocol"
	case len(b) == wire.HelloSize && frames.Size(b, true) > wire.HelloSize+8320:
		code, text = wire.ResourceExhausted, "a long hello"
	case err != nil:
		return false
	default:
		code, text = c.accept(b)
	}
	answer := frames.ServerHello{Code: code, Text: text}
	if code == wire.OK {
		answer.InFlight, answer.MaxMessage = miniInFlight, miniMaxMessage
	}
	c.conn.Write(answer.Bytes())
	if code != wire.OK {
		c.linger()
	}
	return code == wire.OK
}

func (c *miniConn) accept(b []byte) (wire.Code, string) {
	h, err := frames.ParseHello(b)
	if err != nil {
		return wire.InvalidArgument, err.Error()
	}
	if h.Version != wire.Version {
		return wire.Unimplemented, "another version"
	}
	client, err := h.Client()
	if err != nil {
		return wire.InvalidArgument, err.Error()
	}
	c.largest = int(client.MaxMessage)
	switch {
	case client.MaxMessage < 1024:
		return wire.InvalidArgument, "too small a limit"
	case !fit(client.Metadata):
		return wire.InvalidArgument, "metadata"
	case client.Codec != "json":
		return wire.Unimplemented, "unknown codec"
	}
	var grants []string
	if strings.Contains(c.fault, "compression") && client.Offers(frames.Compression, frames.Gzip) {
		grants = append(grants, frames.Compression+"="+frames.Gzip)
	}
	if client.Offers(frames.ReplyMetadata, frames.Pairs) && c.fault != "grants no reply metadata" {
		grants = append(grants, frames.ReplyMetadata+"="+frames.Pairs)
	}
	if c.peerWindow = client.OffersStreams(); c.peerWindow > 0 && c.fault != "grants no streams" {
		grants = append(grants, frames.StreamsGrant(miniStreams, miniWindow))
	}
	switch offers := client.Offers(frames.Params, frames.Bytes); {
	case offers && c.fault == "grants more room than a call may have":
		grants = append(grants, frames.Params+"=2,1")
	case offers:
		grants = append(grants, frames.Params+"=1,2")
	}
	grant := frames.ServerHello{Text: strings.Join(grants, " ")}
	c.agreed = frames.Agreed(client, grant)
	return wire.OK, grant.Text
}

// fit reports whether pairs may be metadata.
func fit(pairs []frames.Pair) bool {
	for _, p := range pairs {
		bad := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-_.", r) }
		if len(p.Key) < 1 || len(p.Key) > 128 || strings.ContainsFunc(p.Key, bad) ||
			!utf8.ValidString(p.Value) || strings.ContainsFunc(p.Value, unicode.IsControl) {
			return false
		}
	}
	return true
}

// read serves frames until the connection ends: OK if nobody is to be told why.
func (c *miniConn) read() (wire.Code, string) {
	for {
		b, code := c.next()
		if b == nil {
			return code, "cannot be read"
		}
		f, err := frames.ParseFrame(b)
		switch {
		case c.fault == "takes any flag on a pong" && f.Kind == wire.KindPong:
			f.Flags = 0
		case c.fault == "takes the flag of reply metadata on a request" && c.agreed != 0:
			f.Flags &^= wire.FlagReplyMetadata
		case c.fault == "takes fields on a cancel" && f.Kind == wire.KindCancel:
			f.Fields = nil
		case c.fault == "passes over kinds from 128 on" && f.Kind >= 128:
			continue
		}
		if err == nil {
			err = f.CheckAgreed(true, c.agreed)
		}
		if err != nil && strings.HasPrefix(err.Error(), "unknown frame kind") {
			return wire.Unimplemented, err.Error()
		}
		if err != nil {
			return wire.InvalidArgument, err.Error()
		}
		switch f.Kind {
		case wire.KindPing:
			c.write(frames.Frame{Kind: wire.KindPong, ID: f.ID})
		case wire.KindCancel:
			c.cancel(f.ID)
			c.cancelStream(f.ID)
		case wire.KindRequest:
			if !c.request(f) {
				return wire.InvalidArgument, "a request that is none"
			}
		case wire.KindPong:
		default:
			var broken errBroken
			if err := c.streamFrame(f); errors.As(err, &broken) {
				return broken.code, "a frame of a stream"
			}
		}
	}
}

// next reads a frame, or says why there is none.
func (c *miniConn) next() ([]byte, wire.Code) {
	head := make([]byte, wire.LengthSize)
	if n, err := io.ReadFull(c.in, head); err != nil {
		if n > 0 {
			return nil, wire.InvalidArgument
		}
		return nil, wire.OK
	}
	c.conn.SetReadDeadline(time.Now().Add(30 * time.Second))
	defer c.conn.SetReadDeadline(time.Time{})
	length := int64(binary.BigEndian.Uint32(head))
	switch {
	case length < wire.MinLength:
		return nil, wire.InvalidArgument
	case length > miniMaxMessage && c.fault != "does not check the length":
		return nil, wire.ResourceExhausted
	}
	if c.fault == "takes one read for a frame" {
		b := make([]byte, length)
		n, _ := c.in.Read(b)
		binary.BigEndian.PutUint32(head, uint32(n))
		return append(head, b[:n]...), wire.OK
	}
	var b bytes.Buffer
	if _, err := io.CopyN(&b, c.in, length); err != nil {
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			return nil, wire.DeadlineExceeded
		}
		return nil, wire.InvalidArgument
	}
	return append(head, b.Bytes()...), wire.OK
}

func (c *miniConn) cancel(id uint64) {
	c.mu.Lock()
	call := c.calls[id]
	c.mu.Unlock()
	if call == nil {
		return
	}
	if c.fault == "answers a cancelled call twice" {
		c.reply(id, frames.Reason{Code: wire.Canceled, Text: "cancelled"}.Frame(wire.KindError, 0, id))
	}
	call.cancel()
	if c.fault == "answers a cancelled call twice" {
		<-call.done
	}
}

// request does what a request asks for; false if it is none.
func (c *miniConn) request(f frames.Frame) bool {
	r, err := f.Request()
	e, _ := err.(*frames.Error)
	c.mu.Lock()
	draining := c.draining
	rises := r.ID > c.lastID
	running := len(c.calls)
	if e == nil || e.InPairs {
		if draining {
			c.mu.Unlock()
			return true
		}
		if rises {
			c.lastID = r.ID
		}
	}
	c.mu.Unlock()
	switch {
	case e != nil && !e.InPairs:
		return false
	case !rises:
		return false
	}
	if code := c.refuses(r, e, running); code != wire.OK {
		if c.fault == "forgets the ID of a refused call" {
			c.mu.Lock()
			c.lastID--
			c.mu.Unlock()
		}
		c.refuse(r.ID, code)
		return true
	}
	c.call(r)
	return true
}

// refuses checks in PROTOCOL.md's order; OK: the call may run.
func (c *miniConn) refuses(r frames.Request, e *frames.Error, running int) wire.Code {
	size := len(frames.AppendPairs(nil, r.Metadata))
	most := 128
	switch c.fault {
	case "takes any number of pairs":
		most = len(r.Metadata)
	case "takes a pair less":
		most--
	}
	switch {
	case len(r.Method) > 128 || !utf8.ValidString(r.Method):
		return wire.InvalidArgument
	case shapesOfMini[r.Method] != 0:
		return wire.Unimplemented
	case !strings.Contains(" Inventory.CheckStock Test.Wait Test.User Test.Nothing Test.Panic Test.Header ", " "+r.Method+" ") ||
		r.Method != strings.TrimSpace(r.Method) || r.Method == "":
		if c.fault == "has another code for unknown methods" {
			return wire.NotFound
		}
		return wire.Unimplemented
	case e != nil || !fit(r.Metadata):
		return wire.InvalidArgument
	case len(r.Metadata) > most:
		return wire.ResourceExhausted
	case size > 8<<10 && c.fault != "takes metadata of any size":
		return wire.ResourceExhausted
	case running >= miniInFlight:
		return wire.ResourceExhausted
	}
	return wire.OK
}

func (c *miniConn) refuse(id uint64, code wire.Code) {
	flags := wire.FlagNeverRan
	if c.fault == "does not say that a call never ran" {
		flags = 0
	}
	c.reply(id, frames.Reason{Code: code, Text: "refused"}.Frame(wire.KindError, flags, id))
}

func (c *miniConn) call(r frames.Request) {
	switch r.Method {
	case "Inventory.CheckStock":
		c.checkStock(r, nil)
	case "Test.Header":
		c.checkStock(r, c.replyMetadata(r.Metadata))
	case "Test.Wait":
		c.wait(r)
	case "Test.User":
		user := ""
		for _, p := range r.Metadata {
			user = p.Value
		}
		result, _ := json.Marshal(user)
		c.result(r.ID, result)
	case "Test.Nothing":
		c.result(r.ID, nil)
	case "Test.Panic":
		text := "a bug"
		if c.fault == "tells a panic's text" {
			text = "panic: secret"
		}
		c.reply(r.ID, frames.Reason{Code: wire.Internal, Text: text}.Frame(wire.KindError, 0, r.ID))
	}
}

// replyMetadata returns what is sent beside the reply of a call with these metadata.
func (c *miniConn) replyMetadata(md []frames.Pair) []frames.Pair {
	switch {
	case c.fault == "grants reply metadata and sends none":
		return nil
	case c.fault == "sends reply metadata without a grant":
		return md
	case c.agreed&wire.FlagReplyMetadata == 0:
		return nil
	case c.fault == "sends reply metadata of two lines" && len(md) > 0:
		md = append(md, frames.Pair{Key: "two", Value: "1\n2"})
	}
	return md
}

func (c *miniConn) checkStock(r frames.Request, md []frames.Pair) {
	if r.Flags&wire.FlagCompressed != 0 && c.fault != "grants compression that it does not know" {
		plain, err := frames.Expand(r.Params, 64<<20) // any limit above its own
		if err != nil {
			c.refuse(r.ID, wire.InvalidArgument)
			return
		}
		r.Params = plain
	}
	var params struct{ Item string }
	if err := json.Unmarshal(r.Params, &params); err != nil && len(r.Params) > 0 {
		if c.fault != "does not answer params that do not fit" || r.Params[0] != '[' {
			c.refuse(r.ID, wire.InvalidArgument)
		}
		return
	}
	if params.Item == "item1" {
		c.resultWith(r.ID, md, []byte("{ \"Count\" : 100 }"))
		return
	}
	e := frames.Reason{Code: wire.NotFound, Text: "unknown item: " + params.Item,
		Details: []frames.Pair{{Key: "item", Value: params.Item}}, Metadata: md}
	if c.fault == "mixes reply metadata with details" && len(md) > 0 {
		e.Details, e.Metadata = e.Metadata, e.Details
	}
	if len(frames.AppendPairs(nil, e.Details)) > 16<<10 && c.fault != "details without a limit" {
		e.Details = nil
	}
	if c.fault != "texts without a limit" {
		e.Text = e.Text[:min(len(e.Text), 4096)]
	}
	if f := e.Frame(wire.KindError, 0, r.ID); len(f.Bytes())-wire.LengthSize > c.largest {
		e.Details = nil
		e.Text = e.Text[:min(len(e.Text), c.largest/2)]
	}
	c.reply(r.ID, e.Frame(wire.KindError, 0, r.ID))
}

func (c *miniConn) result(id uint64, result []byte) { c.resultWith(id, nil, result) }

func (c *miniConn) resultWith(id uint64, md []frames.Pair, result []byte) {
	f := frames.Response{ID: id, Metadata: md, Result: result}.Frame()
	limit := c.largest
	if len(f.Bytes())-wire.LengthSize > limit && c.fault != "fails a call for its reply metadata" {
		f = frames.Response{ID: id, Result: result}.Frame()
	}
	if c.fault == "leaves a byte of the client's limit" {
		limit--
	}
	if len(f.Bytes())-wire.LengthSize > limit {
		f = frames.Reason{Code: wire.ResourceExhausted, Text: "too large"}.Frame(wire.KindError, 0, id)
	}
	c.reply(id, f)
}

// wait runs Test.Wait, the one handler with a goroutine.
func (c *miniConn) wait(r frames.Request) {
	ctx, cancel := context.WithCancel(context.Background())
	timeout := r.TimeoutMS
	if c.fault == "timeouts are little-endian" {
		timeout = bits.ReverseBytes32(timeout)
	}
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(timeout)*time.Millisecond)
	}
	call := &miniCall{cancel: cancel, done: make(chan struct{})}
	c.mu.Lock()
	c.calls[r.ID] = call
	c.mu.Unlock()
	c.handlers.Go(func() {
		defer close(call.done)
		<-ctx.Done()
		cancel()
		code := wire.Canceled
		if ctx.Err() == context.DeadlineExceeded {
			code = wire.DeadlineExceeded
		}
		c.mu.Lock()
		delete(c.calls, r.ID)
		c.mu.Unlock()
		c.reply(r.ID, frames.Reason{Code: code, Text: fmt.Sprint(ctx.Err())}.Frame(wire.KindError, 0, r.ID))
	})
}

// reply writes a reply.
func (c *miniConn) reply(id uint64, f frames.Frame) {
	f.ID = id
	if c.fault == "replies with the last ID" {
		c.mu.Lock()
		f.ID = c.lastID
		c.mu.Unlock()
	}
	c.write(f)
}

func (c *miniConn) write(f frames.Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeLocked(f)
}

func (c *miniConn) writeLocked(f frames.Frame) { c.conn.Write(f.Bytes()) }
