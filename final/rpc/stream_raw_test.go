package rpc

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// What a server makes of a client that speaks by hand.

// rawStreams connects by hand and offers streams with that window.
func rawStreams(t testing.TB, srv *Server, window string) *rawConn {
	return rawClientSaying(t, srv, wire.ClientHello{
		Codec: "json", MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, map[string]string{streamsKey: window}),
	})
}

func openOf(id uint64, shape wire.Shape, method, params string) []byte {
	head := wire.OpenHead{Shape: shape, RequestHead: wire.RequestHead{Method: method}}
	return append(head.Append(nil, 0, id, len(params)), params...)
}

func number(k wire.Kind, id uint64, n uint32) []byte { return wire.AppendBytes(nil, k, id, n) }

// readEnd reads until the end of stream id, and returns it.
func (r *rawConn) readEnd(id uint64) *Error {
	r.t.Helper()
	for {
		f := r.read()
		if f.Kind != wire.KindEnd || f.ID != id {
			require.Contains(r.t, []wire.Kind{wire.KindData, wire.KindCredit, wire.KindWant}, f.Kind)
			continue
		}
		e, _, err := parseEnd(&f)
		require.NoError(r.t, err)
		return e
	}
}

func bidi(id uint64) []byte { return openOf(id, wire.BidiStream, syncing.Name(), "") }

// What breaks the rules of streams ends the connection, if it cannot go on.
func TestServer_BadStreamFrameIsAnsweredWithAGoAway(t *testing.T) {
	data := func(id uint64, payload string) []byte { return frameOf(wire.KindData, 0, id, payload) }
	end := func(id uint64) []byte { return frameOf(wire.KindEnd, 0, id, "") }
	for name, c := range map[string]struct {
		frames [][]byte
		code   Code
		text   string
	}{
		"reserved kind":               {[][]byte{frameOf(14, 0, 1, "")}, Unimplemented, "unknown frame kind 14"},
		"header from a client":        {[][]byte{frameOf(wire.KindHeader, 0, 1, "")}, InvalidArgument, "the client sent a frame of kind 13"},
		"open cut short":              {[][]byte{frameOf(wire.KindOpen, 0, 1, "\x00\x00")}, InvalidArgument, "truncated open 1"},
		"shape 4":                     {[][]byte{openOf(1, 4, "A.B", "")}, InvalidArgument, "open 1 has shape 4"},
		"params of a bidi stream":     {[][]byte{openOf(1, wire.BidiStream, "A.B", "{}")}, InvalidArgument, "open 1 has 2 bytes of params"},
		"fields on an end":            {[][]byte{bidi(1), frameOf(wire.KindEnd, 0, 1, "\x00\x00\x00")}, InvalidArgument, "an end of stream 1 with fields"},
		"flags on an end":             {[][]byte{bidi(1), frameOf(wire.KindEnd, wire.FlagNeverRan, 1, "")}, InvalidArgument, "an end of stream 1 with fields or flags"},
		"more on a credit":            {[][]byte{bidi(1), frameOf(wire.KindCredit, wire.FlagMore, 1, "\x00\x00\x00\x01")}, InvalidArgument, "reserved flags 0x40"},
		"compression that is no ones": {[][]byte{bidi(1), frameOf(wire.KindData, wire.FlagCompressed, 1, "")}, InvalidArgument, "reserved flags 0x10"},
		"ID 0":                        {[][]byte{bidi(0)}, InvalidArgument, "call ID 0 after 0"},
		"a lower ID":                  {[][]byte{bidi(5), bidi(4)}, InvalidArgument, "call ID 4 after 5"},
		"one too many":                {[][]byte{bidi(1), bidi(2), bidi(3)}, ResourceExhausted, "more than 2 streams are open on this connection"},
		"data before an open":         {[][]byte{bidi(1), data(9, "{}")}, InvalidArgument, "data for stream 9, which was not opened"},
		"credit before an open":       {[][]byte{number(wire.KindCredit, 9, 1)}, InvalidArgument, "credit for stream 9, which was not opened"},
		"data for a call":             {[][]byte{bidi(2), data(1, "{}")}, InvalidArgument, "data for stream 1, which is over"},
		"more than credit":            {[][]byte{bidi(1), data(1, strings.Repeat("x", 17_000))}, ResourceExhausted, "data of 17078 bytes on stream 1, which has credit for 16384"},
		"credit of 0":                 {[][]byte{bidi(1), number(wire.KindCredit, 1, 0)}, InvalidArgument, "credit of 0 bytes"},
		"credit that overflows":       {[][]byte{bidi(1), number(wire.KindCredit, 1, 1<<31-1)}, InvalidArgument, "the sum is above 2147483647"},
		"want for what is over":       {[][]byte{bidi(2), number(wire.KindWant, 1, 100)}, InvalidArgument, "want for stream 1, which is over"},
		"end before an open":          {[][]byte{end(3)}, InvalidArgument, "end for stream 3, which was not opened"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newInventory().server(t, WithMaxStreams(2))
				require.NoError(t, syncing.Handle(srv, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
					<-ctx.Done()
					return ctx.Err()
				}))
				raw := rawStreams(t, srv, "16384")
				go func() {
					for _, f := range c.frames {
						raw.conn.Write(f)
					}
				}()
				_, e := raw.readGoAway()
				assert.Equal(t, c.code, e.Code)
				assert.Contains(t, e.Message, c.text)
				raw.conn.Close()
				srv.Close()
			})
		})
	}
}

// What is wrong with one stream alone fails that; the connection goes on.
func TestServer_BadStreamFrameFailsTheStream(t *testing.T) {
	data := func(flags uint8, payload string) []byte { return frameOf(wire.KindData, flags, 1, payload) }
	end := frameOf(wire.KindEnd, 0, 1, "")
	part := strings.Repeat("x", 1024)
	server := openOf(1, wire.ServerStream, watch.Name(), `{"Count":1000}`)
	waits := openOf(1, wire.BidiStream, "Test.Waits", "")
	for name, c := range map[string]struct {
		frames [][]byte
		code   Code
		text   string
	}{
		"data after the end":         {[][]byte{waits, end, data(0, "{}")}, InvalidArgument, "data for stream 1 after its end"},
		"a want after the end":       {[][]byte{waits, end, number(wire.KindWant, 1, 20_000)}, InvalidArgument, "want for stream 1 after its end"},
		"end twice":                  {[][]byte{waits, end, end}, InvalidArgument, "a second end of stream 1"},
		"data of a server stream":    {[][]byte{server, data(0, "{}")}, InvalidArgument, "data for stream 1 after its end"},
		"a short fragment":           {[][]byte{waits, data(wire.FlagMore, "x")}, InvalidArgument, "a fragment of 1 bytes"},
		"an end within an item":      {[][]byte{waits, data(wire.FlagMore, part), end}, InvalidArgument, "the end of stream 1 within an item"},
		"a want that nothing costs":  {[][]byte{waits, number(wire.KindWant, 1, 5<<20)}, ResourceExhausted, "no item costs more than"},
		"an item that does not fit":  {[][]byte{bidi(1), data(0, "nonsense")}, InvalidArgument, "decode an item of Inventory.Sync"},
		"another type":               {[][]byte{bidi(1), data(0, `{"N":"x"}`)}, InvalidArgument, "decode an item of Inventory.Sync"},
		"request that does not fit":  {[][]byte{openOf(1, wire.ServerStream, watch.Name(), `{"Count":"x"}`)}, InvalidArgument, "decode params of Inventory.Watch"},
		"a want within the credit":   {[][]byte{bidi(1), number(wire.KindWant, 1, 100), end}, OK, ""},
		"a cancel for what is over":  {[][]byte{bidi(1), frameOf(wire.KindCancel, 0, 7, ""), end}, OK, ""},
		"the other shape, never ran": {[][]byte{openOf(1, wire.ClientStream, syncing.Name(), "")}, Unimplemented, "Inventory.Sync is a bidi stream, not a client stream"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := streamServer(t)
				waiting := BidiStream[change, change]("Test.Waits")
				require.NoError(t, waiting.Handle(srv, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
					<-ctx.Done()
					return nil
				}))
				raw := rawStreams(t, srv, "16384")
				go func() {
					for _, f := range c.frames {
						raw.conn.Write(f)
					}
				}()
				e := raw.readEnd(1)
				if c.code == OK {
					assert.Nil(t, e)
				} else if assert.NotNil(t, e) {
					assert.Equal(t, c.code, e.Code)
					assert.Contains(t, e.Message, c.text)
					assert.Equal(t, strings.Contains(name, "never ran") || strings.Contains(name, "request"), e.neverRan)
				}
				go raw.request(20, checkStock.Name(), `{"Item":"item1"}`)
				assert.Equal(t, wire.KindResponse, raw.read().Kind, "the connection goes on")
				raw.conn.Close()
				srv.Close()
			})
		})
	}
}

// A deadline that passes while the end of a stream waits to be written changes nothing: the
// handler has returned in time. A timer's goroutine may come late, and find the end there.
func TestServerStream_TheDeadlineDoesNotUndoAnEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		left := make(chan *serverStream, 1)
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, _ *Receiver[change], out *Sender[change]) error {
			left <- ctx.Value(streamKey{}).(*serverStream)
			return errors.Join(out.Send(ctx, &change{N: 1}), out.Send(ctx, &change{N: 2}))
		}))
		raw := rawStreams(t, srv, "16384")
		head := wire.OpenHead{Shape: wire.BidiStream, RequestHead: wire.RequestHead{Method: syncing.Name(), Timeout: time.Second}}
		raw.conn.Write(head.Append(nil, 0, 1, 0))
		s := <-left
		synctest.Wait() // the first item is being written; the other one and the end wait
		<-time.After(2 * time.Second)
		s.timeUp()
		for range 2 {
			assert.Equal(t, wire.KindData, raw.read().Kind)
		}
		assert.Nil(t, raw.readEnd(1))
		raw.conn.Close()
		srv.Close()
	})
}

// A client that opens, cancels, and never reads gains neither handlers nor places.
func TestServer_ClientThatFloodsOpensIsCutOff(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := streamServer(t, WithWriteTimeout(time.Minute))
		raw := rawStreams(t, srv, "16384")
		for id := uint64(1); ; id++ {
			frames := append(bidi(id), frameOf(wire.KindCancel, 0, id, "")...)
			if _, err := raw.conn.Write(frames); err != nil {
				break
			}
			// A place is free when its end is in a batch, so that one batch of ends, and as many
			// streams as may be open, are the most.
			if id > defaultMaxStreams+laneBatch/(wire.HeaderSize+3)+defaultMaxStreams {
				require.Fail(t, "its opens were read though it took no end")
			}
		}
		raw.conn.Close()
		srv.Close()
	})
}

// Each open has exactly one end, whatever else comes.
func TestServer_EachOpenHasOneEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := streamServer(t)
		raw := rawStreams(t, srv, "16384")
		const n = 200
		go func() {
			rnd := rand.New(rand.NewPCG(1, 2))
			for id := uint64(1); id <= n; id++ {
				raw.conn.Write(bidi(id))
				switch rnd.IntN(4) {
				case 0:
					raw.conn.Write(frameOf(wire.KindData, 0, id, `{"N":1}`))
					raw.conn.Write(frameOf(wire.KindEnd, 0, id, ""))
				case 1:
					raw.conn.Write(frameOf(wire.KindCancel, 0, id, ""))
				case 2:
					raw.conn.Write(frameOf(wire.KindData, 0, id, `nonsense`))
					raw.conn.Write(frameOf(wire.KindEnd, 0, id, ""))
				default:
					raw.conn.Write(frameOf(wire.KindEnd, 0, id, ""))
				}
			}
			raw.conn.Write(frameOf(wire.KindPing, 0, 1, ""))
		}()
		ends := map[uint64]int{}
		for len(ends) < n {
			if f := raw.read(); f.Kind == wire.KindEnd {
				ends[f.ID]++
			}
		}
		for id, times := range ends {
			assert.Equal(t, 1, times, id)
		}
		synctest.Wait()
		for _, c := range connsOf(srv) {
			assert.Empty(t, c.streams.streams)
			assert.Zero(t, c.streaming)
		}
		raw.conn.Close()
		srv.Close()
	})
}

// Stalled streams hold what their windows say, however much is to be sent: the memory of a
// connection is bounded.
func TestServer_StalledStreamsHoldTheirWindows(t *testing.T) {
	bubble(t, func(t *testing.T) {
		hold := make(chan struct{})
		srv := newInventory().server(t)
		require.NoError(t, syncing.Handle(srv, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
			<-hold
			return nil
		}))
		client := pipe(t, srv)
		const n = 300
		for range n {
			s, err := syncing.Open(t.Context(), client)
			require.NoError(t, err)
			go func() {
				for s.Send(t.Context(), &change{Data: string(make([]byte, 1000))}) == nil {
				}
			}()
		}
		synctest.Wait()
		for _, c := range connsOf(srv) {
			c.mu.Lock()
			held := int64(0)
			for _, s := range c.streams.streams {
				held += s.in.queued
				assert.LessOrEqual(t, s.in.queued, int64(streamWindow))
			}
			assert.Greater(t, held, int64(n*streamWindow/2))
			assert.Equal(t, c.streams.memory.poolMost, c.streams.memory.pool)
			c.mu.Unlock()
		}
		client.Close()
		close(hold)
		srv.Close()
	})
}

// FuzzStreamFrames sends frames of streams, good and bad, to a server with all shapes. It
// neither panics nor hangs, and each open has at most one end.
func FuzzStreamFrames(f *testing.F) {
	f.Add([]byte("\x08\x01\x03open\x09\x01{}\x0a\x01"), uint8(0))
	f.Add([]byte{8, 1, 3, 9, 1, 200, 11, 1, 4, 12, 1, 9, 10, 1, 4, 1}, uint8(1))
	f.Fuzz(func(t *testing.T, ops []byte, extra uint8) {
		synctest.Test(t, func(t *testing.T) {
			srv := streamServer(t, WithHandlerTimeout(time.Second))
			raw := rawStreams(t, srv, "16384")
			ended := make(chan map[uint64]int)
			go func() {
				ends := map[uint64]int{}
				defer func() { ended <- ends }()
				for {
					f, err := raw.in.next()
					if err != nil {
						return
					}
					assert.NoError(t, f.Check(wire.FlagMore))
					if f.Kind == wire.KindEnd {
						ends[f.ID]++
					}
				}
			}()
			feedStreams(raw, ops, extra)
			synctest.Wait()
			raw.conn.Close()
			for id, n := range <-ended {
				assert.Equal(t, 1, n, "ends of %d", id)
			}
			srv.Close()
		})
	})
}

// feedStreams makes frames of ops: a kind, an ID, and what the kind needs.
func feedStreams(raw *rawConn, ops []byte, extra uint8) {
	methods := []string{watch.Name(), imports.Name(), syncing.Name(), "No.Such"}
	for len(ops) >= 3 {
		k, id, n := wire.Kind(ops[0]%16), uint64(ops[1]), int(ops[2])
		ops = ops[3:]
		var frame []byte
		switch k {
		case wire.KindOpen:
			params := ""
			if n%4 == 1 {
				params = `{"Count":3}`
			}
			frame = openOf(id, wire.Shape(n%5), methods[n%len(methods)], params)
		case wire.KindData:
			frame = frameOf(k, extra&wire.FlagMore, id, `{"N":1}`+strings.Repeat(" ", 20*n))
		case wire.KindCredit, wire.KindWant:
			frame = number(k, id, binary.BigEndian.Uint32([]byte{0, extra, uint8(n), uint8(n)}))
		default:
			frame = frameOf(k, 0, id, "")
		}
		if _, err := raw.conn.Write(frame); err != nil {
			return
		}
	}
}

// An end within an item is never a good end to the handler, not even while the contexts that
// it has derived are told, which takes a while.
func TestStream_AnEndWithinAnItemIsNoGoodEnd(t *testing.T) {
	received := make(chan error, 1)
	ready := make(chan struct{})
	srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
		for range 20_000 {
			_, cancel := context.WithCancel(ctx)
			defer cancel()
		}
		ready <- struct{}{}
		_, err := in.Receive(context.Background())
		received <- err
		return err
	})
	raw := rawStreams(t, srv, "16384")
	for id := range uint64(5) {
		raw.write(bidi(id + 1))
		raw.write(frameOf(wire.KindData, wire.FlagMore, id+1, strings.Repeat("x", 1024)))
		<-ready
		raw.write(frameOf(wire.KindEnd, 0, id+1, ""))
		assert.ErrorIs(t, <-received, InvalidArgument)
		assert.Equal(t, InvalidArgument, raw.readEnd(id+1).Code)
	}
}

// A server that is closed while clients say hello.
func TestStream_ClosedDuringHellos(t *testing.T) {
	for range 50 {
		srv := NewServer()
		var done sync.WaitGroup
		for range 4 {
			near, far := net.Pipe()
			done.Go(func() { srv.ServeConn(far) })
			done.Go(func() {
				defer near.Close()
				hello := wire.ClientHello{Codec: "json", MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, map[string]string{streamsKey: "16384"})}
				near.Write(hello.Append(nil))
				io.Copy(io.Discard, near)
			})
		}
		runtime.Gosched()
		srv.Close()
		done.Wait()
	}
}

// A stream that has wanted the loan, and is over, is not kept until its turn.
func TestStream_NobodyWhoIsOverWaitsForTheLargePlace(t *testing.T) {
	srv := bidiServer(t, func(ctx context.Context, _ *Receiver[change], _ *Sender[change]) error {
		<-ctx.Done()
		return ctx.Err()
	})
	raw := rawStreams(t, srv, "16384")
	raw.write(bidi(1))
	raw.write(wire.AppendBytes(nil, wire.KindWant, 1, 3<<20))
	require.Equal(t, wire.KindCredit, raw.read().Kind, "it has the place, and sends nothing")
	const n = 2000
	before := heapInUse()
	for id := range uint64(n) {
		raw.write(bidi(id + 2))
		raw.write(wire.AppendBytes(nil, wire.KindWant, id+2, 3<<20))
		raw.write(frameOf(wire.KindCancel, 0, id+2, ""))
		for raw.read().Kind != wire.KindEnd {
		}
	}
	assert.Less(t, int(heapInUse())-int(before), n*300)
}

// A handler that is told by Receive that its time is up, or that its caller has left then,
// finds that its context has ended.
func TestStream_ContextEndsBeforeReceiveFailsAtTheDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const streams = 300
		early := make(chan bool, streams)
		srv := bidiServer(t, func(ctx context.Context, in *Receiver[change], _ *Sender[change]) error {
			_, err := in.Receive(context.Background())
			early <- ctx.Err() == nil
			return err
		})
		raw := rawStreams(t, srv, "16384")
		head := wire.OpenHead{Shape: wire.BidiStream, RequestHead: wire.RequestHead{Method: syncing.Name(), Timeout: time.Second}}
		var cancels []byte
		for id := range uint64(streams) {
			raw.write(head.Append(nil, 0, id+1, 0))
			cancels = append(cancels, frameOf(wire.KindCancel, 0, id+1, "")...)
		}
		go io.Copy(io.Discard, raw.conn)
		<-time.After(time.Second)
		raw.conn.Write(cancels)
		for range streams {
			require.False(t, <-early)
		}
		raw.conn.Close()
		srv.Close()
	})
}
