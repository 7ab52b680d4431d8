//go:build museum

package main

import (
	"bytes"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSender_SendsMessagesWhole has a second message sent while the first is on
// its way: as soon as the first Write has been made.
func TestSender_SendsMessagesWhole(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // one at a time: Gosched alone decides who runs
	w := &pausingWriter{}
	sender := NewSender(w)
	var second sync.WaitGroup
	w.pause = func() { second.Go(func() { assert.NoError(t, sender.Send("order 2")) }) }
	require.NoError(t, sender.Send("order 1"))
	second.Wait()

	var got []string
	for wire := bytes.NewReader(w.bytes()); wire.Len() > 0; {
		message, err := Receive(wire)
		if err != nil {
			got = append(got, "nonsense") // which, depends on who was faster
			break
		}
		got = append(got, message)
	}
	assert.ElementsMatch(t, []string{"order 1", "order 2"}, got)
}

// A pausingWriter calls pause once, within its first Write, and then lets other
// goroutines go on. It does not wait for them: they may have to wait for us.
type pausingWriter struct {
	mu    sync.Mutex
	wire  []byte
	pause func()
}

func (w *pausingWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	w.wire = append(w.wire, p...)
	pause := w.pause
	w.pause = nil
	w.mu.Unlock()
	if pause != nil {
		pause()
		for range 100 {
			runtime.Gosched()
		}
	}
	return len(p), nil
}

func (w *pausingWriter) bytes() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.wire
}
