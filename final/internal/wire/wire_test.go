package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a message is in bytes is held against PROTOCOL.md's captures, by final/rpc and
// by conform. These tests are about what no capture shows.

func TestRequest_IsTheSameTakenApart(t *testing.T) {
	head := RequestHead{Timeout: 1500*time.Millisecond + time.Microsecond, Method: "A.B", Metadata: map[string]string{"k": "v", "empty": ""}}
	b := append(head.Append(nil, FlagRestart, 7, 4), "body"...)
	assert.Len(t, b, HeaderSize+head.Size()+4)
	f, err := ParseFrame(b)
	require.NoError(t, err)
	assert.Equal(t, Frame{Kind: KindRequest, Flags: FlagPairs | FlagRestart, ID: 7, Payload: b[HeaderSize:]}, f)
	require.NoError(t, f.Check(0))
	r, err := ParseRequest(&f)
	require.NoError(t, err)
	assert.Equal(t, 1500*time.Millisecond, r.Timeout)
	assert.Equal(t, "A.B", string(r.Method))
	assert.Equal(t, "body", string(r.Body))
	pairs, err := ParsePairs(r.Pairs, 2)
	require.NoError(t, err)
	assert.Equal(t, head.Metadata, pairs)
	_, err = ParsePairs(r.Pairs, 1)
	assert.EqualError(t, err, "more than 1 pairs of metadata")
}

func TestRequest_LongestTimeoutIsTheWires(t *testing.T) {
	head := RequestHead{Timeout: math.MaxInt64}
	f, err := ParseFrame(head.Append(nil, 0, 1, 0))
	require.NoError(t, err)
	r, err := ParseRequest(&f)
	require.NoError(t, err)
	assert.Equal(t, math.MaxUint32*time.Millisecond, r.Timeout)
}

func TestReason_IsTheSameTakenApart(t *testing.T) {
	said := Reason{Code: NotFound, Text: "no such item", Details: map[string]string{"item": "x"}}
	f, err := ParseFrame(AppendError(nil, FlagNeverRan, 9, &said))
	require.NoError(t, err)
	assert.Equal(t, uint8(FlagPairs|FlagNeverRan), f.Flags)
	r, err := ParseReason(&f)
	require.NoError(t, err)
	assert.Equal(t, said.Code, r.Code)
	assert.Equal(t, said.Text, string(r.Text))
	details, err := ParsePairs(r.Pairs, math.MaxInt)
	require.NoError(t, err)
	assert.Equal(t, said.Details, details)

	f, err = ParseFrame(AppendGoAway(nil, 9, &said))
	require.NoError(t, err)
	assert.Equal(t, KindGoAway, f.Kind)
	assert.Zero(t, f.Flags)
	_, err = ParseReason(&f)
	require.NoError(t, err)
}

func TestHellos_AreTheSameTakenApart(t *testing.T) {
	client := ClientHello{Codec: "json", MaxMessage: 4096, Pairs: AppendPairs(nil, map[string]string{"k": "v"})}
	in := strings.NewReader(string(client.Append(nil)) + "next")
	body, err := ReadHello(in, client.Size())
	require.NoError(t, err)
	assert.Equal(t, 4, in.Len(), "not a byte more")
	back, err := ParseClientHello(body)
	require.NoError(t, err)
	assert.Equal(t, client, back)
	require.NoError(t, back.Check())

	server := ServerHello{Code: Unavailable, InFlight: 3, MaxMessage: 2048, Text: "words"}
	body, err = ReadHello(bytes.NewReader(server.Append(nil)), MaxHello)
	require.NoError(t, err)
	same, err := ParseServerHello(body)
	require.NoError(t, err)
	assert.Equal(t, server, same)
	require.NoError(t, same.Check())
}

// Each part that is missing is an error that says where and what, and never a panic.
func TestParse_EveryCutIsAnError(t *testing.T) {
	head := RequestHead{Method: "A.B", Metadata: map[string]string{"k": "v"}}
	client := ClientHello{Codec: "json", MaxMessage: 4096}
	server := ServerHello{InFlight: 3, MaxMessage: 2048}
	parsers := map[string]struct {
		whole []byte
		from  int // of the message's first bytes, which are not looked at
		parse func(b []byte) error
	}{
		"request": {head.Append(nil, 0, 1, 0), HeaderSize, func(b []byte) error {
			_, err := ParseRequest(&Frame{Kind: KindRequest, Flags: FlagPairs, Payload: b})
			return err
		}},
		"error": {AppendError(nil, 0, 1, &Reason{Text: "text", Details: map[string]string{"k": "v"}}), HeaderSize, func(b []byte) error {
			_, err := ParseReason(&Frame{Kind: KindError, Flags: FlagPairs, Payload: b})
			return err
		}},
		"go-away": {AppendGoAway(nil, 1, &Reason{Text: "text"}), HeaderSize, func(b []byte) error {
			_, err := ParseReason(&Frame{Kind: KindGoAway, Payload: b})
			return err
		}},
		"pairs": {AppendPairs(nil, map[string]string{"key": "value"}), 0, func(b []byte) error {
			if len(b) == 0 {
				return &Error{Detail: "no pair"}
			}
			_, err := ParsePairs(b, 1)
			return err
		}},
		"client's hello": {client.Append(nil), HelloSize, func(b []byte) error {
			_, err := ParseClientHello(b)
			return err
		}},
		"server's hello": {server.Append(nil), HelloSize, func(b []byte) error {
			_, err := ParseServerHello(b)
			return err
		}},
	}
	for name, c := range parsers {
		payload := c.whole[c.from:]
		for n := range len(payload) {
			var e *Error
			require.ErrorAs(t, c.parse(payload[:n:n]), &e, "%s cut to %d bytes", name, n)
			assert.NotEmpty(t, e.Detail, name)
			assert.LessOrEqual(t, e.Offset, c.from+n, name)
		}
		assert.NoError(t, c.parse(payload), name)
	}
}

// fed gives a reader bytes in pieces and returns the frames that it makes of them.
func fed(t *testing.T, r *Reader, data []byte, piece int) (frames [][]byte, err error) {
	t.Helper()
	for {
		f, err := r.Next()
		if err != nil || f == nil && len(data) == 0 {
			return frames, err
		}
		if f != nil {
			frames = append(frames, append(AppendHeader(nil, f.Kind, f.Flags, f.ID, len(f.Payload)), f.Payload...))
			continue
		}
		room := r.Room()
		require.NotEmpty(t, room)
		n := copy(room, data[:min(piece, len(data))])
		data = data[n:]
		r.Took(n)
	}
}

func TestReader_CutsAnyPiecesIntoTheSameFrames(t *testing.T) {
	var want [][]byte
	for id, size := range []int{0, 1, 2000, 5000, largeFrame - HeaderSize - 1, largeFrame, 70_000, 0} {
		want = append(want, append(AppendHeader(nil, KindResponse, 0, uint64(id), size), bytes.Repeat([]byte{byte(id)}, size)...))
	}
	for _, piece := range []int{9, 13, 14, 1000, 1 << 20} {
		r := &Reader{Limit: 1 << 20}
		got, err := fed(t, r, bytes.Join(want, nil), piece)
		require.NoError(t, err)
		assert.Equal(t, want, got, "in pieces of %d", piece)
		assert.False(t, r.Partial())
		r.Shrink()
		assert.LessOrEqual(t, r.Held(), minReadBuffer)
	}
}

// Most connections make small calls, and most of them are idle: their reader waits with
// little memory, however many frames it has read.
func TestReader_SmallFramesTakeLittleMemory(t *testing.T) {
	r := &Reader{Limit: 1 << 20}
	call := append(AppendHeader(nil, KindResponse, 0, 1, 100), bytes.Repeat([]byte{1}, 100)...)
	for range 1000 {
		got, err := fed(t, r, call, len(call))
		require.NoError(t, err)
		require.Equal(t, [][]byte{call}, got)
	}
	assert.LessOrEqual(t, r.Held(), 512)
}

// Of large frames in a row, most bytes are read into their own buffers: what is read into the
// reader's is copied. After a small frame, it reads as much as it can again.
func TestReader_LargeFramesInARowAreNotCopied(t *testing.T) {
	r := &Reader{Limit: 1 << 20}
	large := append(AppendHeader(nil, KindData, 0, 1, 64<<10), make([]byte, 64<<10)...)
	got, err := fed(t, r, bytes.Repeat(large, 20), 1<<20)
	require.NoError(t, err)
	require.Len(t, got, 20)
	assert.LessOrEqual(t, r.Held(), 4<<10)

	small := append(AppendHeader(nil, KindData, 0, 1, 100), make([]byte, 100)...)
	got, err = fed(t, r, bytes.Repeat(small, 1000), 1<<20)
	require.NoError(t, err)
	require.Len(t, got, 1000)
	assert.Len(t, r.Room(), maxReadBuffer)
}

// Four bytes are enough to refuse a length, and a length is no reason to take memory.
func TestReader_LengthIsAClaim(t *testing.T) {
	r := &Reader{Limit: 1 << 20}
	_, err := fed(t, r, binary.BigEndian.AppendUint32(nil, 1<<20+1), 4)
	assert.EqualError(t, err, "frame of length 1048577: at most 1048576 are allowed")
	_, err = fed(t, &Reader{Limit: 1 << 20}, binary.BigEndian.AppendUint32(nil, MinLength-1), 4)
	assert.EqualError(t, err, "protocol: frame of length 9, less than 10")

	r = &Reader{Limit: 1 << 20}
	_, err = fed(t, r, AppendHeader(nil, KindRequest, 0, 1, 1<<20-MinLength), 4)
	require.NoError(t, err)
	assert.True(t, r.Partial())
	assert.LessOrEqual(t, r.Held(), 8<<10)
}

func TestReader_BufferedMeansNextReturnsAFrame(t *testing.T) {
	r := &Reader{Limit: 1 << 20}
	ping := AppendHeader(nil, KindPing, 0, 1, 0)
	for n, b := range append(bytes.Clone(ping), ping...) {
		assert.Equal(t, n >= len(ping), r.Buffered(), "after %d bytes", n)
		r.Room()[0] = b
		r.Took(1)
	}
}

func TestReadHello_StopsAtWhatItRefuses(t *testing.T) {
	for hello, want := range map[string]string{
		"GET / HTTP/1.1":      `protocol: hello begins with "GET ": not this protocol`,
		"\x93RPC\x01\x01\x00": "hello of 256 bytes: at most 100 are allowed",
		"\x93RPC\x02\x00\x00": "unknown version 2: this side speaks 1",
	} {
		_, err := ReadHello(strings.NewReader(hello), 100)
		var e *Error
		require.True(t, errors.As(err, &e), hello)
		assert.EqualError(t, err, want)
	}
	_, err := ReadHello(strings.NewReader("\x93RP"), 100)
	assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
	_, err = ReadHello(strings.NewReader(""), 100)
	assert.ErrorIs(t, err, io.EOF)
}

func TestNames_OfWhatVersion1DoesNotHave(t *testing.T) {
	assert.Equal(t, "kind 0", Kind(0).String())
	assert.Equal(t, "kind 14", Kind(14).String())
	assert.Equal(t, "go-away", KindGoAway.String())
	assert.Equal(t, "code 17", Code(17).String())
	assert.Equal(t, "unauthenticated", Unauthenticated.String())
}
