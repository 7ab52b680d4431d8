package attack_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A hostile is one connection of a hostile server.
type hostile struct {
	ctx  context.Context
	conn net.Conn
	done *atomic.Int64 // frames that were sent

	streams  map[uint64]bool // that the client has opened
	lastCall atomic.Uint64
	lastOpen atomic.Uint64
}

// An asked is the head of a frame that a client has sent.
type asked struct {
	kind wire.Kind
	id   uint64
}

func (q asked) opens() bool { return q.kind == wire.KindOpen }

// read returns the next request or open; false if there are no more. It answers cancels, so
// that the client has places for other calls and streams.
func (h *hostile) read() (asked, bool) {
	for {
		head := make([]byte, wire.HeaderSize)
		if _, err := io.ReadFull(h.conn, head); err != nil {
			return asked{}, false
		}
		rest := int64(binary.BigEndian.Uint32(head)) - wire.MinLength
		if _, err := io.CopyN(io.Discard, h.conn, rest); err != nil {
			return asked{}, false
		}
		q := asked{wire.Kind(head[4]), binary.BigEndian.Uint64(head[6:])}
		switch {
		case q.opens():
			if h.streams == nil {
				h.streams = map[uint64]bool{}
			}
			h.streams[q.id] = true
			h.lastOpen.Store(q.id)
			return q, true
		case q.kind == wire.KindRequest:
			h.lastCall.Store(q.id)
			return q, true
		case q.kind == wire.KindCancel && h.streams[q.id]:
			delete(h.streams, q.id)
			h.write(goodEnd(q.id))
		case q.kind == wire.KindCancel:
			h.write(wire.AppendError(nil, 0, q.id, &wire.Reason{Code: wire.Canceled, Text: "cancelled"}))
		}
	}
}

// drop reads what the client says, until it leaves.
func (h *hostile) drop() { io.Copy(io.Discard, h.conn) }

func (h *hostile) write(b []byte) bool {
	h.done.Add(1)
	_, err := h.conn.Write(b)
	return err == nil && h.ctx.Err() == nil
}

// answer answers each request and each open with what by returns; nil is no answer.
func (h *hostile) answer(by func(q asked) []byte) {
	for q, ok := h.read(); ok; q, ok = h.read() {
		if b := by(q); b != nil && !h.write(b) {
			return
		}
	}
}

// flood writes what next makes, a thousand times a second at most, from the first request on.
func (h *hostile) flood(next func(n uint64) []byte) {
	if _, ok := h.read(); !ok {
		return
	}
	go h.answer(func(asked) []byte { return nil })
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for n := uint64(0); h.write(next(n)); n++ {
		<-tick.C
	}
}

// Frames of a server.

func response(id uint64, flags uint8, md map[string]string, body string) []byte {
	if md != nil {
		flags |= wire.FlagReplyMetadata
	}
	return append(wire.AppendResponse(nil, flags, id, md, len(body)), body...)
}

func goodEnd(id uint64) []byte { return wire.AppendEnd(nil, 0, id, new(wire.Reason)) }

// zipped is a text that gzip makes small, of so many bytes.
func zipped(size int) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	const frame = `{"Text":""}`
	fmt.Fprintf(w, `{"Text":"%s"}`, strings.Repeat("x", size-len(frame)))
	w.Close()
	return b.String()
}

var (
	smallBomb = sync.OnceValue(func() string { return zipped(16 * clientMessage) })
	largest   = sync.OnceValue(func() string { return zipped(clientMessage - wire.MinLength) })
)

// answers is what an honest server says.
func answers(h *hostile) {
	h.answer(func(q asked) []byte {
		if q.opens() {
			return append(datum(q.id, 0, "{}"), goodEnd(q.id)...)
		}
		return response(q.id, 0, nil, "{}")
	})
}

// briefly is what an honest server says, until it closes.
func briefly(h *hostile) {
	for range 20 {
		if q, ok := h.read(); ok && !q.opens() {
			h.write(response(q.id, 0, nil, "{}"))
		}
	}
}

// nonsense is hellos that no server should say.
func nonsense(n int64) *wire.ServerHello {
	const huge = "99999999999999999999"
	texts := []string{
		"rpc.streams=-1,-1", "rpc.streams=0,0", "rpc.streams=2147483647,2147483647", "rpc.streams=" + huge + "," + huge, "rpc.streams=1", "rpc.streams=1,1",
		"rpc.params=0,0", "rpc.params=-1,5", "rpc.params=5,1", "rpc.params=9223372036854775807,9223372036854775807", "rpc.params=" + huge,
		"rpc.compression=brotli", "rpc.compression=", "rpc.reply-metadata=77", "rpc.unknown=1", "=", "====",
		strings.Repeat("rpc.streams=5,4096 ", 400), strings.Repeat("a=b ", 2000), strings.Repeat("\x00", 10_000), strings.Repeat("x", 16_000),
		allGranted + " rpc.compression=no rpc.streams=1,4096 rpc.params=1,1",
	}
	h := &wire.ServerHello{InFlight: 1<<32 - 1, MaxMessage: 1<<32 - 1, Text: texts[n%int64(len(texts))]}
	switch n % 8 {
	case 5:
		h.InFlight = 0
	case 6:
		h.MaxMessage = 0
	case 7:
		h.Code = 200
	}
	return h
}

// noHello says that a connection ends without one.
func noHello(int64) *wire.ServerHello { return nil }

func replyBombs(h *hostile) {
	h.answer(func(q asked) []byte { return compressedReply(q, smallBomb()) })
}

func compressedReply(q asked, body string) []byte {
	if q.opens() {
		return nil
	}
	return response(q.id, wire.FlagCompressed, nil, body)
}

// replyLimits keeps its answers until many calls wait for them.
func replyLimits(h *hostile) {
	var kept []byte
	n := 0
	h.answer(func(q asked) []byte {
		kept = append(kept, compressedReply(q, largest())...)
		if n++; n%(hostileCallers/2) != 0 {
			return nil
		}
		defer func() { kept = nil }()
		return kept
	})
}

// replyLies says of small bodies that they become large, and of large ones that they are empty.
func replyLies(h *hostile) {
	lies := []uint32{0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1}
	small := zipped(100)
	h.answer(func(q asked) []byte {
		body := []byte(small)
		if q.id%2 == 0 {
			body = []byte(largest())
		}
		binary.LittleEndian.PutUint32(body[len(body)-4:], lies[q.id%uint64(len(lies))])
		return compressedReply(q, string(body))
	})
}

func replyNested(h *hostile) {
	bad := []string{strings.Repeat("[", clientMessage/2), `{"Text":` + strings.Repeat(`{"a":`, 9000), "\xff", `{"Text":1e999999}`}
	h.answer(func(q asked) []byte {
		if q.opens() {
			return datum(q.id, 0, bad[0][:8<<10])
		}
		return response(q.id, 0, nil, bad[q.id%uint64(len(bad))])
	})
}

func replyUnknown(h *hostile) {
	h.answer(func(q asked) []byte { return response(q.id+1<<40, 0, nil, "{}") })
}

// replyClaimed says that a frame comes, and sends a part of it.
func replyClaimed(h *hostile) {
	if q, ok := h.read(); ok {
		h.write(append(wire.AppendHeader(nil, wire.KindResponse, 0, q.id, clientMessage-wire.MinLength), "{"...))
		h.drop()
	}
}

// manyDetails answers with as many details as fit into the frame, which the protocol forbids.
func manyDetails(h *hostile) {
	details := map[string]string{}
	for i := range (clientMessage - 4<<10) / 8 {
		details[fmt.Sprintf("%x", i)] = ""
	}
	reason := &wire.Reason{Code: wire.NotFound, Text: "no such thing", Details: details}
	failure, end := wire.AppendError(nil, 0, 0, reason), wire.AppendEnd(nil, 0, 0, reason)
	h.answer(func(q asked) []byte {
		if q.opens() {
			return of(q, end)
		}
		return of(q, failure)
	})
}

// of puts the ID of what was asked into a frame.
func of(q asked, frame []byte) []byte {
	binary.BigEndian.PutUint64(frame[6:], q.id)
	return frame
}

// manyHeaders answers with metadata of many pairs, and with headers without end.
func manyHeaders(h *hostile) {
	md := map[string]string{}
	for i := range 3000 {
		md[fmt.Sprintf("%x", i)] = ""
	}
	header := wire.AppendPairs(nil, map[string]string{"a": "b"})
	header = append(wire.AppendHeader(nil, wire.KindHeader, 0, 0, len(header)), header...)
	reply := response(0, 0, md, "{}")
	h.answer(func(q asked) []byte {
		if !q.opens() {
			return of(q, reply)
		}
		return bytes.Repeat(of(q, header), 2)
	})
}

func goAways(h *hostile) {
	reason := &wire.Reason{Code: wire.Unavailable, Text: strings.Repeat("x", 512)}
	h.flood(func(n uint64) []byte {
		return many(n, func(i uint64) []byte {
			return wire.AppendGoAway(nil, []uint64{h.lastCall.Load(), 1<<64 - 1, 0}[i%3], reason)
		})
	})
}

func serverPings(h *hostile) {
	h.flood(func(n uint64) []byte {
		return many(n, func(i uint64) []byte { return bare(wire.KindPing, i) })
	})
}

// serverPingsUnread pings, and does not read the pongs.
func serverPingsUnread(h *hostile) {
	pings := each(4<<10, func(id uint64) []byte { return bare(wire.KindPing, id) })
	for h.write(pings) {
	}
}

func compressedItem(q asked, body string) []byte {
	if !q.opens() {
		return nil
	}
	return datum(q.id, wire.FlagCompressed, body)
}

func itemBombs(h *hostile) {
	h.answer(func(q asked) []byte { return compressedItem(q, smallBomb()) })
}

func itemLimits(h *hostile) {
	h.answer(func(q asked) []byte {
		return bytes.Repeat(compressedItem(q, largest()), 20)
	})
}

func itemsBeyond(h *hostile) {
	h.answer(func(q asked) []byte {
		if !q.opens() {
			return nil
		}
		return bytes.Repeat(datum(q.id, 0, "{}"), 2*streamWindow/80)
	})
}

// itemParts sends fragments of an item that never ends.
func itemParts(h *hostile) {
	part := strings.Repeat("x", wire.MinFragment)
	h.answer(func(q asked) []byte {
		if !q.opens() {
			return nil
		}
		return bytes.Repeat(datum(q.id, wire.FlagMore, part), 20)
	})
}

// creditUnasked gives credit until it is more than there may be.
func creditUnasked(h *hostile) {
	h.flood(func(n uint64) []byte {
		return many(n, func(i uint64) []byte { return amount(wire.KindCredit, max(1, h.lastOpen.Load()), 1<<20) })
	})
}

// serverWants wants credit for items that do not come.
func serverWants(h *hostile) {
	h.answer(func(q asked) []byte {
		if !q.opens() {
			return nil
		}
		return each(500, func(n uint64) []byte { return amount(wire.KindWant, q.id, uint32(clientMessage/2+n)) })
	})
}
