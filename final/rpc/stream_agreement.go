package rpc

import (
	"math"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Streams are an [extension]. The client offers its window; the server grants how many
// streams there may be at once, and its own window.
const (
	streamsKey = "rpc.streams"

	defaultMaxStreams = 1024

	// What streams may promise to take: those of one connection, unless its messages are
	// large, and how many times that those of all connections of a server.
	defaultStreamMemory = 32 << 20
	streamMemoryForAll  = 16
)

// settleStreams computes what the streams of one connection may promise to take, once all
// options are known. It refuses what has no room for a large item and one window.
func (o *sharedOptions) settleStreams() {
	o.connStreams = int64(o.connStreamMemory)
	if o.connStreams == 0 {
		o.connStreams = max(defaultStreamMemory, 4*int64(o.maxMessage))
	}
	if least := o.leastStreams(); o.streams && o.connStreamMemory > 0 && o.connStreams < least {
		o.refuse("WithConnStreamMemory(%d): want at least %d, for an item as large as a message (WithMaxMessage) and one window", o.connStreamMemory, least)
	}
}

func (o *sharedOptions) leastStreams() int64 { return largeCost(o.maxMessage) + streamWindow }

// settleStreams does the same for all connections. One of them may take a quarter, as of
// other memory.
func (o *serverOptions) settleStreams() {
	o.sharedOptions.settleStreams()
	o.allStreams = int64(o.streamMemory)
	if o.allStreams == 0 {
		o.allStreams = streamMemoryForAll * min(max(defaultStreamMemory, o.connStreams), math.MaxInt/streamMemoryForAll)
	}
	o.connStreams = min(o.connStreams, o.allStreams/4)
	if least := o.leastStreams(); o.streams && o.streamMemory > 0 && o.connStreams < least {
		o.refuse("WithStreamMemory(%d): want at least %d: a quarter is for one connection, for an item as large as a message (WithMaxMessage) and one window", o.streamMemory, 4*least)
	}
}

// windowsFor returns for how many streams there is room: the loan for a large item is set
// aside, and a quarter of the rest for larger windows.
func windowsFor(bytes int64, maxMessage int) int {
	return int(min(max(1, (bytes-largeCost(maxMessage))/4*3/streamWindow), math.MaxInt32))
}

func offerStreams(o *clientOptions) string {
	if !o.streams {
		return ""
	}
	return strconv.Itoa(streamWindow)
}

func grantStreams(c *serverConn, _ Codec, offered string) string {
	window, ok := windowOf(offered)
	o := &c.server.options
	if !o.streams || !ok {
		return ""
	}
	c.granted = streamGrant{most: min(o.maxStreams, windowsFor(o.connStreams, c.in.Limit)), window: window}
	return strconv.Itoa(c.granted.most) + "," + strconv.Itoa(streamWindow)
}

// makeStreamsLocked makes the table when the first stream opens: most connections never
// have one.
func (c *serverConn) makeStreamsLocked() {
	o := &c.server.options
	t := newStreamTable(&c.mu, &c.out, o.codecs[o.codecOrder[c.codec]], c.in.Limit, c.maxReply, c.granted.most, o.connStreams)
	t.peerWindow, t.compress, t.flusher, t.draining = c.granted.window, c.compress, &c.flusher, make(chan struct{})
	t.conn = c
	t.memory.leaseFrom(c.server.streams, o.connStreams, t.mostCost(), c.origin.ownStreams())
	if c.out.err != nil { // cut has been here
		t.memory.close()
	}
	t.replies, t.params = &c.replies, &c.params
	c.streams, c.out.lane = t, &t.lane
}

// windowOf returns the window that a hello announces. Other numbers than those of the
// protocol are none.
func windowOf(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n < wire.MinWindow || strconv.FormatUint(n, 10) != s {
		return 0, false
	}
	return int64(n), true
}

// grantOf takes a server's grant apart.
func grantOf(s string) (streams int, window int64, ok bool) {
	count, size, _ := strings.Cut(s, ",")
	n, err := strconv.ParseUint(count, 10, 31)
	window, ok = windowOf(size)
	if err != nil || n == 0 || n > math.MaxInt32 || !ok || strconv.FormatUint(n, 10) != count {
		return 0, 0, false
	}
	return int(n), window, true
}

// streamsGranted takes a server's grant. It runs under mu.
func streamsGranted(c *clientConn, value string) bool {
	most, window, ok := grantOf(value)
	if !ok {
		return false
	}
	c.granted = streamGrant{most: min(most, windowsFor(c.options.connStreams, c.options.maxMessage)), window: window}
	return true
}

// makeStreamsLocked makes the table when the first slot is taken: most connections never
// have a stream.
func (c *clientConn) makeStreamsLocked() {
	o := c.options
	t := newStreamTable(&c.mu, &c.out, c.codec, o.maxMessage, c.maxMessage, c.granted.most, o.connStreams)
	t.bodies.decoded = o.decodedBound()
	t.peerWindow, t.compress, t.flusher, t.freed = c.granted.window, c.compress, &c.flusher, c.grantLocked
	c.streams, c.out.lane = t, &t.lane
}

// streamGrant is what the hellos say of streams: most is 0 if they did not agree upon them.
type streamGrant struct {
	most   int   // streams that are open at once
	window int64 // the peer's
}
