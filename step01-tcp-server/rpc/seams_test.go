package rpc

// Tests of functions that a lesson has you write under a given name. You are
// free in how you write their bodies.

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadLine_ReturnsALineWithoutItsNewline(t *testing.T) {
	r := bufio.NewReader(iotest.OneByteReader(strings.NewReader("hello\n\nagain\r\n")))
	for _, want := range []string{"hello", "", "again\r"} {
		line, err := readLine(r)
		require.NoError(t, err)
		assert.Equal(t, want, string(line))
	}
}

func TestReadLine_KeepsTheLineThatItReturned(t *testing.T) {
	r := bufio.NewReaderSize(strings.NewReader("first line\nsecond line\n"), 16)
	first, err := readLine(r)
	require.NoError(t, err)
	_, err = readLine(r) // fills the reader's buffer anew
	require.NoError(t, err)
	assert.Equal(t, "first line", string(first))
}

func TestReadLine_RefusesALineThatWasCutOff(t *testing.T) {
	line, err := readLine(bufio.NewReader(strings.NewReader("half a line")))
	assert.Error(t, err)
	assert.Nil(t, line, "what the rest would have been is not known")

	reset := errors.New("connection reset by peer")
	line, err = readLine(bufio.NewReader(io.MultiReader(strings.NewReader("half a line"), iotest.ErrReader(reset))))
	assert.ErrorIs(t, err, reset)
	assert.Nil(t, line)
}

// An endlessReader never sends a newline. It counts what is read.
type endlessReader struct{ n int }

func (r *endlessReader) Read(p []byte) (int, error) {
	if r.n > 2*maxLine {
		return 0, errors.New("readLine reads on and on")
	}
	clear(p)
	r.n += len(p)
	return len(p), nil
}

func TestReadLine_StopsAtTheLimit(t *testing.T) {
	longest := strings.Repeat("x", maxLine)
	line, err := readLine(bufio.NewReader(strings.NewReader(longest + "\n")))
	require.NoError(t, err)
	require.True(t, longest == string(line), "a line of maxLine bytes")

	endless := &endlessReader{}
	_, err = readLine(bufio.NewReader(endless))
	assert.Error(t, err)
	assert.LessOrEqual(t, endless.n, 2*maxLine, "bytes read of a line without an end")
}
