package wire

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpen_IsTheSameTakenApart(t *testing.T) {
	head := OpenHead{Shape: ServerStream, RequestHead: RequestHead{Timeout: 2 * time.Second, Method: "A.B", Metadata: map[string]string{"k": "v"}}}
	b := append(head.Append(nil, FlagCompressed, 7, 4), "body"...)
	assert.Len(t, b, HeaderSize+head.Size()+4)
	f, err := ParseFrame(b)
	require.NoError(t, err)
	assert.Equal(t, Frame{Kind: KindOpen, Flags: FlagPairs | FlagCompressed, ID: 7, Payload: b[HeaderSize:]}, f)
	require.NoError(t, f.Check(FlagMore|FlagCompressed))
	o, err := ParseOpen(&f)
	require.NoError(t, err)
	assert.Equal(t, 2*time.Second, o.Timeout)
	assert.Equal(t, ServerStream, o.Shape)
	assert.Equal(t, "A.B", string(o.Method))
	assert.Equal(t, "body", string(o.Body))
	pairs, err := ParsePairs(o.Pairs, 2)
	require.NoError(t, err)
	assert.Equal(t, head.Metadata, pairs)
}

func TestEnd_IsTheSameTakenApart(t *testing.T) {
	for name, said := range map[string]Reason{
		"good":                {},
		"an error":            {Code: NotFound, Text: "no such item"},
		"details":             {Code: NotFound, Details: map[string]string{"item": "x"}},
		"trailer":             {Metadata: map[string]string{"served-by": "b"}},
		"details and trailer": {Code: NotFound, Text: "no", Details: map[string]string{"item": "x"}, Metadata: map[string]string{"k": ""}},
	} {
		f, err := ParseFrame(AppendEnd(nil, 0, 9, &said))
		require.NoError(t, err, name)
		assert.Equal(t, KindEnd, f.Kind, name)
		require.NoError(t, f.Check(FlagMore|FlagReplyMetadata), name)
		r, err := ParseReason(&f)
		require.NoError(t, err, name)
		assert.Equal(t, said.Code, r.Code, name)
		assert.Equal(t, said.Text, string(r.Text), name)
		assert.Equal(t, AppendPairs(nil, said.Details), r.Pairs, name)
		assert.Equal(t, AppendPairs(nil, said.Metadata), r.Metadata, name)
	}
}

func TestBytes_AreTheSameTakenApart(t *testing.T) {
	for _, k := range []Kind{KindCredit, KindWant} {
		for _, n := range []uint32{1, 16 << 10, MaxCredit} {
			f, err := ParseFrame(AppendBytes(nil, k, 5, n))
			require.NoError(t, err)
			assert.Equal(t, k, f.Kind)
			require.NoError(t, f.Check(FlagMore))
			got, err := ParseBytes(&f)
			require.NoError(t, err)
			assert.Equal(t, int64(n), got)
		}
	}
}

func TestDataCost_IsTheWiresAndSomeMore(t *testing.T) {
	assert.EqualValues(t, 78, DataCost(0))
	assert.EqualValues(t, 178, DataCost(100))
}

// What is wrong with a stream's frame, and where.
func TestStreamFrames_AreRefused(t *testing.T) {
	parseOpen := func(f *Frame) error { _, err := ParseOpen(f); return err }
	parseEnd := func(f *Frame) error { _, err := ParseReason(f); return err }
	parseBytes := func(f *Frame) error { _, err := ParseBytes(f); return err }
	for name, c := range map[string]struct {
		parse   func(f *Frame) error
		kind    Kind
		flags   uint8
		payload string
		want    string
		offset  int
	}{
		"shape 0":                     {parseOpen, KindOpen, 0, "\x00\x00\x00\x00\x00\x00\x03A.B", "protocol: open 7 has shape 0", 18},
		"shape 4":                     {parseOpen, KindOpen, 0, "\x00\x00\x00\x00\x04\x00\x03A.B", "protocol: open 7 has shape 4", 18},
		"params of a client stream":   {parseOpen, KindOpen, 0, "\x00\x00\x00\x00\x02\x00\x03A.B{}", "protocol: open 7 has 2 bytes of params, and shape 2, which has none", 24},
		"params of a bidi stream":     {parseOpen, KindOpen, 0, "\x00\x00\x00\x00\x03\x00\x03A.B{}", "protocol: open 7 has 2 bytes of params, and shape 3, which has none", 24},
		"no params, and compressed":   {parseOpen, KindOpen, FlagCompressed, "\x00\x00\x00\x00\x03\x00\x03A.B", "protocol: open 7 has compressed params, and shape 3, which has none", 5},
		"method past the end":         {parseOpen, KindOpen, 0, "\x00\x00\x00\x00\x01\x00\x09A.B", "protocol: truncated open 7", 21},
		"metadata past the end":       {parseOpen, KindOpen, FlagPairs, "\x00\x00\x00\x00\x01\x00\x03A.B\x00\x05k", "protocol: truncated open 7", 26},
		"more after an end":           {parseEnd, KindEnd, 0, "\x00\x00\x00x", "protocol: malformed end of stream 7", 17},
		"end cut short":               {parseEnd, KindEnd, 0, "\x00\x00\x05x", "protocol: malformed end of stream 7", 17},
		"trailer past the end":        {parseEnd, KindEnd, FlagReplyMetadata, "\x00\x00\x00\x00\x03", "protocol: malformed end of stream 7", 19},
		"credit of 0":                 {parseBytes, KindCredit, 0, "\x00\x00\x00\x00", "protocol: credit of 0 bytes for stream 7", 14},
		"credit that reads as minus1": {parseBytes, KindCredit, 0, "\xff\xff\xff\xff", "protocol: credit of 4294967295 bytes for stream 7", 14},
		"want of 2^31":                {parseBytes, KindWant, 0, "\x80\x00\x00\x00", "protocol: want of 2147483648 bytes for stream 7", 14},
		"credit cut short":            {parseBytes, KindCredit, 0, "\x00\x00\x01", "protocol: truncated credit for stream 7", 14},
		"more after a credit":         {parseBytes, KindCredit, 0, "\x00\x00\x00\x01\x00", "protocol: 1 bytes after the fields of a credit for stream 7", 18},
	} {
		f := Frame{Kind: c.kind, Flags: c.flags, ID: 7, Payload: []byte(c.payload)}
		require.NoError(t, f.Check(Extensions), name)
		var e *Error
		if !assert.ErrorAs(t, c.parse(&f), &e, name) {
			continue
		}
		assert.Equal(t, c.want, e.Text, name)
		assert.Equal(t, InvalidArgument, e.Code, name)
		assert.Equal(t, c.offset, e.Offset, name)
	}
}

func TestStreamFrames_EveryCutIsAnError(t *testing.T) {
	head := OpenHead{Shape: BidiStream, RequestHead: RequestHead{Method: "A.B", Metadata: map[string]string{"k": "v"}}}
	pairs := map[string]string{"k": "v"}
	for _, c := range []struct {
		whole []byte
		parse func(f *Frame) error
	}{
		{head.Append(nil, 0, 1, 0), func(f *Frame) error { _, err := ParseOpen(f); return err }},
		{AppendEnd(nil, 0, 1, &Reason{Text: "text", Details: pairs, Metadata: pairs}), func(f *Frame) error { _, err := ParseReason(f); return err }},
		{AppendBytes(nil, KindWant, 1, 9), func(f *Frame) error { _, err := ParseBytes(f); return err }},
	} {
		f, err := ParseFrame(c.whole)
		require.NoError(t, err)
		require.NoError(t, c.parse(&f))
		payload := f.Payload
		for n := range len(payload) {
			f.Payload = payload[:n:n]
			var e *Error
			require.ErrorAs(t, c.parse(&f), &e, "%s cut to %d bytes", f.Kind, n)
			assert.NotEmpty(t, e.Detail)
			assert.LessOrEqual(t, e.Offset, HeaderSize+n)
		}
	}
}

// Without the grant, all kinds of streams are unknown, as they were before there were streams.
func TestCheck_StreamsHaveToBeAgreedUpon(t *testing.T) {
	for k := KindOpen; k <= KindHeader; k++ {
		f := Frame{Kind: k}
		var e *Error
		require.ErrorAs(t, f.Check(FlagCompressed|FlagReplyMetadata), &e)
		assert.Equal(t, Unimplemented, e.Code)
		assert.NoError(t, f.Check(FlagMore), k)
		assert.False(t, k.Known())
		assert.True(t, k.OfStreams())
	}
	assert.Error(t, (&Frame{Kind: KindHeader + 1}).Check(Extensions))
	for name, f := range map[string]Frame{
		"more on a credit":               {Kind: KindCredit, Flags: FlagMore},
		"more on a response":             {Kind: KindResponse, Flags: FlagMore},
		"gob's flags":                    {Kind: KindData, Flags: FlagRestart},
		"gob's flags, self-contained":    {Kind: KindOpen, Flags: FlagSelfContained},
		"details on data":                {Kind: KindData, Flags: FlagPairs},
		"compression that is not agreed": {Kind: KindData, Flags: FlagCompressed},
		"a trailer that is not agreed":   {Kind: KindEnd, Flags: FlagReplyMetadata},
	} {
		var e *Error
		require.ErrorAs(t, f.Check(FlagMore), &e, name)
		assert.Contains(t, e.Text, "reserved flags", name)
	}
}

func FuzzOpen(f *testing.F) {
	head := OpenHead{Shape: ServerStream, RequestHead: RequestHead{Method: "A.B", Metadata: map[string]string{"k": "v"}}}
	f.Add(FlagPairs, append(head.Append(nil, 0, 1, 2), "{}"...)[HeaderSize:])
	f.Add(uint8(0), []byte("\x00\x00\x00\x01\x03\x00\x03A.B"))
	f.Fuzz(func(t *testing.T, flags uint8, payload []byte) {
		o, err := ParseOpen(&Frame{Kind: KindOpen, Flags: flags, ID: 1, Payload: payload})
		if err != nil {
			assertError(t, err, payload)
			return
		}
		pairs, err := ParsePairs(o.Pairs, MaxPairs)
		if err != nil {
			return
		}
		head := OpenHead{Shape: o.Shape, RequestHead: RequestHead{Timeout: o.Timeout, Method: string(o.Method), Metadata: pairs}}
		again, err := ParseFrame(append(head.Append(nil, flags&FlagCompressed, 1, len(o.Body)), o.Body...))
		require.NoError(t, err)
		same, err := ParseOpen(&again)
		require.NoError(t, err)
		assert.Equal(t, o.Timeout, same.Timeout)
		assert.Equal(t, o.Shape, same.Shape)
		assert.True(t, bytes.Equal(o.Method, same.Method))
		assert.True(t, bytes.Equal(o.Body, same.Body))
		back, err := ParsePairs(same.Pairs, MaxPairs)
		require.NoError(t, err)
		assert.Equal(t, pairs, back)
	})
}

func FuzzEnd(f *testing.F) {
	pairs := map[string]string{"k": "v"}
	f.Add(FlagPairs|FlagReplyMetadata, AppendEnd(nil, 0, 1, &Reason{Code: NotFound, Text: "no", Details: pairs, Metadata: pairs})[HeaderSize:])
	f.Add(uint8(0), []byte("\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, flags uint8, payload []byte) {
		r, err := ParseReason(&Frame{Kind: KindEnd, Flags: flags, ID: 1, Payload: payload})
		if err != nil {
			assertError(t, err, payload)
			return
		}
		details, err1 := ParsePairs(r.Pairs, math.MaxInt)
		trailer, err2 := ParsePairs(r.Metadata, math.MaxInt)
		if err1 != nil || err2 != nil {
			return
		}
		said := Reason{Code: r.Code, Text: string(r.Text), Details: details, Metadata: trailer}
		again, err := ParseFrame(AppendEnd(nil, 0, 1, &said))
		require.NoError(t, err)
		same, err := ParseReason(&again)
		require.NoError(t, err)
		assert.Equal(t, r.Code, same.Code)
		assert.True(t, bytes.Equal(r.Text, same.Text))
		backDetails, err := ParsePairs(same.Pairs, math.MaxInt)
		require.NoError(t, err)
		assert.Equal(t, details, backDetails)
		backTrailer, err := ParsePairs(same.Metadata, math.MaxInt)
		require.NoError(t, err)
		assert.Equal(t, trailer, backTrailer)
	})
}

func FuzzBytes(f *testing.F) {
	f.Add([]byte("\x00\x00\x40\x00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		n, err := ParseBytes(&Frame{Kind: KindCredit, ID: 1, Payload: payload})
		if err != nil {
			assertError(t, err, payload)
			return
		}
		assert.Positive(t, n)
		assert.LessOrEqual(t, n, int64(MaxCredit))
		assert.Equal(t, payload, AppendBytes(nil, KindCredit, 1, uint32(n))[HeaderSize:])
	})
}

// assertError holds an error of a parser to what all of them promise.
func assertError(t *testing.T, err error, payload []byte) {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	assert.NotEmpty(t, e.Detail)
	assert.GreaterOrEqual(t, e.Offset, 0)
	assert.LessOrEqual(t, e.Offset, HeaderSize+len(payload))
}
