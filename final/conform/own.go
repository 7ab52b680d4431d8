package conform

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// firstRules are those on which many others depend. The last two ask for what a whole
// kind of rules has in common, in any of them.
var firstRules = []Rule{
	{Name: helloRule, Says: "Each side says hello once, the client first.", test: onConn(hello, nothing)},
	{Name: goAwayRule, Says: "After input from which it cannot recover, a server sends a go-away with the reason", test: anyGoAway},
	{Name: neverRanRule, Says: "the handler was never started: the call may be made again without doing anything twice", test: onConn(hello, anyRefusal)},
}

// ownRules are those that no capture can show: their bytes depend on what the
// server announced, or it matters when they come, or on which connection.
var ownRules = []Rule{
	{Name: "hello: nothing before the client's", Says: "A server says nothing before it has read the client's whole hello", test: helloWaits},
	{Name: "hello: gob, which is not offered", Says: "if the server is set so, to trusted peers", test: helloGob},
	{Name: "hello: the client closes within it", Says: "A client that ends its sending side ends the connection", test: onConn(nil, helloCut)},
	{Name: "bytes: one by one", Says: "The transport is a reliable stream of bytes", test: bytesOneByOne},
	{Name: "bytes: frames that end in the next write", Says: "The transport is a reliable stream of bytes", test: bytesAcross},
	{Name: "bytes: many frames in one write", Says: "A server also accepts requests that follow the client's hello directly.", test: bytesAtOnce},
	{Name: "ping: one pong each", Says: "The receiver of a ping answers with a pong of the same ID", test: onConn(hello, pings)},
	{Name: "replies: exactly one each", Says: "Each request gets one response or one error, even if it was cancelled.", test: onConn(hello, repliesOnce)},
	{Name: "cancel: one reply", Says: "Each request gets one response or one error, even if it was cancelled.", test: onConn(hello, cancelOnce)},
	{Name: "cancel: after the reply", Says: "A cancel for a call that is not in flight is ignored: the call's reply may have been on its way already.", test: onConn(hello, cancelLate)},
	{Name: "deadline: not before its time, and once", Says: "The server counts from the moment when it reads the request.", test: onConn(hello, deadline)},
	{Name: "IDs: a refused call's is used", Says: "each request's is above that of the request before", test: onConn(hello, refusedID)},
	{Name: "method: the exact name", Says: "Names are compared byte by byte: case, slashes and blanks count", test: onConn(hello, exactName)},
	{Name: "metadata: above the limit", Says: "All pairs together, with their four bytes each, take at most 8 KiB unless the server is set otherwise.", test: onConn(hello, muchMetadata)},
	{Name: "panic: tells nothing of itself", Says: "A panic's text and stack stay on the server.", test: onConn(hello, panics)},
	{Name: "reply: above the client's limit", Says: "not the client's fault: a reply above its largest message", test: onConn(smallHello, largeReply)},
	{Name: "error: fits the client's limit", Says: "An error frame has to fit the client's largest message: its text is cut to half of that limit if need be, and details that would not fit are left out.", test: onConn(smallHello, largeError)},
	{Name: "in flight: no more than announced", Says: "Calls beyond the bound are refused, one by one, with resource_exhausted.", test: onConn(hello, tooMany)},
	{Name: "frame: the largest that is allowed", Says: "It must not be above the largest message that the reader announced in its hello", test: onConn(hello, largestFrame)},
	{Name: "frame: length over the limit", Says: "above what the server announced", test: onConn(hello, overLimit)},
	{Name: "frame: the client closes within it", Says: "A client that ends its sending side ends the connection", test: frameClosed},
	{Name: "half-close: between frames", Says: "its calls are cancelled, and it gets no more replies", test: onConn(hello, halfClosed)},
	{Name: "half-close: within a frame", Says: "a truncated frame, and the client still reads", test: onConn(hello, halfFrame)},
	{Name: "connections: two at once", Says: "Many calls are in flight on one connection", test: twoAtOnce},
	{Name: "connections: a bad one ends alone", Says: "After input from which it cannot recover, a server sends a go-away with the reason", test: badAlone},
	{Name: "compression: offered", Says: "A server that does not know the key treats it like any other metadata.", test: onConn(offerCompression, offered)},
	{Name: "compression: gzip", Says: "It is exactly one member of gzip, RFC 1952, without the header's optional fields (its flags are 0), and nothing after it.", test: onConn(offerCompression, compressed)},
	{Name: "compression: too much comes out", Says: "A receiver stops at the first byte above the limit, and fails that one call with resource_exhausted; the connection goes on.", test: onConn(offerCompression, bombed)},
	{Name: "params: offered", Says: "the bytes of params that may be in flight on the connection, and those that one call may have.", test: onConn((*client).offerParams, paramsOffered)},
	{Name: "shutdown: what is in flight is answered", Says: "It answers the calls up to that one, and takes cancels and pings.", test: shutdown(drains)},
	{Name: "shutdown: a call too late", Says: "The server neither runs nor answers them, and the client knows that they never ran", test: shutdown(tooLate)},
}

// The calls of the captures.
const (
	checkStock = "Inventory.CheckStock"
	wait       = "Test.Wait"
	item1      = `{"Item":"item1"}`
)

// frame is short for a frame without fields.
func frame(k wire.Kind, id uint64) frames.Frame { return frames.Frame{Kind: k, ID: id} }

func response(id uint64, result string) []byte {
	return frames.Frame{Kind: wire.KindResponse, ID: id, Fields: []byte(result)}.Bytes()
}

func failed(id uint64, code wire.Code) []byte {
	return frames.Reason{Code: code}.Frame(wire.KindError, 0, id).Bytes()
}

func refused(id uint64, code wire.Code) []byte {
	return frames.Reason{Code: code}.Frame(wire.KindError, wire.FlagNeverRan, id).Bytes()
}

func goAway(last uint64, code wire.Code) []byte {
	return frames.Reason{Code: code}.Frame(wire.KindGoAway, 0, last).Bytes()
}

// onConn makes a rule of what happens on one connection: it begins, and what is
// said then.
func onConn(begin, then func(*client) error) func(*server) error {
	return func(s *server) error {
		c, err := s.dial()
		if err != nil {
			return err
		}
		defer c.close()
		if begin != nil {
			if err := begin(c); err != nil {
				return err
			}
		}
		return then(c)
	}
}

func hello(c *client) error      { return c.hello() }
func smallHello(c *client) error { return c.helloLimited(1024) }

func nothing(*client) error { return nil }

// anyGoAway sends frames that end a connection, and is content if one of them is
// answered by a go-away, whatever its reason.
func anyGoAway(s *server) error {
	var err error
	for _, bad := range [][]byte{{0, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, frame(wire.KindGoAway, 1).Bytes()} {
		err = onConn(hello, func(c *client) error {
			c.send(bad)
			return c.expectKind(wire.KindGoAway)
		})(s)
		if err == nil {
			return nil
		}
	}
	return err
}

// anyRefusal makes calls that are refused, and is content if the answer to one of them
// says that it never ran, whatever its code.
func anyRefusal(c *client) error {
	c.request(frames.Request{ID: 1, Method: "Inventory.Nope", Params: []byte(item1)})
	c.request(frames.Request{ID: 2, Method: checkStock, Params: []byte(`[1]`)})
	var got []byte
	for range 2 {
		var err error
		if got, err = c.read(c.timeout, nil); err == io.EOF {
			err = c.failure("the server ended the connection", nil, nil)
		}
		if err != nil {
			return err
		}
		if f, err := frames.ParseFrame(got); err == nil && f.Kind == wire.KindError && f.Flags&wire.FlagNeverRan != 0 {
			return nil
		}
	}
	f := c.failure("the answer does not say that the call never ran", nil, got)
	f.Want = "an error, flags 08"
	return f
}

// check makes one call, and expects its result.
func (c *client) check(id uint64) error {
	c.request(frames.Request{ID: id, Method: checkStock, Params: []byte(item1)})
	return c.expect(response(id, `{"Count":100}`))
}

// waits begins a call that ends with its context.
func (c *client) waits(id uint64) { c.request(frames.Request{ID: id, Method: wait}) }

// inOrder runs steps until one fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func helloWaits(s *server) error {
	return onConn(nil, func(c *client) error {
		b := frames.ClientHello{Codec: "json", MaxMessage: 4 << 20}.Bytes()
		c.send(b[:len(b)-1])
		if err := c.quiet(); err != nil {
			return err
		}
		c.send(b[len(b)-1:])
		return inOrder(c.accepted, func() error { return c.check(1) })
	})(s)
}

func helloGob(s *server) error {
	return onConn(nil, func(c *client) error {
		c.send(frames.ClientHello{Codec: "gob", MaxMessage: 4 << 20}.Bytes())
		err := c.expect(frames.ServerHello{Code: wire.Unimplemented}.Bytes())
		if c.helloed && c.bounds.Code == wire.OK {
			return skip("the server offers gob")
		}
		if err != nil {
			return err
		}
		return c.ended()
	})(s)
}

func helloCut(c *client) error {
	c.send([]byte(wire.Magic + "\x01\x00"))
	c.conn.CloseWrite()
	return c.ended()
}

func bytesOneByOne(s *server) error {
	return onConn(nil, func(c *client) error {
		c.pieces(frames.ClientHello{Codec: "json", MaxMessage: 4 << 20}.Bytes(), 1)
		if err := c.accepted(); err != nil {
			return err
		}
		c.open[1] = true
		c.pieces(frames.Request{ID: 1, Method: checkStock, Params: []byte(item1)}.Frame().Bytes(), 1)
		return inOrder(func() error { return c.expect(response(1, `{"Count":100}`)) }, c.alive)
	})(s)
}

// bytesAcross sends three calls in pieces that begin and end within frames.
func bytesAcross(s *server) error {
	return onConn(hello, func(c *client) error {
		var all []byte
		want := map[uint64][]byte{}
		for id := range uint64(3) {
			c.open[id+1] = true
			want[id+1] = response(id+1, `{"Count":100}`)
			all = frames.Request{ID: id + 1, Method: checkStock, Params: []byte(item1)}.Frame().Append(all)
		}
		c.pieces(all, 33)
		return inOrder(func() error { return c.expectAll(want) }, c.alive)
	})(s)
}

// bytesAtOnce sends hello, calls and pings in one write.
func bytesAtOnce(s *server) error {
	return onConn(nil, func(c *client) error {
		all := frames.ClientHello{Codec: "json", MaxMessage: 4 << 20}.Bytes()
		want := map[uint64][]byte{}
		for id := uint64(1); id <= 50; id++ {
			c.open[id] = true
			want[id] = response(id, `{"Count":100}`)
			want[1000+id] = frame(wire.KindPong, 1000+id).Bytes()
			all = frames.Request{ID: id, Method: checkStock, Params: []byte(item1)}.Frame().Append(all)
			all = frame(wire.KindPing, 1000+id).Append(all)
		}
		c.send(all)
		return inOrder(c.accepted, func() error { return c.expectAll(want) }, c.alive)
	})(s)
}

func pings(c *client) error {
	var all []byte
	want := map[uint64][]byte{}
	for id := uint64(1); id <= 100; id++ {
		all = frame(wire.KindPing, id<<32|id).Append(all)
		want[id<<32|id] = frame(wire.KindPong, id<<32|id).Bytes()
	}
	c.send(all)
	return inOrder(func() error { return c.expectAll(want) }, c.alive)
}

// repliesOnce makes calls of all outcomes at once.
func repliesOnce(c *client) error {
	want := map[uint64][]byte{}
	var all []byte
	add := func(id uint64, method, params string, reply []byte) {
		c.open[id] = true
		want[id] = reply
		all = frames.Request{ID: id, Method: method, Params: []byte(params)}.Frame().Append(all)
	}
	for id := uint64(1); id <= 100; id += 5 {
		add(id, checkStock, item1, response(id, `{"Count":100}`))
		add(id+1, checkStock, `{"Item":"item9"}`, unknownItem(id+1, "item9"))
		add(id+2, "Inventory.Nope", item1, refused(id+2, wire.Unimplemented))
		add(id+3, checkStock, `[1]`, refused(id+3, wire.InvalidArgument))
		add(id+4, wait, "", failed(id+4, wire.Canceled))
		all = frame(wire.KindCancel, id+4).Append(all)
	}
	c.send(all)
	return inOrder(func() error { return c.expectAll(want) }, c.quiet, c.alive)
}

func unknownItem(id uint64, item string) []byte {
	r := frames.Reason{Code: wire.NotFound, Text: "unknown item: " + item, Details: []frames.Pair{{Key: "item", Value: item}}}
	return r.Frame(wire.KindError, 0, id).Bytes()
}

func cancelOnce(c *client) error {
	c.waits(1)
	if err := c.quiet(); err != nil { // its handler runs
		return err
	}
	c.cancel(1)
	return inOrder(func() error { return c.expect(failed(1, wire.Canceled)) }, c.quiet, c.alive)
}

func cancelLate(c *client) error {
	if err := c.check(1); err != nil {
		return err
	}
	c.cancel(1)
	return inOrder(c.quiet, func() error { return c.check(2) }, c.alive)
}

func deadline(c *client) error {
	const timeout = 300 * time.Millisecond
	began := time.Now()
	c.request(frames.Request{ID: 1, Method: wait, TimeoutMS: uint32(timeout.Milliseconds())})
	if err := c.expectWithin(failed(1, wire.DeadlineExceeded), c.timeout+timeout); err != nil {
		return err
	}
	if took := time.Since(began); took < timeout {
		return c.failure(fmt.Sprintf("the deadline passed after %v: the timeout was %v", took, timeout), nil, nil)
	}
	return inOrder(c.quiet, c.alive)
}

func refusedID(c *client) error {
	c.request(frames.Request{ID: 5, Method: "Inventory.Nope"})
	if err := c.expect(refused(5, wire.Unimplemented)); err != nil {
		return err
	}
	c.send(frames.Request{ID: 5, Method: checkStock, Params: []byte(item1)}.Frame().Bytes())
	return inOrder(func() error { return c.expect(goAway(5, wire.InvalidArgument)) }, c.ended)
}

func exactName(c *client) error {
	for i, name := range []string{"inventory.checkstock", "/Inventory.CheckStock", "Inventory/CheckStock", "Inventory.CheckStock ", "Inventory.CheckStock\x00"} {
		id := uint64(i + 1)
		c.request(frames.Request{ID: id, Method: name, Params: []byte(item1)})
		if err := c.expect(refused(id, wire.Unimplemented)); err != nil {
			return err
		}
	}
	return c.alive()
}

func muchMetadata(c *client) error {
	c.request(frames.Request{ID: 1, Method: "Test.User", Metadata: []frames.Pair{{Key: "user", Value: strings.Repeat("x", 8<<10)}}})
	return inOrder(func() error { return c.expect(refused(1, wire.ResourceExhausted)) }, c.alive)
}

func panics(c *client) error {
	c.request(frames.Request{ID: 1, Method: "Test.Panic"})
	want := failed(1, wire.Internal)
	got, err := c.read(c.timeout, want)
	switch {
	case err == io.EOF:
		return c.failure("the server ended the connection", want, nil)
	case err != nil:
		return err
	case strings.Contains(string(got), "secret"):
		return c.failure("the panic's text is in the answer", want, got)
	}
	return inOrder(func() error { return c.compare(want, got, false) }, c.alive)
}

// largeReply asks for a result that this client does not read.
func largeReply(c *client) error {
	c.request(frames.Request{ID: 1, Method: "Test.User", Metadata: []frames.Pair{{Key: "user", Value: strings.Repeat("x", 2000)}}})
	return inOrder(func() error { return c.expect(failed(1, wire.ResourceExhausted)) }, c.alive)
}

func largeError(c *client) error {
	item := strings.Repeat("x", 3000)
	c.request(frames.Request{ID: 1, Method: checkStock, Params: []byte(`{"Item":"` + item + `"}`)})
	cut := "unknown item: " + item
	want := frames.Reason{Code: wire.NotFound, Text: cut[:512]}.Frame(wire.KindError, 0, 1).Bytes()
	return inOrder(func() error { return c.expect(want) }, c.alive)
}

// tooMany fills the connection, goes one further, and frees one place.
func tooMany(c *client) error {
	n := uint64(c.bounds.InFlight)
	if n > 1<<14 {
		return skip("the server announces %d calls in flight: too many to fill", n)
	}
	var all []byte
	for id := uint64(1); id <= n; id++ {
		c.open[id] = true
		all = frames.Request{ID: id, Method: wait}.Frame().Append(all)
	}
	c.send(all)
	c.request(frames.Request{ID: n + 1, Method: checkStock, Params: []byte(item1)})
	if err := c.expect(refused(n+1, wire.ResourceExhausted)); err != nil {
		return err
	}
	c.cancel(n)
	return inOrder(
		func() error { return c.expect(failed(n, wire.Canceled)) },
		func() error { return c.check(n + 2) },
		c.alive)
}

// largestFrame makes a call as large as may be: its params end in blanks.
func largestFrame(c *client) error {
	if c.bounds.MaxMessage > 64<<20 {
		return skip("the server announces %d bytes: too many to send", c.bounds.MaxMessage)
	}
	r := frames.Request{ID: 1, Method: checkStock, Params: []byte(item1)}
	missing := int(c.bounds.MaxMessage) + wire.LengthSize - len(r.Frame().Bytes())
	r.Params = append(r.Params, strings.Repeat(" ", missing)...)
	c.request(r)
	return inOrder(func() error { return c.expect(response(1, `{"Count":100}`)) }, c.alive)
}

// overLimit claims one byte more than is allowed, and sends none of them.
func overLimit(c *client) error {
	n := uint64(c.bounds.MaxMessage) + 1
	if n > 1<<32-1 {
		return skip("the server announces the largest number that there is")
	}
	c.send([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	return inOrder(func() error { return c.expect(goAway(0, wire.ResourceExhausted)) }, c.ended)
}

func frameClosed(s *server) error {
	err := onConn(hello, func(c *client) error {
		c.send([]byte("\x00\x00\x002\x01"))
		return nil
	})(s)
	if err != nil {
		return err
	}
	return s.takesCalls()
}

func halfClosed(c *client) error {
	c.waits(1)
	if err := c.alive(); err != nil { // so the call has begun
		return err
	}
	c.conn.CloseWrite()
	got, err := c.read(c.timeout, nil)
	switch {
	case err == io.EOF:
		return nil
	case err != nil:
		return err
	}
	f := c.failure("something came after the client's end", nil, got)
	f.Want = "the end of the connection"
	return f
}

func halfFrame(c *client) error {
	c.send([]byte("\x00\x00\x002\x01"))
	c.conn.CloseWrite()
	return inOrder(func() error { return c.expect(goAway(0, wire.InvalidArgument)) }, c.ended)
}

// twoAtOnce makes calls with the same IDs on two connections.
func twoAtOnce(s *server) error {
	return onConn(hello, func(a *client) error {
		a.waits(1)
		return onConn(hello, func(b *client) error {
			b.waits(1)
			b.cancel(1)
			return inOrder(
				func() error { return b.expect(failed(1, wire.Canceled)) },
				func() error { return a.check(2) },
				func() error { return b.check(2) },
				a.alive,
				func() error { a.cancel(1); return a.expect(failed(1, wire.Canceled)) },
				b.alive)
		})(s)
	})(s)
}

func badAlone(s *server) error {
	return onConn(hello, func(good *client) error {
		bad := onConn(hello, func(c *client) error {
			c.send([]byte{0, 0, 0, 0})
			return inOrder(func() error { return c.expect(goAway(0, wire.InvalidArgument)) }, c.ended)
		})
		return inOrder(func() error { return bad(s) }, func() error { return good.check(1) }, good.alive)
	})(s)
}

// shutdown makes a rule of what happens when a server is told to end, with call 1
// in flight.
func shutdown(then func(*client) error) func(*server) error {
	return func(s *server) error {
		if s.restart == nil {
			return skip("only a server that is started from here can be shut down: conform -- COMMAND")
		}
		addr, end, err := s.restart()
		if err != nil {
			return err
		}
		ended := make(chan error, 1)
		stop := sync.OnceFunc(func() { go func() { ended <- end() }() })
		other := *s
		other.addr = addr
		err = onConn(hello, func(c *client) error {
			c.waits(1)
			if err := c.alive(); err != nil {
				return err
			}
			stop()
			if err := c.expect(goAway(1, wire.Unavailable)); err != nil {
				return err
			}
			return then(c)
		})(&other)
		stop()
		if late := <-ended; err == nil {
			err = late
		}
		return err
	}
}

func drains(c *client) error {
	if err := c.alive(); err != nil {
		return err
	}
	c.cancel(1)
	return inOrder(func() error { return c.expect(failed(1, wire.Canceled)) }, c.ended)
}

func tooLate(c *client) error {
	c.send(frames.Request{ID: 2, Method: checkStock, Params: []byte(item1)}.Frame().Bytes())
	return inOrder(c.alive, func() error { return drains(c) })
}
