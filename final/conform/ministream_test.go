package conform

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

const (
	miniStreams = 30
	miniWindow  = 4096
)

// A miniStream is a stream of the mini server. The lock of its connection guards it.
type miniStream struct {
	c       *miniConn
	id      uint64
	changed *sync.Cond
	ctx     context.Context // of the handler
	cancel  context.CancelFunc

	credit int64 // what the server may send

	room, taken, lent, wanted int64 // what the client may send
	items                     []miniItem
	part                      miniItem
	within                    bool

	clientEnded bool
	ended       bool      // by this side
	failed      wire.Code // OK: it has not
}

type miniItem struct {
	data   []byte
	cost   int64
	packed bool
}

// errBroken is the error of what ends a connection.
type errBroken struct{ code wire.Code }

func (e errBroken) Error() string { return e.code.String() }

var shapesOfMini = map[string]wire.Shape{count: wire.ServerStream, sum: wire.ClientStream, echo: wire.BidiStream, never: wire.BidiStream}

// open begins a stream, or refuses it.
func (c *miniConn) openStream(f frames.Frame) error {
	o, err := f.Open()
	var e *frames.Error
	if errors.As(err, &e) && !e.InPairs {
		return errBroken{wire.InvalidArgument}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.draining:
		return nil
	case o.ID <= c.lastID:
		return errBroken{wire.InvalidArgument}
	case len(c.streams) >= miniStreams && c.fault != "streams without a bound":
		return errBroken{wire.ResourceExhausted}
	}
	c.lastID = o.ID
	s := &miniStream{c: c, id: o.ID, changed: sync.NewCond(&c.mu), credit: c.peerWindow, room: miniWindow, clientEnded: o.Shape == wire.ServerStream}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if o.TimeoutMS > 0 {
		s.ctx, s.cancel = context.WithTimeout(s.ctx, time.Duration(o.TimeoutMS)*time.Millisecond)
	}
	context.AfterFunc(s.ctx, s.wakeUp)
	c.streams[o.ID] = s
	if shape := shapesOfMini[o.Method]; shape != o.Shape && (shape == 0 || c.fault != "takes any shape") {
		s.end(wire.FlagNeverRan, frames.Reason{Code: wire.Unimplemented, Text: "no such stream"})
		return nil
	}
	c.handlers.Go(func() { s.run(o) })
	return nil
}

func (s *miniStream) wakeUp() {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	s.changed.Broadcast()
}

// run is the handler, and what follows it.
func (s *miniStream) run(o frames.Open) {
	r := s.handle(o)
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	switch {
	case s.failed != wire.OK:
		r = frames.Reason{Code: s.failed, Text: "the stream has failed"}
	case s.ctx.Err() == context.DeadlineExceeded:
		r = frames.Reason{Code: wire.DeadlineExceeded}
	}
	s.end(0, r)
	if s.c.fault == "ends a stream twice" {
		s.c.writeLocked(frames.Reason{}.Frame(wire.KindEnd, 0, s.id))
	}
	s.cancel()
}

func (s *miniStream) end(flags uint8, r frames.Reason) {
	s.c.writeLocked(r.Frame(wire.KindEnd, flags, s.id))
	if s.clientEnded {
		delete(s.c.streams, s.id)
		return
	}
	s.ended = true // what comes is dropped
}

type miniNumber struct {
	N    int
	Data string `json:",omitempty"`
	Fail bool   `json:",omitempty"`
}

func (s *miniStream) handle(o frames.Open) frames.Reason {
	var params miniNumber
	json.Unmarshal(o.Params, &params)
	total := 0
	for i := 0; o.Method == count && i < params.N; i++ {
		s.send(miniNumber{N: i + 1, Data: params.Data})
	}
	if o.Method == count && params.Fail {
		return frames.Reason{Code: wire.NotFound, Text: "no more", Details: []frames.Pair{{Key: "n", Value: strconv.Itoa(params.N)}}}
	}
	if o.Method == never {
		<-s.ctx.Done()
	}
	for o.Method == sum || o.Method == echo {
		data, ok := s.receive()
		if !ok {
			break
		}
		var item miniNumber
		if json.Unmarshal(data, &item) != nil {
			return frames.Reason{Code: wire.InvalidArgument}
		}
		total += item.N
		if o.Method == echo {
			s.send(item)
		}
	}
	if o.Method == sum {
		s.send(miniNumber{N: total})
	}
	return frames.Reason{}
}

// send sends an item, once there is credit for it.
func (s *miniStream) send(item miniNumber) {
	data, _ := json.Marshal(item)
	var parts [][]byte
	cost := int64(0)
	for rest := data; len(rest) > 0; {
		n := min(16<<10, len(rest))
		if s.c.fault == "short fragments" {
			n = min(1000, len(rest))
		}
		parts, rest, cost = append(parts, rest[:n]), rest[n:], cost+frames.DataCost(n)
	}
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for said := false; s.credit < cost && s.c.fault != "sends without credit"; said = true {
		if s.failed != wire.OK || s.ctx.Err() != nil {
			return
		}
		if !said && s.c.fault != "never wants" {
			s.c.writeLocked(frames.AmountFrame(wire.KindWant, s.id, uint32(cost)))
		}
		s.changed.Wait()
	}
	if s.failed != wire.OK {
		return
	}
	s.credit -= cost
	for i, part := range parts {
		flags := wire.FlagMore
		if i == len(parts)-1 {
			flags = 0
		}
		s.c.writeLocked(frames.Data(s.id, flags, part))
	}
}

// receive takes the next item; false if there is none any more.
func (s *miniStream) receive() ([]byte, bool) {
	s.c.mu.Lock()
	defer s.c.mu.Unlock()
	for len(s.items) == 0 {
		if s.clientEnded || s.failed != wire.OK || s.ctx.Err() != nil {
			return nil, false
		}
		s.changed.Wait()
	}
	item := s.items[0]
	s.items = s.items[1:]
	if s.c.fault != "gives no credit back" {
		s.taken += item.cost
		s.settle()
	}
	return item.data, true
}

// settle gives credit back: in batches, or for an item that waits.
func (s *miniStream) settle() {
	back := min(s.taken, s.lent)
	s.taken -= back
	s.lent -= back
	switch {
	case s.wanted > miniWindow+s.lent && s.c.fault != "makes no room for large items":
		more := s.wanted - s.room - s.taken
		s.lent += more
		s.give(s.taken + more)
	case s.wanted > 0 && s.wanted <= s.room+s.taken, s.taken >= miniWindow/4:
		s.give(s.taken)
	}
}

func (s *miniStream) give(n int64) {
	s.taken, s.wanted = 0, 0
	s.room += n
	if n > 0 {
		s.c.writeLocked(frames.AmountFrame(wire.KindCredit, s.id, uint32(n)))
	}
}

// fail ends both halves.
func (s *miniStream) fail(code wire.Code) {
	if s.failed == wire.OK {
		s.failed = code
	}
	s.items = nil
	s.cancel()
	s.changed.Broadcast()
}

// streamFrame does what a frame of a stream says.
func (c *miniConn) streamFrame(f frames.Frame) error {
	if f.Kind == wire.KindOpen {
		return c.openStream(f)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.streams[f.ID]
	switch {
	case f.Kind == wire.KindHeader:
		return errBroken{wire.InvalidArgument}
	case s != nil:
		return s.take(f)
	case f.Kind == wire.KindCredit && f.ID <= c.lastID:
		return nil
	}
	return errBroken{wire.InvalidArgument}
}

func (s *miniStream) take(f frames.Frame) error {
	switch f.Kind {
	case wire.KindData:
		return s.data(f)
	case wire.KindEnd:
		switch {
		case s.clientEnded && s.c.fault == "a second end ends the connection":
			return errBroken{wire.InvalidArgument}
		case s.clientEnded || s.within:
			s.fail(wire.InvalidArgument)
		}
		s.clientEnds()
	default:
		n, err := f.Amount()
		switch {
		case err != nil:
			return errBroken{wire.InvalidArgument}
		case f.Kind == wire.KindWant && s.clientEnded:
			s.fail(wire.InvalidArgument)
		case f.Kind == wire.KindWant && s.c.fault == "gives credit for the asking":
			s.give(n)
		case f.Kind == wire.KindWant && n > s.room:
			s.wanted = n
			s.settle()
		case f.Kind == wire.KindCredit && s.credit+n > math.MaxInt32 && s.c.fault != "takes any credit":
			return errBroken{wire.InvalidArgument}
		case f.Kind == wire.KindCredit:
			s.credit += n
			s.changed.Broadcast()
		}
	}
	return nil
}

func (s *miniStream) data(f frames.Frame) error {
	cost := frames.DataCost(len(f.Fields))
	if cost > s.room && !s.clientEnded && s.c.fault != "does not count what comes" {
		return errBroken{wire.ResourceExhausted}
	}
	s.room -= cost
	more, packed := f.Flags&wire.FlagMore != 0, f.Flags&wire.FlagCompressed != 0
	switch {
	case s.failed == wire.OK && s.clientEnded, more && len(f.Fields) < 1024, s.within && packed:
		s.fail(wire.InvalidArgument)
		return nil
	}
	if !s.within {
		s.part = miniItem{packed: packed}
	}
	s.within, s.wanted = more, 0
	s.part.data = append(s.part.data, f.Fields...)
	s.part.cost += cost
	if more || s.ended || s.failed != wire.OK {
		return nil
	}
	if s.part.packed {
		s.part.data, _ = frames.Expand(s.part.data, miniMaxMessage)
	}
	s.items = append(s.items, s.part)
	s.changed.Broadcast()
	return nil
}

// clientEnds ends the client's half.
func (s *miniStream) clientEnds() {
	s.clientEnded = true
	if s.ended {
		delete(s.c.streams, s.id)
	}
	s.changed.Broadcast()
}

// cancelStream ends a stream whose caller has left.
func (c *miniConn) cancelStream(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.streams[id]; s != nil && c.fault != "takes no cancel of a stream" {
		s.fail(wire.Canceled)
		s.clientEnds()
	}
}
