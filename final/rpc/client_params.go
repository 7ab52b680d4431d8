package rpc

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A server says in its hello how many bytes of params may be in flight on a connection:
// an [extension]. A client of ours has a call wait for room, in place of having it
// refused. See WithParamsMemory for what the server counts.
const (
	paramsKey   = "rpc.params"
	paramsValue = "bytes" // what they are counted in: as encoded, and not compressed
)

// mostBesideParams is how many bytes of the user's pairs there may be beside the offer: a
// server of before reads little more of a hello than what users may send.
const mostBesideParams = 4 << 10

func offerParams(o *clientOptions) string {
	if isStream(o.codec) || wire.PairsSize(o.metadata) > mostBesideParams {
		return ""
	}
	return paramsValue
}

// grantParams says how many bytes may be in flight, and how many one call may have. gob's
// bodies wait for each other anyway, as they are encoded in order.
func grantParams(c *serverConn, codec Codec, offered string) string {
	if isStream(codec) || !slices.Contains(strings.Split(offered, ","), paramsValue) {
		return ""
	}
	most := c.params.most
	return strconv.FormatInt(max(most/paramsFactor(codec), 1), 10) + "," + strconv.FormatInt(most, 10)
}

// paramsFactor is for how many bytes of memory a byte of params counts in most calls. The
// buffer that it arrived in may be twice as large, and if it was compressed there is
// another. What it becomes comes on top: the texts of JSON count fourfold, the messages of
// a Sizer about twice. Some types count as more. What then does not fit is refused,
// as if there were no announcement.
func paramsFactor(codec Codec) int64 {
	const arrived = 2 + 1
	switch codec.(type) {
	case jsonCodec:
		return arrived + 4
	case Sizer:
		return arrived + 2
	}
	return arrived + growth
}

func paramsGranted(c *clientConn, value string) bool {
	room, most, _ := strings.Cut(value, ",")
	r, err := strconv.ParseInt(room, 10, 64)
	m, err2 := strconv.ParseInt(most, 10, 64)
	if err != nil || err2 != nil || r < 1 || m < r {
		return false
	}
	c.params = paramsRoom{room: r, most: m}
	return true
}

// paramsRoom is what a client knows of the bytes of params in flight on a connection.
type paramsRoom struct {
	room int64 // that may be in flight; not changed after the hello, as most
	most int64 // of one call

	taken int64 // by calls in flight and by those that are about to be; guarded by the connection's mu
}

// unboundedRoom is that of a server which announces nothing.
func unboundedRoom() paramsRoom { return paramsRoom{room: math.MaxInt64, most: math.MaxInt64} }

// counted returns how much a call with n bytes of params takes, or why it can never have
// that. Small ones take nothing, so they wait for nobody.
func (r *paramsRoom) counted(n int64) (int64, error) {
	switch {
	case n <= uncounted:
		return 0, nil
	case n > r.most:
		return 0, unrun(Errorf(ResourceExhausted, "params of %d bytes: on one connection the server has memory for %d (WithParamsMemory)", n, r.most))
	}
	return n, nil
}

// fits reports whether n bytes more may be in flight. More than there ever is room for
// waits for its turn alone: whether the server has memory for that depends on their type.
func (r *paramsRoom) fits(n int64) bool { return n == 0 || n > r.room || n <= r.room-r.taken }

func (c *clientConn) hasRoomFor(params int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.params.fits(params)
}

// waitForRoom is why a call is not sent yet: its params are to wait in the group's
// crowd, not encoded.
type waitForRoom struct{ params int64 }

func (*waitForRoom) Error() string { return "no room for params" }

// chargeLocked takes room for a call that is sent, which has taken kept already. A call
// that has kept nothing does not pass those that wait.
func (c *clientConn) chargeLocked(call *clientCall, kept int64) error {
	r, more := &c.params, call.params-kept
	if more > 0 && (!r.fits(more) || kept == 0 && c.owner.group.crowd.n.Load() > 0) {
		return &waitForRoom{call.params}
	}
	r.taken += more
	if more < 0 {
		c.grantLocked()
	}
	return nil
}
