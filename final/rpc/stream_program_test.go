package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Random programs of what callers and handlers do with streams, on one connection, against
// a model: for each direction of each stream, the items that Send has taken, and how many
// of them were received. What the model says has to hold whenever nothing moves any more:
//
//   - Items arrive in order, once. A good end, and a handler's error, come after all of them.
//   - No item that was sent, and no end, keeps a Receive waiting.
//   - No Send waits for a receiver that waits, too.
//   - What a caller has left, or lost, keeps nobody waiting, and its handler's context has ended.
//   - A call is answered at once, whatever the streams do.
//
// At the end all streams are emptied and ended, and nothing is left of them.

// TestStreamProgram_RandomOnesKeepThePromises/17 runs the program of seed 17 again.
func TestStreamProgram_RandomOnesKeepThePromises(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(strconv.FormatUint(seed, 10), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 13))
			ops := make([]byte, 100+r.IntN(500))
			for i := range ops {
				ops[i] = byte(r.Uint32())
			}
			runStreamProgram(t, uint8(r.Uint32()), ops)
		})
	}
}

func FuzzStreamProgram(f *testing.F) {
	f.Add(uint8(0), []byte{0, 0, 0, 2, 0, 3, 4, 0, 1, 7, 0, 0})
	f.Add(uint8(7), []byte{0, 0, 0, 0, 1, 0, 2, 0, 6, 3, 1, 6, 8, 1, 0, 12, 0, 0})
	f.Fuzz(func(t *testing.T, setting uint8, ops []byte) {
		if len(ops) <= 600 {
			runStreamProgram(t, setting, ops)
		}
	})
}

type progItem struct {
	N    int
	Data string
}

var (
	progBidi   = BidiStream[progItem, progItem]("Prog.Bidi")
	progServer = ServerStream[progItem, progItem]("Prog.Server")
)

// progMaxMessage is small, so that items are large for the memory that there is.
const progMaxMessage = 64 << 10

// progActor is a goroutine that does one thing after the other for one end of a half.
type progActor struct {
	do     chan func()
	busy   bool
	leave  context.CancelFunc // gives up what it is doing
	gaveUp bool
	size   int // of the item that it sends
}

// progHalf is one direction of a stream. The world's mu guards it.
type progHalf struct {
	offered            []int // sizes of the items that Send has taken, or is about to take
	got                int
	ended              bool // a good end was received
	sender, receiver   progActor
	finished, finishes bool // the sender sends no more; what it has sent is followed by a good end
}

type progStream struct {
	id      int
	opened  OpenedStream
	cancel  context.CancelFunc
	until   time.Time // its deadline; zero: none
	up      progHalf  // from the client
	down    progHalf
	ctx     context.Context // the handler's; nil: it does not run
	in      *Receiver[progItem]
	out     *Sender[progItem]
	returns chan error

	result   error // what the handler has returned
	returned bool
	left     bool // the caller has closed or cancelled it, or its time is up
	vague    bool // it may have ended, or not
}

type progWorld struct {
	t      *testing.T
	srv    *Server
	client *Client
	conn   net.Conn
	mu     sync.Mutex
	all    []*progStream
	cut    bool
	log    []string
	actors sync.WaitGroup
}

// failLocked ends the process, with all that has happened: goroutines may wait for ever.
func (w *progWorld) failLocked(format string, args ...any) {
	panic(fmt.Sprintf("%s\n%s\n%s", fmt.Sprintf(format, args...), w.t.Name(), strings.Join(w.log, "\n")))
}

func runStreamProgram(t *testing.T, setting uint8, ops []byte) {
	synctest.Test(t, func(t *testing.T) {
		w := newProgWorld(t, setting)
		p := &program{b: ops}
		for len(p.b) > 0 && !w.cut {
			w.op(p.byte(), p.byte(), p.byte())
		}
		w.settle()
		if !w.cut {
			w.emptyAll()
			w.endAll()
			w.nothingIsHeld()
		}
		w.close()
	})
}

func newProgWorld(t *testing.T, setting uint8) *progWorld {
	w := &progWorld{t: t}
	srvOpts := []ServerOption{WithCodecs(JSON, Gob), WithMaxMessage(progMaxMessage), WithKeepalive(0)}
	opts := []ClientOption{WithMaxMessage(progMaxMessage), WithKeepalive(0)}
	if setting&1 != 0 {
		opts = append(opts, WithCodec(Gob))
	}
	if setting&2 != 0 {
		srvOpts, opts = append(srvOpts, WithCompression(500)), append(opts, WithCompression(500))
	}
	if setting&4 != 0 { // no window can grow
		least := int(largeCost(progMaxMessage)) + 40*streamWindow
		srvOpts, opts = append(srvOpts, WithConnStreamMemory(least)), append(opts, WithConnStreamMemory(least))
	}
	if setting&8 != 0 {
		srvOpts = append(srvOpts, WithReplyMemory(1<<20, 128<<10))
	}
	w.srv = newInventory().server(t, srvOpts...)
	require.NoError(t, progBidi.Handle(w.srv, w.handle))
	require.NoError(t, progServer.Handle(w.srv, func(ctx context.Context, _ *progItem, out *Sender[progItem]) error { return w.handle(ctx, nil, out) }))
	near, far := net.Pipe()
	w.conn = near
	w.actors.Go(func() { w.srv.ServeConn(far) })
	w.client = NewClient(near, opts...)
	w.log = []string{fmt.Sprintf("setting %d", setting)}
	return w
}

// handle is both handlers.
func (w *progWorld) handle(ctx context.Context, in *Receiver[progItem], out *Sender[progItem]) error {
	id, _ := strconv.Atoi(MetadataFrom(ctx)["id"])
	w.mu.Lock()
	s := w.all[id]
	s.ctx, s.in, s.out = ctx, in, out
	w.mu.Unlock()
	return <-s.returns
}

var progSizes = []int{0, 0, 10, 10, 300, 1000, 3000, 5000, 16_000, 20_000, 40_000, 60_000}

// op does one operation, if it makes sense now.
func (w *progWorld) op(what, which, how byte) {
	if what&0x80 != 0 {
		w.settle()
	}
	if len(w.all) == 0 {
		w.open(how)
		return
	}
	s := w.all[int(which&0x7f)%len(w.all)]
	half, other := &s.up, &s.down
	if which&0x80 != 0 {
		half, other = other, half
	}
	switch what & 0x7f % 20 {
	case 0, 1:
		if len(w.all) < 12 {
			w.open(how)
		}
	case 2, 3, 4, 5, 6, 7:
		w.send(s, half, progSizes[int(how)%len(progSizes)], 1+int(how)%8)
	case 8, 9, 10, 11, 12:
		w.receive(s, half, 1+int(how)%16)
	case 13:
		w.closeSend(s)
	case 14:
		w.returnFrom(s, how)
	case 15:
		w.leave(s, how)
	case 16:
		w.giveUp(s, &half.sender, how)
	case 17:
		w.giveUp(s, &half.receiver, how)
	case 18:
		w.call()
	case 19:
		switch how % 32 {
		case 0:
			w.note("the connection is cut")
			w.cut = true
			w.conn.Close()
		case 1, 2, 3, 4, 5, 6, 7, 8:
			w.note("time passes")
			timer := time.NewTimer(300 * time.Millisecond)
			<-timer.C
		}
	}
}

func (w *progWorld) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteLocked(format, args...)
}

func (w *progWorld) noteLocked(format string, args ...any) {
	w.log = append(w.log, fmt.Sprintf(format, args...))
}

func (w *progWorld) open(how byte) {
	s := &progStream{id: len(w.all), returns: make(chan error, 1)}
	var ctx context.Context
	if how%6 == 5 {
		s.until = time.Now().Add(500 * time.Millisecond)
		ctx, s.cancel = context.WithDeadline(w.t.Context(), s.until)
	} else {
		ctx, s.cancel = context.WithCancel(w.t.Context())
	}
	ctx = AddMetadata(ctx, Metadata{"id": strconv.Itoa(s.id)})
	for _, a := range []*progActor{&s.up.sender, &s.up.receiver, &s.down.sender, &s.down.receiver} {
		a.do = make(chan func())
		w.actors.Go(func() {
			for f := range a.do {
				f()
			}
		})
	}
	w.mu.Lock()
	w.all = append(w.all, s)
	w.mu.Unlock()
	kind, name, params := BidiStreaming, progBidi.Name(), any(nil)
	if how%3 == 2 {
		kind, name, params = ServerStreaming, progServer.Name(), &progItem{}
		s.up.finished, s.up.ended = true, true // there is no such half
	}
	w.note("%d: open a %s, deadline %t", s.id, kind, !s.until.IsZero())
	var err error
	s.opened, err = OpenStream(ctx, w.client, kind, name, params)
	require.NoError(w.t, err)
}

// begin has an actor do something, if it is idle.
func (w *progWorld) begin(a *progActor, f func(ctx context.Context)) {
	ctx, leave := context.WithCancel(w.t.Context())
	w.mu.Lock()
	a.busy, a.leave, a.gaveUp = true, leave, false
	w.mu.Unlock()
	a.do <- func() {
		defer leave()
		f(ctx)
		w.mu.Lock()
		a.busy = false
		w.mu.Unlock()
	}
}

// send has a sender send some items, one after the other, until one fails.
func (w *progWorld) send(s *progStream, h *progHalf, size, items int) {
	w.mu.Lock()
	ready := !h.sender.busy && !h.finished && (h == &s.up || s.ctx != nil)
	if ready {
		w.noteLocked("%d: send %d items %s, %d bytes each", s.id, items, s.way(h), size)
	}
	w.mu.Unlock()
	if !ready {
		return
	}
	w.begin(&h.sender, func(ctx context.Context) {
		for range items {
			if w.sendOne(ctx, s, h, size) != nil {
				return
			}
		}
	})
}

func (w *progWorld) sendOne(ctx context.Context, s *progStream, h *progHalf, size int) (err error) {
	w.mu.Lock()
	n := len(h.offered)
	h.offered = append(h.offered, size)
	h.sender.size = size
	w.mu.Unlock()
	item := &progItem{N: n, Data: strings.Repeat(string(rune('a'+n%26)), size)}
	if h == &s.up {
		err = s.opened.Send(ctx, item)
	} else {
		err = s.out.Send(ctx, item)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.noteLocked("%d: item %d %s: %v", s.id, n, s.way(h), err)
		h.offered = h.offered[:n]
		if h.got > n {
			w.failLocked("stream %d: item %d was received, and its Send failed: %v", s.id, n, err)
		}
		w.judgeLocked(s, h, &h.sender, err)
	}
	return err
}

func (s *progStream) way(h *progHalf) string {
	if h == &s.up {
		return "up"
	}
	return "down"
}

// receive has a receiver receive some items, one after the other, until there are no more.
func (w *progWorld) receive(s *progStream, h *progHalf, items int) {
	w.mu.Lock()
	ready := !h.receiver.busy && !h.ended && (h == &s.down || s.in != nil && !s.returned)
	if ready {
		w.noteLocked("%d: receive %d items %s", s.id, items, s.way(h))
	}
	w.mu.Unlock()
	if !ready {
		return
	}
	w.begin(&h.receiver, func(ctx context.Context) {
		for range items {
			if w.receiveOne(ctx, s, h) != nil {
				return
			}
		}
	})
}

func (w *progWorld) receiveOne(ctx context.Context, s *progStream, h *progHalf) (err error) {
	item := new(progItem)
	if h == &s.down {
		err = s.opened.Receive(ctx, item)
	} else {
		item, err = s.in.Receive(ctx)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.noteLocked("%d: received %d items %s: %v", s.id, h.got, s.way(h), err)
	}
	switch {
	case err == io.EOF:
		h.ended = true
		if !h.finishes {
			w.failLocked("stream %d, %s: a good end that nobody has said", s.id, s.way(h))
		}
	case err != nil:
		w.judgeLocked(s, h, &h.receiver, err)
	case h.got == len(h.offered) || item.N != h.got || len(item.Data) != h.offered[h.got] || strings.Trim(item.Data, string(rune('a'+item.N%26))) != "":
		w.failLocked("stream %d, %s: got item %d of %d bytes as item %d; sizes %v", s.id, s.way(h), item.N, len(item.Data), h.got, h.offered)
	default:
		h.got++
	}
	return err
}

// judgeLocked fails if nothing explains an error.
func (w *progWorld) judgeLocked(s *progStream, h *progHalf, a *progActor, err error) {
	code := CodeOf(err)
	late := !s.until.IsZero() && !time.Now().Before(s.until)
	switch {
	case a.gaveUp && code == Canceled:
		return
	case s.left || s.vague || late:
		if code == Canceled || code == DeadlineExceeded {
			return
		}
	}
	switch {
	case w.cut && (code == Unavailable || code == Canceled):
	case s.returned && (a == &s.up.receiver || a == &s.down.sender) && errors.Is(err, errHandlerReturned):
	case s.returned && a == &s.up.sender && s.result == nil && errors.Is(err, ErrStreamEnded):
	case s.returned && s.result != nil && code == NotFound && (a == &s.up.sender || a == &s.down.receiver):
	case a == &s.up.sender && h.finished && code == FailedPrecondition:
	default:
		w.failLocked("stream %d, %s: nothing explains the error %v", s.id, s.way(h), err)
	}
}

func (w *progWorld) closeSend(s *progStream) {
	w.mu.Lock()
	ready := !s.up.finished && !s.up.sender.busy
	if ready {
		s.up.finished, s.up.finishes = true, true
		w.noteLocked("%d: CloseSend", s.id)
	}
	w.mu.Unlock()
	if ready {
		s.opened.CloseSend()
	}
}

func (w *progWorld) returnFrom(s *progStream, how byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s.ctx == nil || s.returned {
		return
	}
	s.returned, s.down.finished = true, true
	if how%3 == 0 {
		s.result = Errorf(NotFound, "as it was told")
	} else {
		s.down.finishes = true
	}
	w.noteLocked("%d: the handler returns %v", s.id, s.result)
	s.returns <- s.result
}

// leave has the caller leave, by Close or its context.
func (w *progWorld) leave(s *progStream, how byte) {
	w.mu.Lock()
	w.noteLocked("%d: the caller leaves", s.id)
	s.left, s.up.finished = true, true
	w.mu.Unlock()
	if how%2 == 0 {
		s.opened.Close()
	} else {
		s.cancel()
	}
}

// giveUp ends the context of a Send or a Receive that waits. The stream goes on, unless the
// item is larger than what is announced.
func (w *progWorld) giveUp(s *progStream, a *progActor, _ byte) {
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	if !a.busy {
		return
	}
	w.noteLocked("%d: gives up", s.id)
	a.gaveUp = true
	if a.size > streamWindow/2 {
		s.vague = true
	}
	a.leave()
}

func (w *progWorld) call() {
	ctx, cancel := context.WithTimeout(w.t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := checkStock.Call(ctx, w.client, &stockRequest{Item: "item1"}); err != nil {
		w.mu.Lock()
		w.failLocked("a call beside streams: %v", err)
	}
}

// settle waits until nothing moves, and compares with the model.
func (w *progWorld) settle() {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	untaken := slices.ContainsFunc(w.all, func(s *progStream) bool {
		return s.vague || s.up.got < len(s.up.offered) || s.down.got < len(s.down.offered)
	})
	for _, s := range w.all {
		if !s.until.IsZero() && !time.Now().Before(s.until) {
			s.left, s.up.finished = true, true
		}
		switch {
		case s.left || w.cut:
			w.overLocked(s)
		case !s.vague:
			w.movesLocked(s, &s.up, untaken)
			w.movesLocked(s, &s.down, untaken)
		}
	}
}

// overLocked checks a stream whose caller has left, or whose connection is lost.
func (w *progWorld) overLocked(s *progStream) {
	if s.up.sender.busy || s.up.receiver.busy || s.down.sender.busy || s.down.receiver.busy {
		w.failLocked("stream %d is over, and somebody waits: %t %t %t %t", s.id, s.up.sender.busy, s.up.receiver.busy, s.down.sender.busy, s.down.receiver.busy)
	}
	if s.ctx != nil && s.ctx.Err() == nil {
		w.failLocked("stream %d is over, and its handler's context is not", s.id)
	}
}

// movesLocked checks one direction of a stream that goes on, or has ended well.
func (w *progWorld) movesLocked(s *progStream, h *progHalf, untaken bool) {
	taken := len(h.offered)
	if h.sender.busy {
		taken--
	}
	switch {
	case h == &s.up && s.returned:
		if h.sender.busy || h.receiver.busy {
			w.failLocked("stream %d: the handler has returned, and somebody waits", s.id)
		}
	case h.ended && h.finishes && h.got != taken:
		w.failLocked("stream %d, %s: a good end after %d of %d items", s.id, s.way(h), h.got, taken)
	case h.receiver.busy && h.got < taken:
		w.failLocked("stream %d, %s: %d items were sent, and Receive waits for item %d", s.id, s.way(h), taken, h.got)
	case h.receiver.busy && h.finishes:
		w.failLocked("stream %d, %s: Receive waits for the end", s.id, s.way(h))
	case h.sender.busy && h.receiver.busy && (h.sender.size < streamWindow/2 || !untaken):
		w.failLocked("stream %d, %s: Send of %d bytes and Receive wait for each other", s.id, s.way(h), h.sender.size)
	}
}

// emptyAll has everybody receive until nobody sends any more. A handler that has given up a
// large item returns first: until then the client keeps the place for it.
func (w *progWorld) emptyAll() {
	w.note("all receive")
	for _, s := range w.all {
		if s.vague {
			w.returnFrom(s, 1)
		}
	}
	for moved := true; moved; {
		before := w.received()
		for _, s := range w.all {
			w.receive(s, &s.up, 1000)
			w.receive(s, &s.down, 1000)
		}
		w.settle()
		moved = w.received() != before
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		if !s.left && !s.vague && (s.up.sender.busy || s.down.sender.busy) {
			w.failLocked("stream %d: all was received, and Send waits", s.id)
		}
	}
}

// received counts all items and ends.
func (w *progWorld) received() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		n += s.up.got + s.down.got
		if s.up.ended {
			n++
		}
		if s.down.ended {
			n++
		}
	}
	return n
}

// endAll ends all streams well, and sees to it that all of their items have arrived.
func (w *progWorld) endAll() {
	for _, s := range w.all {
		w.closeSend(s)
	}
	w.settle()
	for _, s := range w.all {
		w.receive(s, &s.up, 1000)
	}
	w.settle()
	for _, s := range w.all {
		w.returnFrom(s, 1)
	}
	w.settle()
	for _, s := range w.all {
		w.receive(s, &s.down, 1000)
	}
	w.settle()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		if !s.left && !s.vague && s.down.got != len(s.down.offered) {
			w.failLocked("stream %d: %d of the handler's %d items were received", s.id, s.down.got, len(s.down.offered))
		}
	}
}

// nothingIsHeld checks that the connection is as it was before its first stream.
func (w *progWorld) nothingIsHeld() {
	for _, s := range w.all {
		s.opened.Close()
	}
	synctest.Wait()
	tables := []*streamTable{}
	if conn := w.client.conn.Load(); conn != nil && conn.streams != nil {
		tables = append(tables, conn.streams)
	}
	w.srv.mu.Lock()
	for c := range w.srv.conns {
		if c.streams != nil {
			tables = append(tables, c.streams)
		}
	}
	w.srv.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range tables {
		m, l := &t.memory, &t.lane
		switch {
		case len(t.streams) > 0:
			w.failLocked("%d streams are left", len(t.streams))
		case m.pool != m.poolMost, m.holder != nil, m.line.first != nil, m.lent:
			w.failLocked("memory is left: %d of %d, %v, %v", m.pool, m.poolMost, m.holder, m.line.first)
		case l.size != 0, l.granted != 0, l.encoding != 0, l.senders.first != nil, l.encoders.first != nil:
			w.failLocked("the lane is not empty: %+v", *l)
		}
	}
}

// close ends all that is left.
func (w *progWorld) close() {
	w.client.Close()
	for _, s := range w.all {
		w.returnFrom(s, 1)
	}
	w.srv.Close()
	for _, s := range w.all {
		s.cancel()
		for _, a := range []*progActor{&s.up.sender, &s.up.receiver, &s.down.sender, &s.down.receiver} {
			close(a.do)
		}
	}
	w.actors.Wait()
}
