//go:build museum

package main

import (
	"fmt"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStream_ASlowReaderDelaysNoOtherStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender, receiver := conns()
		defer receiver.Close()
		flood(sender.Stream(2))
		synctest.Wait() // stream 2 is full, and not read
		flood(sender.Stream(0))
		for i := range 10 * Window {
			item, err := receiver.Stream(0).Receive()
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint(i), item)
		}
	})
}

// The fix must not be a queue without end.
func TestStream_ASlowReaderMakesItsSenderWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sender, receiver := conns()
		defer receiver.Close()
		sent := flood(sender.Stream(2))
		synctest.Wait()
		assert.Less(t, *sent, 10*Window, "items that were sent, of which none was received")

		item, err := receiver.Stream(2).Receive() // and it is not lost
		require.NoError(t, err)
		assert.Equal(t, "0", item)
	})
}

// flood sends as long as the stream takes items, up to ten thousand, and counts them.
func flood(s *Stream) (sent *int) {
	sent = new(int)
	go func() {
		for *sent < 10_000 && s.Send(fmt.Sprint(*sent)) == nil {
			*sent++
		}
	}()
	return sent
}

func conns() (sender, receiver *Conn) {
	here, there := net.Pipe()
	sender, receiver = NewConn(here), NewConn(there)
	time.AfterFunc(time.Minute, receiver.Close) // of the bubble's time
	return sender, receiver
}
