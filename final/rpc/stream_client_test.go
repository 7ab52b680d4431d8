package rpc

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// What a client makes of a server that speaks by hand.

// streamingServer answers the hello of a client that offers streams by that grant.
func streamingServer(t *testing.T, grant string, opts ...ClientOption) (*Client, *rawConn) {
	near, far := net.Pipe()
	client := NewClient(near, append(opts, WithKeepalive(0))...)
	t.Cleanup(func() { client.Close() })
	raw := rawOn(t, far)
	body, err := wire.ReadHello(far, 1<<16)
	require.NoError(t, err)
	_, md, err := parseClientHello(body)
	require.NoError(t, err)
	assert.Equal(t, "16384", md[streamsKey])
	raw.write((&wire.ServerHello{InFlight: 10, MaxMessage: 1 << 20, Text: grant}).Append(nil))
	return client, raw
}

// openRaw opens a bidi stream, whose open raw reads.
func openRaw(t *testing.T, client *Client, raw *rawConn) *DuplexStream[change, change] {
	opened := make(chan *DuplexStream[change, change])
	go func() {
		s, err := syncing.Open(t.Context(), client)
		assert.NoError(t, err)
		opened <- s
	}()
	require.Equal(t, wire.KindOpen, raw.read().Kind)
	return <-opened
}

func TestClient_GrantsThatMakeNoSenseAreNone(t *testing.T) {
	for _, grant := range []string{"", "rpc.streams", "rpc.streams=", "rpc.streams=0,16384", "rpc.streams=10,100",
		"rpc.streams=10", "rpc.streams=+1,16384", "rpc.streams=01,16384", "rpc.streams=1,16384,2", "rpc.streams=1,4294967296"} {
		bubble(t, func(t *testing.T) {
			client, _ := streamingServer(t, grant)
			_, err := syncing.Open(t.Context(), client)
			assert.Equal(t, Unimplemented, CodeOf(err), grant)
			assert.True(t, NeverRan(err))
			client.Close()
		})
	}
}

// What breaks the rules of streams ends the connection.
func TestClient_BadStreamFrameEndsTheConnection(t *testing.T) {
	end := wire.AppendEnd(nil, 0, 1, &wire.Reason{})
	for name, c := range map[string]struct {
		frame []byte
		text  string
	}{
		"open from a server":       {bidi(7), "the server sent a frame of kind 8"},
		"not open":                 {frameOf(wire.KindData, 0, 9, "{}"), "data for stream 9, which is not open"},
		"data beyond credit":       {frameOf(wire.KindData, 0, 1, string(make([]byte, 17_000))), "which has credit for 16384"},
		"credit of 0":              {number(wire.KindCredit, 1, 0), "credit of 0 bytes"},
		"credit that overflows":    {number(wire.KindCredit, 1, 1<<31-1), "the sum is above"},
		"end cut short":            {frameOf(wire.KindEnd, 0, 1, "\x00"), "malformed end of stream 1"},
		"more after an end":        {frameOf(wire.KindEnd, 0, 1, "\x00\x00\x00x"), "malformed end of stream 1"},
		"a trailer without grant":  {frameOf(wire.KindEnd, wire.FlagReplyMetadata, 1, "\x00\x00\x00\x00\x00"), "reserved flags 0x20"},
		"a second end":             {append(end, end...), "end for stream 1, which is not open"},
		"a header, not yet agreed": {frameOf(wire.KindHeader, 0, 1, ""), "the server sent a frame of kind 13"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := streamingServer(t, "rpc.streams=10,16384")
				s := openRaw(t, client, raw)
				go io.Copy(io.Discard, raw.conn)
				raw.conn.Write(c.frame)
				synctest.Wait()
				assert.ErrorContains(t, client.fixed.err, c.text)
				err := s.Send(t.Context(), &change{})
				assert.Error(t, err)
				assert.NotEqual(t, io.EOF, err)
				client.Close()
			})
		})
	}
}

// What is wrong with one stream alone fails that, and the client cancels it.
func TestClient_BadStreamFrameFailsTheStream(t *testing.T) {
	for name, c := range map[string]struct {
		frame []byte
		code  Code
	}{
		"a short fragment":                     {frameOf(wire.KindData, wire.FlagMore, 1, "x"), Internal},
		"an item that is not JSON":             {frameOf(wire.KindData, 0, 1, "nonsense"), Internal},
		"a want that nothing costs":            {number(wire.KindWant, 1, 5<<20), Internal},
		"an item that expands above the limit": {frameOf(wire.KindData, wire.FlagCompressed, 1, bomb(t, 8)), ResourceExhausted},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := streamingServer(t, "rpc.streams=10,16384 rpc.compression=gzip", WithCompression(0))
				s := openRaw(t, client, raw)
				raw.write(c.frame)
				failed := make(chan error)
				go func() {
					_, err := s.Receive(t.Context())
					failed <- err
				}()
				f := raw.read()
				assert.Equal(t, wire.KindCancel, f.Kind)
				assert.Equal(t, c.code, CodeOf(<-failed))
				_, err := s.Receive(t.Context())
				assert.Equal(t, c.code, CodeOf(err), "again")
				assert.Error(t, s.Send(t.Context(), &change{}))
				raw.write(wire.AppendEnd(nil, 0, 1, &wire.Reason{Code: wire.Canceled}))
				assertNoStreams(t, client)
				client.Close()
			})
		})
	}
}

// Credit: a client sends no more than it has, says what its next item costs, and goes on
// with what it is given.
func TestClient_RespectsCreditAndSaysWhatItWants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,4096")
		s := openRaw(t, client, raw)
		sent := make(chan error)
		go func() {
			for range 5 {
				if err := s.Send(t.Context(), &change{Data: string(repeat('x', 1000))}); err != nil {
					sent <- err
					return
				}
			}
			sent <- s.CloseSend()
		}()
		credit := int64(4096)
		items, wants := 0, 0
		for items < 5 {
			f := raw.read()
			switch f.Kind {
			case wire.KindData:
				items++
				credit -= wire.DataCost(len(f.Payload))
				require.GreaterOrEqual(t, credit, int64(0))
			case wire.KindWant:
				wants++
				n, err := wire.ParseBytes(&f)
				require.NoError(t, err)
				assert.Greater(t, n, credit)
				raw.write(number(wire.KindCredit, 1, uint32(n-credit)))
				credit = n
			}
		}
		assert.Positive(t, wants)
		require.NoError(t, <-sent)
		assert.Equal(t, wire.KindEnd, raw.read().Kind)
		client.Close()
	})
}

// A go-away: streams up to its ID go on, the others never ran.
func TestStream_NeverRanIsExact(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,16384")
		first := openRaw(t, client, raw)
		second := openRaw(t, client, raw)
		go func() {
			raw.conn.Write(wire.AppendGoAway(nil, 1, &wire.Reason{Code: wire.Unavailable, Text: "bye"}))
			raw.conn.Write(frameOf(wire.KindData, 0, 1, `{"N":5}`))
			raw.conn.Write(wire.AppendEnd(nil, 0, 1, &wire.Reason{}))
		}()
		go io.Copy(io.Discard, raw.conn)
		_, err := second.Receive(t.Context())
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.True(t, NeverRan(err))
		item, err := first.Receive(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 5, item.N)
		_, err = first.Receive(t.Context())
		assert.Equal(t, io.EOF, err)
		synctest.Wait()
		assert.Error(t, client.fixed.err, "nothing is in flight: the connection has ended")
		client.Close()
	})
}

// A connection is lost. A stream whose open was not handed to Write never ran; one whose
// open was may have.
func TestStream_NeverRanOfALostConnection(t *testing.T) {
	for name, read := range map[string]bool{"open was read": true, "open waits behind another one": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				client, raw := streamingServer(t, "rpc.streams=10,16384")
				var s *DuplexStream[change, change]
				if read {
					s = openRaw(t, client, raw)
				} else {
					_, err := syncing.Open(t.Context(), client)
					require.NoError(t, err)
					s, err = syncing.Open(t.Context(), client)
					require.NoError(t, err)
				}
				raw.conn.Close()
				_, err := s.Receive(t.Context())
				assert.Equal(t, Unavailable, CodeOf(err))
				assert.Equal(t, !read, NeverRan(err))
				client.Close()
			})
		})
	}
}

// A stream of which a part of an item has arrived has run, whatever its end says.
func TestStream_HasRunOnceAPartOfAnItemHasArrived(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=10,16384")
		s := openRaw(t, client, raw)
		raw.write(frameOf(wire.KindData, wire.FlagMore, 1, strings.Repeat(" ", wire.MinFragment)))
		raw.write(wire.AppendEnd(nil, wire.FlagNeverRan, 1, &wire.Reason{Code: wire.Unavailable, Text: "never ran"}))
		go io.Copy(io.Discard, raw.conn)
		_, err := s.Receive(t.Context())
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.False(t, NeverRan(err))
		client.Close()
	})
}

// An Open waits for a slot, as long as its context lasts.
func TestStream_OpenWaitsForAPlace(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := streamingServer(t, "rpc.streams=1,16384")
		first := openRaw(t, client, raw)
		_, err := syncing.Open(timeout(t, time.Second), client)
		assert.Equal(t, DeadlineExceeded, CodeOf(err))
		assert.True(t, NeverRan(err))
		_, err = syncing.Open(context.WithoutCancel(t.Context()), client)
		assert.Equal(t, Unavailable, CodeOf(err), "no longer than WithMaxWait")
		opened := make(chan error)
		go func() {
			s, err := syncing.Open(t.Context(), client)
			if err == nil {
				defer s.Close()
			}
			opened <- err
		}()
		synctest.Wait()
		go func() {
			first.Close()
		}()
		assert.Equal(t, wire.KindCancel, raw.read().Kind)
		synctest.Wait()
		select {
		case <-opened:
			assert.Fail(t, "the place is free with the server's end only")
		default:
		}
		go raw.write(wire.AppendEnd(nil, 0, 1, &wire.Reason{Code: wire.Canceled}))
		assert.Equal(t, wire.KindOpen, raw.read().Kind)
		go io.Copy(io.Discard, raw.conn)
		assert.NoError(t, <-opened)
		client.Close()
	})
}

func TestStream_PoolOpensThem(t *testing.T) {
	srv := streamServer(t)
	pool := newPool(t, StaticResolver{listen(t, srv)})
	in, err := watch.Open(timeout(t, time.Minute), pool, &watchRequest{Count: 10})
	require.NoError(t, err)
	got, err := collect(&in.Receiver)
	require.NoError(t, err)
	assert.Equal(t, upTo(10), got)
}

// A good end does not make an item of a part of one.
func TestClient_AGoodEndWithinAnItemFails(t *testing.T) {
	client, raw := streamingServer(t, "rpc.streams=10,16384")
	s := openRaw(t, client, raw)
	raw.write(frameOf(wire.KindData, 0, 1, `{"N":1}`))
	raw.write(frameOf(wire.KindData, wire.FlagMore, 1, strings.Repeat("x", 1024)))
	raw.write(wire.AppendEnd(nil, 0, 1, &wire.Reason{}))
	go io.Copy(io.Discard, raw.conn)
	_, err := s.Receive(t.Context())
	require.NoError(t, err)
	_, err = s.Receive(t.Context())
	assert.ErrorIs(t, err, Internal)
}

// Items are compressed whatever the order of the words in which a server grants that.
func TestClient_CompressesItemsInWhateverOrderItIsGranted(t *testing.T) {
	for _, grant := range []string{"rpc.compression=gzip rpc.streams=10,16384", "rpc.streams=10,16384 rpc.compression=gzip"} {
		bubble(t, func(t *testing.T) {
			client, raw := streamingServer(t, grant, WithCompression(100))
			s := openRaw(t, client, raw)
			sent := make(chan error, 1)
			go func() { sent <- s.Send(t.Context(), &change{Data: strings.Repeat("x", 10_000)}) }()
			f := raw.read()
			assert.Equal(t, wire.KindData, f.Kind)
			assert.Equal(t, wire.FlagCompressed, f.Flags, grant)
			require.NoError(t, <-sent)
			raw.conn.Close()
			client.Close()
		})
	}
}

// FuzzClientStreamFrames sends frames of streams, good and bad, to a client that has three
// open. It neither panics nor hangs, all streams end with the connection, and none has an
// item that was not sent on it.
func FuzzClientStreamFrames(f *testing.F) {
	f.Add([]byte{9, 1, 0, 13, 2, 0, 9, 2, 7, 9, 2, 0, 10, 2, 0, 12, 3, 9, 11, 3, 9, 10, 1, 5})
	f.Add([]byte{9, 1, 255, 9, 1, 255, 9, 1, 255, 9, 1, 255, 6, 2, 0, 9, 2, 1, 10, 2, 0, 10, 1, 0})
	f.Add([]byte{12, 1, 200, 9, 1, 7, 9, 1, 7, 10, 1, 0, 9, 3, 0, 9, 3, 1, 13, 3, 0})
	f.Fuzz(func(t *testing.T, ops []byte) {
		synctest.Test(t, func(t *testing.T) {
			client, raw := streamingServer(t, "rpc.streams=10,16384 rpc.reply-metadata=1")
			var streams []*DuplexStream[change, change]
			for range 3 {
				streams = append(streams, openRaw(t, client, raw))
			}
			received := make([]chan int, len(streams))
			for i, s := range streams {
				received[i] = make(chan int, 1)
				go func() {
					got, err := collect(&s.Receiver)
					assert.False(t, NeverRan(err) && len(got) > 0, "%v", err)
					received[i] <- len(got)
				}()
				go s.Send(t.Context(), &change{Data: strings.Repeat("x", 10_000*i)})
			}
			go io.Copy(io.Discard, raw.conn)
			sent := feedClientStreams(raw, ops)
			synctest.Wait()
			raw.conn.Close()
			for i, items := range received {
				assert.LessOrEqual(t, <-items, sent[uint64(i+1)])
			}
			client.Close()
		})
	})
}

// feedClientStreams makes frames of ops: a kind, an ID, and what the kind needs. It returns
// how many items each stream was sent.
func feedClientStreams(raw *rawConn, ops []byte) map[uint64]int {
	sent := map[uint64]int{}
	for ; len(ops) >= 3; ops = ops[3:] {
		k, id, n := wire.Kind(ops[0]%16), uint64(ops[1]%5), ops[2]
		frame := frameOf(k, 0, id, "")
		switch k {
		case wire.KindData:
			flags := uint8(0)
			if n%8 == 7 {
				flags = wire.FlagMore
			} else {
				sent[id]++
			}
			frame = frameOf(k, flags, id, `{"N":1}`+strings.Repeat(" ", 20*int(n)))
		case wire.KindHeader:
			frame = frameOf(k, 0, id, string(wire.AppendPairs(nil, Metadata{"n": strings.Repeat("x", int(n))})))
		case wire.KindCredit, wire.KindWant:
			frame = number(k, id, uint32(n)*uint32(n)*20)
		case wire.KindEnd:
			frame = wire.AppendEnd(nil, 0, id, &wire.Reason{Code: wire.Code(n % 20)})
		case wire.KindGoAway:
			frame = wire.AppendGoAway(nil, id, &wire.Reason{Code: wire.Unavailable})
		}
		if _, err := raw.conn.Write(frame); err != nil {
			break
		}
	}
	return sent
}
