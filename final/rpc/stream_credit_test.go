package rpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// The rules of credit without connections: two tables that are joined by a row of frames. A
// program of random steps sends, delivers, and consumes. Nothing is ever lost, no bound is
// ever passed, and at the end nothing waits but what has to.

// streamSide is one side of a simulated connection.
type streamSide struct {
	mu     sync.Mutex
	out    outbox
	table  *streamTable
	client bool
	reader wire.Reader
	bytes  []byte // on their way to this side
}

const simMaxMessage = 1 << 20

func newStreamSide(client bool, streams int, pool int64) *streamSide {
	side := &streamSide{client: client, reader: wire.Reader{Limit: simMaxMessage}}
	bytes := int64(simMaxMessage+simMaxMessage/8) + int64(streams)*streamWindow + pool
	side.table = newStreamTable(&side.mu, &side.out, bytesCodec{}, simMaxMessage, simMaxMessage, streams, bytes)
	side.table.peerWindow = streamWindow
	side.out.lane = &side.table.lane
	side.out.flushing = true // the program takes the batches
	return side
}

// bytesCodec sends *[]byte as they are.
type bytesCodec struct{}

func (bytesCodec) Name() string { return "bytes" }
func (bytesCodec) Append(dst []byte, v any) ([]byte, error) {
	return append(dst, *v.(*[]byte)...), nil
}
func (bytesCodec) Decode(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// simStream is one direction of one stream.
type simStream struct {
	id       uint64
	from, to *stream
	sizes    []int // of what is still to be sent
	sent     int
	received int
	stalled  bool // nobody receives
	closes   bool // the sender ends its half after the last item
	closed   bool
	sawEnd   bool
}

// item returns the n-th item of a stream: its bytes say which it is.
func (d *simStream) item(n, size int) []byte {
	b := make([]byte, size)
	if size >= 16 {
		binary.BigEndian.PutUint64(b, d.id)
		binary.BigEndian.PutUint64(b[8:], uint64(n))
	}
	return b
}

type streamSim struct {
	t       require.TestingT
	rnd     *rand.Rand
	sides   [2]*streamSide
	streams []*simStream
	sizes   map[*simStream][]int // of all items, to check what arrives
}

func newStreamSim(t require.TestingT, seed1, seed2 uint64) *streamSim {
	sim := &streamSim{t: t, rnd: rand.New(rand.NewPCG(seed1, seed2)), sizes: map[*simStream][]int{}}
	n := 1 + sim.rnd.IntN(6)
	pool := []int64{0, 64 << 10, 4 << 20}[sim.rnd.IntN(3)]
	sim.sides = [2]*streamSide{newStreamSide(true, n, pool), newStreamSide(false, n, pool)}
	for id := range uint64(n) {
		halves := [2]*stream{new(stream), new(stream)}
		for i, s := range halves {
			sim.sides[i].table.add(s, id+1)
		}
		sim.add(&simStream{id: id + 1, from: halves[0], to: halves[1]})
		sim.add(&simStream{id: id + 1, from: halves[1], to: halves[0]})
	}
	return sim
}

func (sim *streamSim) add(d *simStream) {
	d.stalled, d.closes = sim.rnd.IntN(4) == 0, sim.rnd.IntN(2) == 0
	for range sim.rnd.IntN(40) {
		size := sim.rnd.IntN(500)
		switch sim.rnd.IntN(6) {
		case 0:
			size = min(sim.rnd.IntN(2<<(10+sim.rnd.IntN(11))), simMaxMessage-wire.MinLength) // a few are large
		case 1:
			size = sim.rnd.IntN(70_000)
		case 2:
			size = streamWindow - int(wire.DataCost(0)) + sim.rnd.IntN(3) - 1
		case 3:
			size = 0
		}
		d.sizes = append(d.sizes, size)
	}
	sim.sizes[d] = d.sizes
	sim.streams = append(sim.streams, d)
}

// sideOf returns the side that has s.
func (sim *streamSim) sideOf(s *stream) *streamSide {
	if s.table == sim.sides[0].table {
		return sim.sides[0]
	}
	return sim.sides[1]
}

// send offers the next item of d, or ends its half. It returns false if that is not possible now.
func (sim *streamSim) send(d *simStream) bool {
	side := sim.sideOf(d.from)
	if d.closed || d.from.out.wait.waiting {
		return false
	}
	select {
	case <-d.from.out.wait.wake:
	default:
	}
	if len(d.sizes) == 0 {
		if !d.closes {
			return false
		}
		d.closed = true
		side.mu.Lock()
		d.from.out.last = &lastFrame{server: !side.client, limit: simMaxMessage}
		side.table.lane.ready.push(d.from)
		side.mu.Unlock()
		return true
	}
	item := d.item(d.sent, d.sizes[0])
	body, err := side.table.encode(&item)
	require.NoError(sim.t, err)
	said, err := d.from.offer(&body)
	require.NoError(sim.t, err)
	if said.state == itemWaits {
		return true
	}
	d.from.passRoom() // what sendLater does at its end
	d.sizes = d.sizes[1:]
	d.sent++
	return true
}

// write moves a batch of that side to the other one.
func (sim *streamSim) write(from int) bool {
	side := sim.sides[from]
	var w batch
	side.mu.Lock()
	defer side.mu.Unlock()
	if !side.out.take(&w) {
		side.out.flushing = true
		return false
	}
	size := 0
	for _, piece := range w.pieces(nil) {
		sim.sides[1-from].bytes = append(sim.sides[1-from].bytes, piece...)
		size += len(piece)
	}
	w.recycle()
	side.out.wrote(size, nil)
	side.out.flushing = true
	require.LessOrEqual(sim.t, size, laneBatch+fragmentSize+largeBody+laneMark, "a batch that others wait for")
	return true
}

// read delivers one frame.
func (sim *streamSim) read(to int) bool {
	side := sim.sides[to]
	for {
		f, err := side.reader.Next()
		require.NoError(sim.t, err)
		if f != nil {
			require.NoError(sim.t, f.Check(wire.FlagMore))
			sim.handle(side, f)
			return true
		}
		if len(side.bytes) == 0 {
			return false
		}
		n := copy(side.reader.Room(), side.bytes)
		side.bytes = side.bytes[n:]
		side.reader.Took(n)
	}
}

func (sim *streamSim) handle(side *streamSide, f *wire.Frame) {
	side.mu.Lock()
	defer side.mu.Unlock()
	s := side.table.streams[f.ID]
	if s == nil {
		require.Equal(sim.t, wire.KindCredit, f.Kind, "for a stream that is over")
		return
	}
	var failed *Error
	var err error
	switch f.Kind {
	case wire.KindData:
		failed, err = side.table.handleData(s, f)
	case wire.KindCredit:
		err = side.table.handleCredit(s, f)
	case wire.KindWant:
		failed, err = side.table.handleWant(s, f)
	case wire.KindEnd:
		s.peerEnded(io.EOF)
		side.table.settleEnds(s)
	default:
		require.Fail(sim.t, "a frame of kind "+f.Kind.String())
	}
	require.NoError(sim.t, err)
	require.Nil(sim.t, failed)
}

var errNothing = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// consume receives some of what has arrived.
func (sim *streamSim) consume(d *simStream) bool {
	if d.stalled || d.sawEnd {
		return false
	}
	for n := range 1 + sim.rnd.IntN(5) {
		var item []byte
		err := d.to.receive(errNothing, &item) // without waiting
		switch {
		case err == io.EOF:
			require.Equal(sim.t, len(sim.sizes[d]), d.received, "stream %d ended early", d.id)
			d.sawEnd = true
			return true
		case err != nil:
			require.Equal(sim.t, Canceled, CodeOf(err))
			return n > 0
		}
		if !bytes.Equal(d.item(d.received, sim.sizes[d][d.received]), item) {
			require.Fail(sim.t, fmt.Sprintf("stream %d: not item %d, which was sent", d.id, d.received))
		}
		d.received++
	}
	return true
}

// step does one thing at random; if that was not possible, all things in turn. Twice, for a
// receiver that finds nothing may still give credit back.
func (sim *streamSim) step() (progress bool) {
	for try := 0; try < 4*len(sim.streams) && !progress; try++ {
		d := sim.streams[sim.rnd.IntN(len(sim.streams))]
		switch sim.rnd.IntN(4) {
		case 0:
			progress = sim.send(d)
		case 1:
			progress = sim.write(sim.rnd.IntN(2))
		case 2:
			progress = sim.read(sim.rnd.IntN(2))
		case 3:
			progress = sim.consume(d)
		}
	}
	return progress || sim.round() || sim.round()
}

func (sim *streamSim) round() (progress bool) {
	for _, d := range sim.streams {
		progress = sim.send(d) || progress
	}
	for i := range sim.sides {
		progress = sim.write(i) || progress
		progress = sim.read(i) || progress
	}
	for _, d := range sim.streams {
		progress = sim.consume(d) || progress
	}
	return progress
}

// check holds both sides to their bounds.
func (sim *streamSim) check() {
	for _, side := range sim.sides {
		held, most := int64(0), int64(0)
		for _, d := range sim.streams {
			in := &d.to.in
			if d.to.table != side.table {
				continue
			}
			if in.window+in.extra != in.credit+in.queued+in.taken || min(in.credit, in.queued, in.taken, in.extra) < 0 || in.window < streamWindow {
				require.Fail(sim.t, fmt.Sprintf("stream %d: %+v", d.id, in))
			}
			held += in.credit + in.queued
			most += streamWindow
		}
		table := side.table
		if table.memory.pool < 0 || held > most+table.memory.poolMost+table.mostCost() {
			require.Fail(sim.t, fmt.Sprintf("%d bytes are promised or held: %+v", held, table.memory))
		}
		if table.lane.size < 0 || table.lane.size > laneMark+simMaxMessage {
			require.Fail(sim.t, fmt.Sprintf("%d bytes wait", table.lane.size))
		}
	}
}

// checkEnd says what may wait when nothing goes on: what nobody receives, and large items
// behind one that nobody receives.
func (sim *streamSim) checkEnd() {
	for _, d := range sim.streams {
		if len(d.sizes) == 0 || d.stalled {
			continue
		}
		to := sim.sideOf(d.to).table
		cost := itemCost(d.sizes[0])
		holder := sim.to(to.memory.holder)
		if holder != nil && holder.stalled && cost > d.to.in.window {
			continue
		}
		require.Fail(sim.t, fmt.Sprintf("stream %d is stuck: the next item costs %d, its sender has credit for %d: %+v", d.id, cost, d.from.out.credit, &d.to.in))
	}
	for _, side := range sim.sides {
		require.Zero(sim.t, side.table.lane.size)
		require.Zero(sim.t, side.table.lane.granted)
		require.Zero(sim.t, side.table.lane.encoding)
	}
}

func (sim *streamSim) to(s *stream) *simStream {
	for _, d := range sim.streams {
		if s != nil && d.to == s {
			return d
		}
	}
	return nil
}

func (sim *streamSim) run() {
	for range 1_000_000 {
		if !sim.step() {
			sim.checkEnd()
			return
		}
		sim.check()
	}
	require.Fail(sim.t, "no end")
}

func TestStreamCredit_NothingIsStuckAndNoBoundIsPassed(t *testing.T) {
	for seed := range uint64(10) { // FuzzStreamCredit tries others
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) { newStreamSim(t, seed, 7).run() })
		if !ok {
			return
		}
	}
}

func FuzzStreamCredit(f *testing.F) {
	f.Add(uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, seed1, seed2 uint64) { newStreamSim(t, seed1, seed2).run() })
}

// pair returns both ends of one stream.
func simPair(t *testing.T) (sim *streamSim, client, server *stream) {
	sim = &streamSim{t: t, sides: [2]*streamSide{newStreamSide(true, 4, 4<<20), newStreamSide(false, 4, 4<<20)}}
	client, server = new(stream), new(stream)
	sim.sides[0].table.add(client, 1)
	sim.sides[1].table.add(server, 1)
	return sim, client, server
}

// What is wrong with a frame of a stream, and whether the connection can go on.
func TestStreamFrames_BadInput(t *testing.T) {
	data := func(flags uint8, n int) *wire.Frame {
		return &wire.Frame{Kind: wire.KindData, Flags: flags, ID: 1, Payload: make([]byte, n)}
	}
	number := func(k wire.Kind, n uint32) *wire.Frame {
		return &wire.Frame{Kind: k, ID: 1, Payload: binary.BigEndian.AppendUint32(nil, n)}
	}
	end := &wire.Frame{Kind: wire.KindEnd, ID: 1}
	for name, c := range map[string]struct {
		frames []*wire.Frame
		code   Code
		text   string
		ends   bool // the connection
	}{
		"more data than credit":        {[]*wire.Frame{data(0, 16307)}, ResourceExhausted, "protocol: data of 16385 bytes on stream 1, which has credit for 16384", true},
		"more empty items than credit": {repeated(data(0, 0), 211), ResourceExhausted, "protocol: data of 78 bytes on stream 1, which has credit for 4", true},
		"credit of 0":                  {[]*wire.Frame{number(wire.KindCredit, 0)}, InvalidArgument, "protocol: credit of 0 bytes for stream 1", true},
		"credit that overflows":        {[]*wire.Frame{number(wire.KindCredit, 1<<31-1)}, InvalidArgument, "protocol: credit of 2147483647 bytes for stream 1, which has 16384: the sum is above 2147483647", true},
		"data after the end":           {[]*wire.Frame{end, data(0, 3)}, InvalidArgument, "protocol: data for stream 1 after its end", false},
		"end twice":                    {[]*wire.Frame{end, end}, InvalidArgument, "protocol: a second end of stream 1", false},
		"want after the end":           {[]*wire.Frame{end, number(wire.KindWant, 20_000)}, InvalidArgument, "protocol: want for stream 1 after its end", false},
		"a short fragment":             {[]*wire.Frame{data(wire.FlagMore, 1023)}, InvalidArgument, "protocol: a fragment of 1023 bytes on stream 1, less than 1024", false},
		"an end within an item":        {[]*wire.Frame{data(wire.FlagMore, 1024), end}, InvalidArgument, "protocol: the end of stream 1 within an item", false},
		"compressed in the middle":     {[]*wire.Frame{data(wire.FlagMore, 1024), data(wire.FlagCompressed, 1)}, InvalidArgument, "protocol: a compressed fragment within an item of stream 1", false},
		"a want that nothing costs":    {[]*wire.Frame{number(wire.KindWant, 1<<20+1<<17+1)}, ResourceExhausted, "protocol: want of 1179649 bytes on stream 1: no item costs more than 1179648", false},
	} {
		t.Run(name, func(t *testing.T) {
			sim, _, s := simPair(t)
			table := sim.sides[1].table
			for i, f := range c.frames {
				var failed *Error
				var err error
				switch f.Kind {
				case wire.KindData:
					failed, err = table.handleData(s, f)
				case wire.KindCredit:
					err = table.handleCredit(s, f)
				case wire.KindWant:
					failed, err = table.handleWant(s, f)
				case wire.KindEnd:
					failed, err = table.handleClientEnd(s)
				}
				if i < len(c.frames)-1 {
					require.NoError(t, err)
					require.Nil(t, failed)
					continue
				}
				if failed != nil {
					require.NoError(t, err)
					err = failed
				}
				assert.Equal(t, c.ends, failed == nil)
				assert.EqualError(t, err, "rpc: "+c.code.String()+": "+c.text)
			}
		})
	}
}

func repeated(f *wire.Frame, n int) []*wire.Frame {
	all := make([]*wire.Frame, n)
	for i := range all {
		all[i] = f
	}
	return all
}

// An item above the limit is found by the sum of its fragments, before it takes more memory.
func TestStreamFrames_AnItemAboveTheLimit(t *testing.T) {
	sim, _, s := simPair(t)
	table := sim.sides[1].table
	s.want(table.mostCost())
	part := &wire.Frame{Kind: wire.KindData, Flags: wire.FlagMore, ID: 1, Payload: make([]byte, fragmentSize)}
	for range (simMaxMessage - wire.MinLength) / fragmentSize {
		failed, err := table.handleData(s, part)
		require.NoError(t, err)
		require.Nil(t, failed)
	}
	failed, err := table.handleData(s, part)
	require.NoError(t, err)
	assert.Equal(t, ResourceExhausted, failed.Code)
}

// What is dropped counts, too: a peer that goes on after its stream has failed must not get
// more than its credit through.
func TestStreamCredit_HoldsForAStreamThatHasFailed(t *testing.T) {
	sim, _, s := simPair(t)
	table := sim.sides[1].table
	s.fail(Errorf(Canceled, "gone"))
	item := &wire.Frame{Kind: wire.KindData, ID: 1, Payload: make([]byte, 8000)}
	for range 2 {
		failed, err := table.handleData(s, item)
		require.NoError(t, err)
		require.Nil(t, failed)
	}
	_, err := table.handleData(s, item)
	assert.Equal(t, ResourceExhausted, CodeOf(err))
	assert.Zero(t, s.in.give, "no credit for what is dropped")
	assert.True(t, s.in.queue.empty())
}

// The place for a large item passes on when its holder ends.
func TestStreamCredit_HolderThatEndsPassesThePlaceOn(t *testing.T) {
	sim, _, first := simPair(t)
	table := sim.sides[1].table
	table.memory.pool = 0 // nothing to grow from
	second := new(stream)
	table.add(second, 2)
	first.want(100_000)
	second.want(200_000)
	assert.Same(t, first, table.memory.holder)
	assert.EqualValues(t, streamWindow, second.in.credit)
	first.fail(Errorf(Canceled, "gone"))
	assert.Same(t, first, table.memory.holder, "the peer may use the credit that it has")
	first.peerEnded(io.EOF)
	assert.Same(t, second, table.memory.holder)
	assert.EqualValues(t, 200_000, second.in.credit)
}

// Credit is given back in batches, and only when the consumer has taken the items.
func TestStreamCredit_FollowsTheConsumerInBatches(t *testing.T) {
	sim, _, s := simPair(t)
	table := sim.sides[1].table
	item := &wire.Frame{Kind: wire.KindData, ID: 1, Payload: make([]byte, 1000)}
	for range 15 {
		_, err := table.handleData(s, item)
		require.NoError(t, err)
	}
	assert.Zero(t, s.in.give, "nothing was taken")
	var gave []int64
	for range 15 {
		var item []byte
		require.NoError(t, s.receive(errNothing, &item))
		if s.in.give > 0 {
			gave = append(gave, int64(s.in.give))
			s.in.give = 0
		}
	}
	assert.Equal(t, []int64{4 * 1078, 4 * 1078, 4 * 1078}, gave)
}

// A peer that sends much runs out of credit with its items on their way. The window grows if
// the consumer then takes all of them, and not before.
func TestStreamCredit_WindowGrowsOnceTheConsumerHasCaughtUp(t *testing.T) {
	sim, _, s := simPair(t)
	table := sim.sides[1].table
	for range 15 {
		_, err := table.handleData(s, &wire.Frame{Kind: wire.KindData, ID: 1, Payload: make([]byte, 1000)})
		require.NoError(t, err)
	}
	_, err := table.handleWant(s, &wire.Frame{Kind: wire.KindWant, ID: 1, Payload: binary.BigEndian.AppendUint32(nil, 1078)})
	require.NoError(t, err)
	var item []byte
	for range 15 {
		require.NoError(t, s.receive(errNothing, &item))
		assert.EqualValues(t, streamWindow, s.in.window)
	}
	assert.Error(t, s.receive(errNothing, &item), "there is none")
	assert.EqualValues(t, 2*streamWindow, s.in.window)
	assert.EqualValues(t, 2*streamWindow, s.in.credit+s.in.taken)
}

// All connections of a server share memory. One that has none for a large item waits until
// another connection gives its place back; calls of the reader never do.
func TestStreamCredit_LargeItemsOfAllConnectionsShareMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newMemory(6 * (simMaxMessage + simMaxMessage/8))
		var streams [7]*stream
		for i := range streams {
			side := newStreamSide(false, 1, 0)
			side.table.memory.leaseFrom(all, simMaxMessage*2, side.table.mostCost(), nil)
			streams[i] = new(stream)
			side.table.add(streams[i], 1)
			side.mu.Lock()
			streams[i].want(side.table.mostCost())
			side.mu.Unlock()
		}
		synctest.Wait()
		lent := func() (n int) {
			for _, s := range streams {
				s.table.mu.Lock()
				if s.table.memory.holder == s {
					n++
				}
				s.table.mu.Unlock()
			}
			return n
		}
		before := lent()
		assert.Positive(t, before)
		assert.Less(t, before, len(streams))
		for range streams { // those that have a place end, and others get it
			for _, s := range streams {
				s.table.mu.Lock()
				if s.table.memory.holder == s {
					s.peerEnded(io.EOF)
				}
				s.table.mu.Unlock()
			}
			synctest.Wait()
		}
		for i, s := range streams {
			assert.True(t, s.in.closed, "stream %d never had the place", i)
			assert.False(t, s.table.memory.lent)
			s.table.memory.close()
		}
		assert.Zero(t, all.leased)
	})
}

// A window that has grown stays while there is memory. Once others have taken most of it, the
// window becomes smaller again as its items are taken.
func TestStreamCredit_WindowsShrinkOnceMemoryIsScarce(t *testing.T) {
	side := newStreamSide(false, 2, 512<<10)
	side.mu.Lock()
	defer side.mu.Unlock()
	fast, other := new(stream), new(stream)
	side.table.add(fast, 1)
	side.table.add(other, 2)
	const cost = 100 << 10
	fast.want(cost)
	grown := fast.in.window
	require.Greater(t, grown, int64(cost))
	receive := func() {
		require.True(t, fast.arrived(cost))
		fast.took(cost)
	}
	receive()
	assert.Equal(t, grown, fast.in.window)

	other.want(streamWindow + 1)
	require.True(t, side.table.memory.scarce())
	receive()
	assert.Less(t, fast.in.window, grown)
	assert.GreaterOrEqual(t, fast.in.window, int64(streamWindow))
}

func TestStreamCredit_FirstWindowsShareMemory(t *testing.T) {
	all := newMemory(4 * 100_000)
	side := newStreamSide(false, 10, 0)
	side.table.memory.leaseFrom(all, 100_000, 10_000, nil)
	var streams []*stream
	for id := uint64(1); ; id++ {
		s := new(stream)
		side.table.add(s, id)
		if !side.table.promiseWindow(s) {
			break
		}
		streams = append(streams, s)
	}
	assert.Len(t, streams, 100_000/streamWindow)
	for _, s := range streams {
		side.table.remove(s)
	}
	assert.Zero(t, side.table.memory.share.held)
}

// Streams that a go-away takes out of the table do not stay in the line for the loan.
func TestStreamTable_WhatIsTakenOutLeavesTheLine(t *testing.T) {
	table := newStreamTable(new(sync.Mutex), new(outbox), JSON, 1<<20, 1<<20, 10, 8<<20)
	for id := range uint64(4) {
		s := new(clientStream)
		s.client = s
		table.add(&s.stream, id+1)
		table.memory.line.push(&s.stream)
	}
	assert.Len(t, table.takeAfter(2), 2)
	var left []uint64
	for s := table.memory.line.pop(); s != nil; s = table.memory.line.pop() {
		left = append(left, s.id)
	}
	assert.Equal(t, []uint64{1, 2}, left)
}
