package rpc

import (
	"bufio"
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFrames_OneBadMessageLeavesTheConnection(t *testing.T) {
	speak(t, "frames")
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Bad", func() struct{ V any } { return struct{ V any }{struct{ unregistered int }{}} })
		register(t, srv, "Good", func(n int) int { return n + 1 })
		c := newClient(t, srv)
		var n int
		require.NoError(t, call(c, "Test.Good", 1, &n))
		assert.ErrorContains(t, call(c, "Test.Bad", nil, nil), "cannot send")
		assert.Error(t, call(c, "Test.Good", "one", &n), "a text is no int")
		assert.Error(t, call(c, "Test.Good", make(chan int), &n), "a channel cannot travel")
		require.NoError(t, call(c, "Test.Good", 2, &n))
		assert.Equal(t, 3, n)
	})
}

func TestFrames_CarryBytesAsTheyAre(t *testing.T) {
	speak(t, "frames")
	synctest.Test(t, func(t *testing.T) {
		srv := newServer(t, &Server{})
		register(t, srv, "Echo", func(b []byte) []byte { return b })
		want := []byte("\x00\n\xff" + strings.Repeat("\n", 1000))
		var got []byte
		require.NoError(t, call(newClient(t, srv), "Test.Echo", want, &got))
		assert.Equal(t, want, got)
	})
}

func TestFrames_MessageThatIsNoGobIsAnswered(t *testing.T) {
	speak(t, "frames")
	synctest.Test(t, func(t *testing.T) {
		conn := greet(t, newStockServer(t).connect(t))
		client := &frameCodec{r: bufio.NewReader(conn), w: conn}
		write(t, conn, "\x00\x00\x00\x0b\x00\x00\x00\x00\x00\x00\x00\x07xyz")
		resp, err := client.ReadResponse(func(uint64) any { return nil })
		require.NoError(t, err)
		assert.EqualValues(t, 7, resp.ID)
		assert.ErrorContains(t, &Error{Message: resp.Error}, "invalid request")

		go client.WriteRequest(Request{ID: 8, Method: "Inventory.CheckStock", value: "item1"})
		var quantity int
		resp, err = client.ReadResponse(func(uint64) any { return &quantity })
		require.NoError(t, err)
		assert.EqualValues(t, 8, resp.ID)
		assert.Equal(t, 100, quantity)
	})
}

func TestFrames_LengthIsCheckedFirst(t *testing.T) {
	var before, after runtime.MemStats
	for _, claim := range []string{"\x00\x00\x00\x07", "\x00\x10\x00\x00", "\x00\x10\x00\x01", "\xff\xff\xff\xff"} {
		c := &frameCodec{r: bufio.NewReader(strings.NewReader(claim + "\x00\x00\x00\x00\x00\x00\x00\x01x"))}
		runtime.ReadMemStats(&before)
		_, err := c.ReadRequest(nil)
		runtime.ReadMemStats(&after)
		assert.Error(t, err)
		assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<10), "bytes allocated for one that came")
		if claim == "\x00\x10\x00\x00" { // as much as is allowed
			assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
		} else {
			assert.ErrorIs(t, err, errLineTooLong)
		}
	}
}

func TestFrames_AreWrittenWholeOrNotAtAll(t *testing.T) {
	var out bytes.Buffer
	c := &frameCodec{w: &out}
	assert.ErrorIs(t, c.WriteRequest(Request{ID: 1, Method: "M", value: make([]byte, maxFrame)}), errCannotSend)
	assert.ErrorIs(t, c.WriteRequest(Request{ID: 1, Method: "M", value: make(chan int)}), errCannotSend)
	assert.Zero(t, out.Len())
}
