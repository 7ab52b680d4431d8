//go:build museum

package main

import (
	"bytes"
	"io"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadMessage_RefusesALengthBeforeItAllocates(t *testing.T) {
	var err error
	cost := allocated(func() { _, err = ReadMessage(bytes.NewReader([]byte{0x03, 0xff, 0xff, 0xff, 'x'})) })
	assert.ErrorIs(t, err, ErrTooLarge)
	assert.Zero(t, cost>>20, "MiB allocated for a message of which one byte arrived")
}

func TestReadMessage_AllocatesForWhatCame(t *testing.T) {
	var err error
	cost := allocated(func() { _, err = ReadMessage(bytes.NewReader([]byte{0x00, 0x40, 0x00, 0x00, 'x'})) })
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	assert.Zero(t, cost>>20, "MiB allocated for a message of which one byte arrived")
}

func TestReadMessage_ReadsWhatWasWritten(t *testing.T) {
	var wire bytes.Buffer
	for _, n := range []int{0, 1, 100_000, MaxMessage} {
		require.NoError(t, WriteMessage(&wire, bytes.Repeat([]byte{'x'}, n)))
	}
	for _, n := range []int{0, 1, 100_000, MaxMessage} {
		message, err := ReadMessage(&wire)
		require.NoError(t, err)
		assert.Len(t, message, n)
	}
}

// allocated returns how many bytes f allocates, what is freed meanwhile included.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}
