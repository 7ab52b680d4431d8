package rpc

// Tests of functions that a lesson has you write under a given name. You are
// free in how you write their bodies.

import (
	"bufio"
	"encoding/json"
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

func TestReadLine_HasRoomForAMebibyte(t *testing.T) {
	line, err := readLine(bufio.NewReader(strings.NewReader(strings.Repeat("x", 1<<20) + "\n")))
	require.NoError(t, err)
	assert.Equal(t, 1<<20, len(line))
}

func TestReadRequest_ReadsOneRequestAtATime(t *testing.T) {
	r := bufio.NewReader(strings.NewReader(`{"method":"A","params":"item1"}` + "\n\r\n" + `{"method":"B"}` + "\n"))
	req, err := readRequest(r)
	require.NoError(t, err)
	assert.Equal(t, "A", req.Method)
	assert.Equal(t, `"item1"`, string(req.Params), "which are not decoded yet")
	req, err = readRequest(r)
	require.NoError(t, err)
	assert.Equal(t, "B", req.Method)
	assert.Nil(t, req.Params)
	_, err = readRequest(r)
	require.Error(t, err)
	assert.NotErrorIs(t, err, errInvalidRequest, "the end of the input is no request, and needs no answer")
}

func TestReadRequest_GoesOnAfterAnInvalidOne(t *testing.T) {
	r := bufio.NewReader(strings.NewReader("hello\n" + `{"method":5}` + "\n" + `{}` + "\n" + `{"method":"M"}` + "\n"))
	for range 3 {
		_, err := readRequest(r)
		require.ErrorIs(t, err, errInvalidRequest)
	}
	req, err := readRequest(r)
	require.NoError(t, err)
	assert.Equal(t, "M", req.Method)
}

func TestMarshalLine_MakesOneLine(t *testing.T) {
	line, err := marshalLine(Response{Error: "two\nlines"})
	require.NoError(t, err)
	assert.Equal(t, len(line)-1, strings.Index(string(line), "\n"), "the only newline is the last byte")
	var resp Response
	require.NoError(t, json.Unmarshal(line, &resp))
	assert.Equal(t, "two\nlines", resp.Error)
}

func TestMarshalLine_RefusesWhatCannotBeSent(t *testing.T) {
	longest := strings.Repeat("x", maxLine-len(`""`))
	line, err := marshalLine(longest)
	require.NoError(t, err)
	assert.Equal(t, maxLine, len(line)-1, "a line of maxLine bytes, and its newline")
	_, err = marshalLine(longest + "x")
	assert.Error(t, err)
	_, err = marshalLine(func() {})
	assert.Error(t, err)
}
