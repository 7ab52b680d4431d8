package rpc

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// scrap is a net.Conn of which only Read matters: it gives data in pieces.
type scrap struct {
	net.Conn
	data  []byte
	piece int
}

func (s *scrap) Read(p []byte) (int, error) {
	if len(s.data) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.data[:min(len(s.data), s.piece)])
	s.data = s.data[n:]
	return n, nil
}
func (s *scrap) SetReadDeadline(time.Time) error { return nil }

// Whatever comes, in whatever pieces: the same frames, or an error.
func FuzzFrameReader(f *testing.F) {
	f.Add(frameOf(wire.KindRequest, 0, 1, "abc"), uint16(1))
	f.Add(append(frameOf(wire.KindPing, 0, 1, ""), frameOf(wire.KindResponse, 0, 2, strings.Repeat("x", 20_000))...), uint16(1000))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff}, uint16(4))
	f.Add([]byte{0, 0, 0, 0, 1, 2, 3}, uint16(7))
	f.Fuzz(func(t *testing.T, data []byte, piece uint16) {
		const limit = 64 << 10
		whole := readAll(t, data, len(data)+1, limit)
		pieces := readAll(t, data, int(piece)+1, limit)
		assert.Equal(t, whole, pieces)
		rest := data
		for _, frame := range whole {
			require.LessOrEqual(t, len(frame), limit+4)
			require.Equal(t, string(rest[:len(frame)]), frame, "nothing is invented or left out")
			rest = rest[len(frame):]
		}
	})
}

// readAll reads frames to the end or an error and puts their bytes together again.
func readAll(t *testing.T, data []byte, piece, limit int) []string {
	in := frameReader{Reader: wire.Reader{Limit: limit}, conn: &scrap{data: data, piece: piece}}
	var frames []string
	for {
		f, err := in.next()
		if err != nil {
			require.LessOrEqual(t, in.Held(), 2*(64<<10)+2*len(data))
			return frames
		}
		b := wire.AppendHeader(nil, f.Kind, f.Flags, f.ID, len(f.Payload))
		frames = append(frames, string(append(b, f.Payload...)))
	}
}

// A hello is accepted and means the same when said again, or is refused.
func FuzzHello(f *testing.F) {
	f.Add((&wire.ClientHello{Codec: "json", MaxMessage: 4 << 20, Pairs: wire.AppendPairs(nil, Metadata{"k": "v"})}).Append(nil))
	f.Add((&wire.ServerHello{InFlight: 7, MaxMessage: 4096}).Append(nil))
	f.Add((&wire.ServerHello{Code: wire.Unimplemented, Text: "no"}).Append(nil))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		body, err := wire.ReadHello(strings.NewReader(string(data)), wire.MaxHello)
		if err != nil {
			return
		}
		require.Len(t, body, int(binary.BigEndian.Uint16(data[5:])))
		if h, metadata, err := parseClientHello(body); err == nil {
			said, err := appendHello(nil, h, metadata)
			require.NoError(t, err)
			again, same, err := parseClientHello(said[wire.HelloSize:])
			require.NoError(t, err)
			assert.Equal(t, metadata, same)
			assert.Equal(t, h.Codec, again.Codec)
			assert.Equal(t, h.MaxMessage, again.MaxMessage)
		}
		if h, err := parseServerHello(body); err == nil {
			assert.NotZero(t, h.InFlight)
			assert.GreaterOrEqual(t, h.MaxMessage, uint32(1024))
		}
	})
}

// program reads operations from fuzzed bytes.
type program struct {
	b    []byte
	bomb []byte // what expands to more than may be; nil: nothing is compressed
}

func (p *program) byte() byte {
	if len(p.b) == 0 {
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *program) bytes() []byte {
	n := min(int(p.byte()), len(p.b))
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

// compress does with a body what may be done to one on a connection with compression.
func (p *program) compress(t testing.TB, body []byte, flags uint8) ([]byte, uint8) {
	switch p.byte() % 4 {
	case 0:
		return []byte(gzipped(t, string(body))), flags | wire.FlagCompressed
	case 1:
		return p.bomb, flags | wire.FlagCompressed
	case 2:
		return p.bytes(), flags | wire.FlagCompressed
	}
	return body, flags
}

// A server that is fed anything gives each request at most one reply, gives
// replies to nobody else, and ends: nothing hangs, panics or stays behind.
func FuzzServer(f *testing.F) {
	f.Add(true, false, []byte{0, 1, 0, 0, 1, 1, 2, 0, 3, 1, 4, 0, 3, 'x', 'y', 'z'})
	f.Add(false, false, []byte{0, 1, 0, 0, 1, 1, 0, 2, 2, 1, 5, 1, 0, 0, 1, 3})
	f.Add(true, false, []byte{5, 7, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add(true, false, []byte{0, 4, 1, 1, 0, 4, 1, 1, 6, 0, 5, 0, 0, 5, 0})
	f.Add(true, true, []byte{0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 0, 0, 0, 3, 3, 'x', 'y', 'z', 0, 1, 0, 0, 0, 2, 0})
	f.Add(false, true, []byte{0, 0, 0, 3, 'a', 'b', 'c', 0, 1, 0, 0, 0, 1, 'a', 0, 1})
	twoMiB := []byte(bomb(f, 2))
	f.Fuzz(func(t *testing.T, json, compress bool, ops []byte) {
		if len(ops) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			inv := newInventory()
			close(inv.hold)
			srv := NewServer(WithCodecs(Gob), WithCompression(1), WithMaxInFlight(4), WithMaxMessage(8<<10), WithMaxMetadata(100), WithIdleTimeout(time.Minute))
			require.NoError(t, checkStock.Handle(srv, inv.check))
			require.NoError(t, Method[stockRequest, stockReply]("Inventory.Now").Handle(srv, inv.check, NonBlocking()))
			codec := "gob"
			if json {
				codec = "json"
			}
			hello := wire.ClientHello{Codec: codec, MaxMessage: 1 << 20}
			var bombs []byte
			if compress {
				bombs = twoMiB
				hello.Pairs = wire.AppendPairs(nil, Metadata{compressionKey: gzipName})
			}
			raw := rawClientSaying(t, srv, hello)
			asked, answered := map[uint64]bool{}, map[uint64]bool{}
			read := make(chan struct{})
			go func() {
				defer close(read)
				countReplies(raw, answered)
			}()
			feedServer(raw, &program{b: ops, bomb: bombs}, json, asked)
			synctest.Wait()
			raw.conn.Close()
			<-read
			for id := range answered {
				assert.True(t, asked[id], "a reply to %d, which was not asked", id)
			}
			srv.Close()
		})
	})
}

// countReplies reads until the end and fails on a second reply.
func countReplies(raw *rawConn, answered map[uint64]bool) {
	for {
		f, err := raw.in.next()
		if err != nil {
			return
		}
		assert.NoError(raw.t, f.Check(wire.FlagCompressed))
		if f.Kind == wire.KindResponse || f.Kind == wire.KindError {
			assert.False(raw.t, answered[f.ID], "a second reply to %d", f.ID)
			answered[f.ID] = true
		}
		if f.Kind == wire.KindError {
			e, _, err := parseError(f)
			if assert.NoError(raw.t, err) {
				assert.True(raw.t, oneLine(e.Message), "%q", e.Message)
			}
		}
	}
}

// feedServer does what the program says until its end or the connection's.
func feedServer(raw *rawConn, p *program, json bool, asked map[uint64]bool) {
	methods := []string{checkStock.Name(), "Inventory.Now", "Inventory.Nope", "\xff", ""}
	params := []string{`{"Item":"item1"}`, `{"Item":"no9"}`, `{"Item":"panic"}`, `{"Wait":1000000}`, `[`, ``, `{"Item":"deaf"}`}
	var id uint64
	enc := newGobStream()
	for len(p.b) > 0 {
		var out []byte
		switch p.byte() % 8 {
		case 0, 1: // a request
			id++
			asked[id] = true
			h := wire.RequestHead{Method: methods[int(p.byte())%len(methods)], Timeout: time.Duration(p.byte()%3) * time.Millisecond}
			body := []byte(params[int(p.byte())%len(params)])
			var flags uint8
			if !json {
				body, flags, _ = enc.encode(stockRequest{Item: string(p.bytes()), Wait: time.Duration(p.byte())})
			}
			if p.bomb != nil {
				body, flags = p.compress(raw.t, body, flags)
			}
			out = append(h.Append(nil, flags, id, len(body)), body...)
		case 2:
			out = wire.AppendHeader(nil, wire.KindCancel, 0, id-uint64(p.byte()%4), 0)
		case 3:
			out = wire.AppendHeader(nil, wire.KindPing, 0, uint64(p.byte()), 0)
		case 4: // a request by hand
			id += uint64(p.byte() % 2)
			asked[id] = true
			out = frameOf(wire.KindRequest, p.byte()%32, id, string(p.bytes()))
		case 5: // any frame
			out = frameOf(wire.Kind(p.byte()), p.byte(), uint64(p.byte()), string(p.bytes()))
			asked[binary.BigEndian.Uint64(out[6:])] = true
		case 6: // anything
			out = p.bytes()
		case 7: // let time pass
			raw.pause(time.Duration(p.byte()) * time.Millisecond)
		}
		if _, err := raw.conn.Write(out); err != nil {
			return
		}
	}
}

func (r *rawConn) pause(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

// A client that is fed anything gives each call its own reply or an error, and
// ends.
func FuzzClient(f *testing.F) {
	f.Add(true, false, []byte{0, 0, 0, 1, 0, 2, 0, 3})
	f.Add(false, false, []byte{0, 0, 1, 0, 2, 4, 0, 5, 1})
	f.Add(true, false, []byte{3, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add(true, false, []byte{4, 2, 0, 1, 0, 0, 6, 5})
	f.Add(true, true, []byte{0, 1, 0, 0, 2, 1, 0, 3, 2, 3, 'x', 'y', 'z', 0, 4, 3})
	f.Add(true, false, []byte{1, 1, 6, 0, 1, 'k', 0, 1, 'v', 1, 2, 5, 0, 1, 'K', 0, 0, 1, 3, 1, 0})
	f.Add(false, false, []byte{1, 1, 6, 0, 1, 'k', 0, 1, 'v', 1, 2, 5, 0, 1, 'K', 0, 0, 1, 3, 1, 0})
	twoMiB := []byte(bomb(f, 2))
	f.Fuzz(func(t *testing.T, json, compress bool, ops []byte) {
		if len(ops) > 4096 {
			return
		}
		synctest.Test(t, func(t *testing.T) {
			codec := Gob
			if json {
				codec = JSON
			}
			hello := granting
			opts := []ClientOption{WithCodec(codec), WithMaxMessage(8 << 10), WithKeepalive(0)}
			var bombs []byte
			if compress {
				bombs, hello.Text = twoMiB, hello.Text+" "+compressionKey+"="+gzipName
				opts = append(opts, WithCompression(1))
			}
			client, raw := rawServerSaying(t, hello, opts...)
			var calls []*Pending
			replies := make([]stockReply, 8)
			headers := make([]Metadata, len(replies))
			for i := range replies {
				ctx := timeout(t, time.Duration(i+1)*100*time.Millisecond)
				if i%2 == 0 {
					ctx = ReceiveHeader(ctx, &headers[i])
				}
				calls = append(calls, client.Go(ctx, checkStock.Name(), stockRequest{}, &replies[i]))
				assert.Equal(t, uint64(i+1), raw.read().ID)
			}
			go io.Copy(io.Discard, raw.conn) // cancels and pongs
			feedClient(raw, &program{b: ops, bomb: bombs}, json)
			raw.conn.Close()
			for i, call := range calls {
				err := call.Wait()
				if err == nil {
					assert.Contains(t, []int{0, i + 1}, replies[i].Count, "someone else's reply")
				} else {
					var e *Error
					assert.True(t, errors.As(err, &e) && e.Code != OK, "%v", err)
				}
				assert.NoError(t, headers[i].check())
				assert.NoError(t, checkReplyMetadata(headers[i]))
			}
			client.Close()
		})
	})
}

// FuzzReply looks for replies that are taken apart in another way than they were put together.
func FuzzReply(f *testing.F) {
	pairs := string(wire.AppendPairs(nil, Metadata{"user": "ann"}))
	f.Add(false, []byte("\x00\x0b"+pairs+`{"Count":100}`))
	f.Add(false, []byte("\x00\x00"))
	f.Add(true, []byte("\x05\x00\x02no\x00\x0b"+pairs+"\x00\x0b"+pairs))
	f.Add(true, []byte("\x05\x00\x00\x00\x00\x00\x20"+pairs))
	f.Fuzz(func(t *testing.T, failed bool, payload []byte) {
		frame := wire.Frame{Kind: wire.KindResponse, Flags: wire.FlagReplyMetadata, ID: 1, Payload: payload}
		if failed {
			frame.Kind, frame.Flags = wire.KindError, wire.FlagReplyMetadata|wire.FlagPairs
		}
		failure, in, err := parseReply(&frame)
		if err != nil {
			return
		}
		md, err := parseReplyMetadata(in.Metadata)
		if err != nil {
			return
		}
		var b []byte
		if failed {
			b = appendError(nil, 1, failure, md, math.MaxInt32)
		} else {
			b = append(wire.AppendResponse(nil, 0, 1, md, len(in.Body)), in.Body...)
		}
		again, err := wire.ParseFrame(b)
		require.NoError(t, err)
		require.NoError(t, again.Check(wire.Extensions))
		same, back, err := parseReply(&again)
		require.NoError(t, err)
		assert.Equal(t, failure, same)
		assert.Equal(t, string(in.Body), string(back.Body))
		mdBack, err := parseReplyMetadata(back.Metadata)
		require.NoError(t, err)
		assert.Equal(t, md, mdBack)
	})
}

func feedClient(raw *rawConn, p *program, json bool) {
	enc := newGobStream()
	for len(p.b) > 0 {
		var out []byte
		switch op := p.byte() % 8; op {
		case 0, 1: // a reply, without metadata or with a block of any bytes
			id := uint64(p.byte() % 10)
			body, flags := []byte(`{"Count":`+string('0'+byte(id))+`}`), uint8(0)
			if !json {
				body, flags, _ = enc.encode(stockReply{Count: int(id)})
			}
			if p.bomb != nil {
				body, flags = p.compress(raw.t, body, flags)
			}
			if op == 1 {
				block := p.bytes()
				body = slices.Concat([]byte{0, byte(len(block))}, block, body)
				flags |= wire.FlagReplyMetadata
			}
			out = append(wire.AppendHeader(nil, wire.KindResponse, flags, id, len(body)), body...)
		case 2:
			out = appendError(nil, uint64(p.byte()%10), Errorf(Code(p.byte()), "%s", p.bytes()), nil, 8<<10)
		case 3: // any frame
			k, flags, id := wire.Kind(p.byte()), p.byte(), uint64(p.byte())
			body := p.bytes()
			if k == wire.KindResponse && json {
				body = nil // or it might be someone's valid reply
			}
			if k == wire.KindResponse && !json {
				continue
			}
			out = frameOf(k, flags, id, string(body))
		case 4:
			out = appendGoAway(nil, uint64(p.byte()%10), Errorf(Code(p.byte()), "bye"))
		case 5:
			out = wire.AppendHeader(nil, wire.KindPing, 0, uint64(p.byte()), 0)
		case 6:
			raw.pause(time.Duration(p.byte()) * time.Millisecond)
		case 7: // half a frame, then the end
			raw.conn.Write(wire.AppendHeader(nil, wire.KindResponse, 0, 1, int(p.byte())))
			return
		}
		if _, err := raw.conn.Write(out); err != nil {
			return
		}
	}
}
