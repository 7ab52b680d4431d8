package frames

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// root is the workspace's.
const root = "../../.."

func captures(t *testing.T, pattern string) map[string][]Section {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "testdata", "wire", pattern))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string][]Section{}
	for _, file := range files {
		f, err := os.Open(file)
		require.NoError(t, err)
		defer f.Close()
		all[filepath.Base(file)], err = ReadCapture(f)
		require.NoError(t, err, file)
	}
	return all
}

// agreed returns the flags that a section's hellos agree upon.
func agreed(s Section) uint8 {
	if len(s.Packets) < 2 {
		return 0
	}
	ours, wrong := ParseHello(s.Packets[0].Data)
	theirs, bad := ParseHello(s.Packets[1].Data)
	if wrong != nil || bad != nil {
		return 0
	}
	c, wrong := ours.Client()
	h, bad := theirs.Server()
	if wrong != nil || bad != nil {
		return 0
	}
	return Agreed(c, h)
}

// messages cuts a connection's packets into messages and hands them out: which
// side sent it, whether it is its hello, and its bytes.
func messages(s Section, each func(p Packet, hello bool, b []byte)) {
	began := map[bool]bool{}
	for _, p := range s.Packets {
		for b := p.Data; len(b) > 0; {
			hello := !began[p.FromClient]
			began[p.FromClient] = true
			size := Size(b, hello)
			if size == 0 || size > len(b) || hello && !wire.IsMagic(b) {
				size = len(b)
			}
			each(p, hello, b[:size])
			b = b[size:]
		}
	}
}

// What is not bad is put together again from its fields, byte for byte, and the
// notes, which final's own dissector wrote, name the same fields.
func TestCaptures_GoodMessagesAreUnderstood(t *testing.T) {
	seen := map[wire.Kind]int{}
	for file, sections := range captures(t, "final-*.txt") {
		for _, s := range sections {
			if strings.HasSuffix(file, "-bad.txt") || strings.HasPrefix(s.Name, "compressed: ") || strings.HasPrefix(s.Name, "reply metadata: ") {
				continue
			}
			agreed := agreed(s)
			messages(s, func(p Packet, hello bool, b []byte) {
				t.Run(file+"/"+s.Name, func(t *testing.T) {
					if hello {
						sameHello(t, p, b)
						return
					}
					seen[sameFrame(t, p, b, agreed)]++
				})
			})
		}
	}
	for k := wire.KindRequest; k <= wire.KindHeader; k++ {
		assert.NotZero(t, seen[k], k)
	}
}

func sameHello(t *testing.T, p Packet, b []byte) {
	h, err := ParseHello(b)
	require.NoError(t, err)
	if p.FromClient {
		c, err := h.Client()
		require.NoError(t, err)
		assert.Equal(t, b, c.Bytes())
		assert.Contains(t, p.Notes, fmt.Sprintf("codec %q | %08x largest message that the client reads %d", c.Codec, c.MaxMessage, c.MaxMessage))
		return
	}
	s, err := h.Server()
	require.NoError(t, err)
	assert.Equal(t, b, s.Bytes())
	assert.Contains(t, p.Notes, fmt.Sprintf("code %s | %08x calls in flight %d |", s.Code, s.InFlight, s.InFlight))
}

func sameFrame(t *testing.T, p Packet, b []byte, agreed uint8) wire.Kind {
	f, err := ParseFrame(b)
	require.NoError(t, err)
	require.NoError(t, f.CheckAgreed(p.FromClient, agreed))
	assert.Equal(t, b, f.Bytes())
	assert.Contains(t, p.Notes, fmt.Sprintf("%02x %s | %02x flags | %016x ", byte(f.Kind), f.Kind, byte(f.Flags), f.ID))
	switch f.Kind {
	case wire.KindRequest:
		r, err := f.Request()
		require.NoError(t, err)
		assert.Equal(t, b, r.Frame().Bytes())
		assert.Contains(t, p.Notes, fmt.Sprintf("timeout %d ms | %04x method %q", r.TimeoutMS, len(r.Method), r.Method))
		samePairs(t, p, r.Metadata)
	case wire.KindResponse:
		r, err := f.Response()
		require.NoError(t, err)
		assert.Equal(t, b, r.Frame().Bytes())
		samePairs(t, p, r.Metadata)
	case wire.KindOpen:
		o, err := f.Open()
		require.NoError(t, err)
		assert.Equal(t, b, o.Frame().Bytes())
		assert.Contains(t, p.Notes, fmt.Sprintf("timeout %d ms | %02x %s | %04x method %q", o.TimeoutMS, byte(o.Shape), shapeNames[o.Shape], len(o.Method), o.Method))
		samePairs(t, p, o.Metadata)
	case wire.KindCredit, wire.KindWant:
		n, err := f.Amount()
		require.NoError(t, err)
		assert.Equal(t, b, AmountFrame(f.Kind, f.ID, uint32(n)).Bytes())
		assert.Contains(t, p.Notes, fmt.Sprintf("%08x bytes %d", n, n))
	case wire.KindHeader:
		pairs, err := f.Header()
		require.NoError(t, err)
		samePairs(t, p, pairs)
	case wire.KindError, wire.KindGoAway, wire.KindEnd:
		if f.Kind == wire.KindEnd && p.FromClient {
			break
		}
		r, err := f.Reason()
		require.NoError(t, err)
		assert.Equal(t, b, r.Frame(f.Kind, f.Flags, f.ID).Bytes())
		assert.Contains(t, p.Notes, fmt.Sprintf("code %s | %04x text %q", r.Code, len(r.Text), r.Text))
		samePairs(t, p, r.Details)
		samePairs(t, p, r.Metadata)
	}
	return f.Kind
}

var shapeNames = map[wire.Shape]string{wire.ServerStream: "server stream", wire.ClientStream: "client stream", wire.BidiStream: "bidi stream"}

func samePairs(t *testing.T, p Packet, pairs []Pair) {
	for _, pair := range pairs {
		assert.Contains(t, p.Notes, fmt.Sprintf("key %q | %04x value %q", pair.Key, len(pair.Value), pair.Value))
	}
}

// inspect returns the first thing that is wrong with a message.
func inspect(fromClient, hello bool, agreed uint8, b []byte) error {
	if hello {
		h, err := ParseHello(b)
		switch {
		case err != nil:
			return err
		case h.Version != wire.Version:
			return &Error{Offset: 4, Reason: fmt.Sprintf("version %d", h.Version)}
		case fromClient:
			_, err = h.Client()
		default:
			_, err = h.Server()
		}
		return err
	}
	f, err := ParseFrame(b)
	if err == nil {
		err = f.CheckAgreed(fromClient, agreed)
	}
	if err == nil && f.Kind == wire.KindRequest {
		_, err = f.Request()
	}
	if err == nil && f.Kind == wire.KindResponse {
		_, err = f.Response()
	}
	if err == nil && f.Kind == wire.KindOpen {
		_, err = f.Open()
	}
	if err == nil && f.Kind == wire.KindHeader {
		_, err = f.Header()
	}
	if err == nil && (f.Kind == wire.KindCredit || f.Kind == wire.KindWant) {
		_, err = f.Amount()
	}
	if err == nil && (f.Kind == wire.KindError || f.Kind == wire.KindGoAway || f.Kind == wire.KindEnd && !fromClient) {
		_, err = f.Reason()
	}
	return err
}

// What is wrong by itself is found, at its byte. The sections that are not
// here are wrong because of what a message means, or of the messages before it.
func TestCaptures_BadMessagesAreFound(t *testing.T) {
	wrong := map[string]string{
		"hello: wrong magic":                                 "0 not a hello of this protocol",
		"hello: unknown version":                             "4 version 9",
		"hello: version 0":                                   "4 version 0",
		"hello: too long":                                    "7 hello of length 8321 with 0 bytes",
		"hello: fields cut short":                            "8 codec of 9 bytes, but only 2 are left",
		"hello: pairs cut short":                             "23 value of 9 bytes, but only 4 are left",
		"hello: the client closes within it":                 "6 a hello of 6 bytes, less than 7",
		"hello: it does not come":                            "3 a hello of 3 bytes, less than 7",
		"request: metadata cut short":                        "44 key of 9 bytes, but only 4 are left",
		"request: metadata without a value":                  "48 length of a value of 2 bytes, but only 0 are left",
		"frame: length 0":                                    "0 frame of length 0, less than 10",
		"frame: length 9":                                    "0 frame of length 9, less than 10",
		"frame: length over the limit":                       "4 frame of length 4194305 with 0 bytes",
		"frame: length 4 GiB":                                "4 frame of length 4294967295 with 0 bytes",
		"frame: a second hello":                              "16 frame of length 2471645251 with 12 bytes",
		"frame: kind 0":                                      "4 unknown frame kind 0",
		"frame: kind of a stream":                            "4 unknown frame kind 8",
		"frame: unknown kind":                                "4 unknown frame kind 99",
		"frame: response from a client":                      "4 a client does not send a frame of kind response",
		"frame: error from a client":                         "4 a client does not send a frame of kind error",
		"frame: go-away from a client":                       "4 a client does not send a frame of kind go-away",
		"frame: reserved flags":                              "5 reserved flags 0x80 on a frame of kind request",
		"frame: flag of another kind":                        "5 reserved flags 0x08 on a frame of kind request",
		"frame: flags on a cancel":                           "5 reserved flags 0x01 on a frame of kind cancel",
		"frame: fields on a ping":                            "14 1 bytes after the ID of a ping, which has no fields",
		"frame: request cut short":                           "18 length of a method of 2 bytes, but only 1 are left",
		"frame: method past the end":                         "20 method of 9 bytes, but only 3 are left",
		"frame: metadata past the end":                       "23 metadata of 5 bytes, but only 1 are left",
		"frame: the client closes within it":                 "5 frame of length 50 with 1 bytes",
		"frame: it does not end":                             "5 frame of length 50 with 1 bytes",
		"client: bad: hello of another protocol":             "0 not a hello of this protocol",
		"client: bad: hello of another version":              "4 version 2",
		"client: bad: hello cut short":                       "8 calls in flight of 4 bytes, but only 0 are left",
		"client: bad: hello too long":                        "7 hello of length 16385 with 0 bytes",
		"client: bad: length 0":                              "0 frame of length 0, less than 10",
		"client: bad: length over the limit":                 "4 frame of length 4194305 with 0 bytes",
		"client: bad: unknown kind":                          "4 unknown frame kind 99",
		"client: bad: request from a server":                 "4 a server does not send a frame of kind request",
		"client: bad: cancel from a server":                  "4 a server does not send a frame of kind cancel",
		"client: bad: reserved flags":                        "5 reserved flags 0x10 on a frame of kind response",
		"client: bad: flag of another kind":                  "5 reserved flags 0x01 on a frame of kind response",
		"client: bad: error without fields":                  "14 code of 1 bytes, but only 0 are left",
		"client: bad: error cut short":                       "17 text of 9 bytes, but only 1 are left",
		"client: bad: error and more":                        "17 4 bytes after the fields of a frame of kind error",
		"client: bad: details cut short":                     "22 length of a value of 2 bytes, but only 0 are left",
		"client: bad: reply metadata that were not granted":  "5 reserved flags 0x20 on a frame of kind response",
		"client: bad: reply metadata cut short":              "16 metadata of 32 bytes, but only 11 are left",
		"client: bad: reply metadata of an error cut short":  "19 metadata of 32 bytes, but only 11 are left",
		"client: bad: fields on a pong":                      "14 1 bytes after the ID of a pong, which has no fields",
		"client: bad: go-away without fields":                "14 code of 1 bytes, but only 0 are left",
		"client: bad: the end within a frame":                "5 frame of length 50 with 1 bytes",
		"client: bad: a grant of no streams":                 "4 unknown frame kind 9",
		"client: bad: a grant with too small a window":       "4 unknown frame kind 9",
		"client: bad: credit of 0":                           "14 credit of 0 bytes for stream 1",
		"client: bad: data of streams that were not granted": "4 unknown frame kind 9",
		"client: bad: end and more":                          "17 4 bytes after the fields of a frame of kind end",
		"client: bad: end cut short":                         "15 length of a text of 2 bytes, but only 1 are left",
		"client: bad: flags on a header":                     "5 reserved flags 0x01 on a frame of kind header",
		"client: bad: trailer cut short":                     "19 metadata of 32 bytes, but only 11 are left",
		"client: bad: trailer that was not agreed upon":      "5 reserved flags 0x20 on a frame of kind end",
		"client: bad: header that was not agreed upon":       "4 a header, and the hellos have not agreed upon reply metadata",
		"client: bad: flag of another kind on an end":        "5 reserved flags 0x40 on a frame of kind end",
		"client: bad: open from a server":                    "4 a server does not send a frame of kind open",
		"client: bad: want of 0":                             "14 want of 0 bytes for stream 1",
		"stream: a flag of another kind":                     "5 reserved flags 0x02 on a frame of kind open",
		"stream: a kind that was not granted":                "4 unknown frame kind 8",
		"stream: compressed params of a bidi stream":         "5 open 1 has compressed params, and shape 3, which has none",
		"stream: compressed, and not agreed upon":            "5 reserved flags 0x10 on a frame of kind data",
		"stream: credit and more":                            "18 1 bytes after the fields of a credit for stream 1",
		"stream: credit cut short":                           "14 bytes of 4 bytes, but only 3 are left",
		"stream: credit of 0":                                "14 credit of 0 bytes for stream 1",
		"stream: data that were not offered":                 "4 unknown frame kind 9",
		"stream: fields on an end":                           "14 3 bytes after the ID of an end of a client, which has no fields",
		"stream: flags on an end":                            "5 flags 0x08 on the end of a client, which has none",
		"stream: header from a client":                       "4 a client does not send a frame of kind header",
		"stream: metadata past the end":                      "32 metadata of 5 bytes, but only 1 are left",
		"stream: method past the end":                        "21 method of 9 bytes, but only 3 are left",
		"stream: more on a credit":                           "5 reserved flags 0x40 on a frame of kind credit",
		"stream: open cut short":                             "19 length of a method of 2 bytes, but only 0 are left",
		"stream: params of a bidi stream":                    "30 open 1 has 2 bytes of params, and shape 3, which has none",
		"stream: reserved kind":                              "4 unknown frame kind 14",
		"stream: shape 0":                                    "18 open 1 has shape 0",
		"stream: shape 4":                                    "18 open 1 has shape 4",
		"stream: want of 0":                                  "14 want of 0 bytes for stream 1",
	}
	found := map[string]string{}
	for _, sections := range captures(t, "final-*-bad.txt") {
		for _, s := range sections {
			agreed := agreed(s)
			messages(s, func(p Packet, hello bool, b []byte) {
				var e *Error
				if err := inspect(p.FromClient, hello, agreed, b); errors.As(err, &e) && found[s.Name] == "" {
					found[s.Name] = fmt.Sprintf("%d %s", e.Offset, e.Reason)
					assert.Equal(t, strings.HasPrefix(s.Name, "request: ") || s.Name == "client: bad: details cut short", e.InPairs, s.Name)
				}
			})
		}
	}
	assert.Equal(t, wrong, found)
}

func TestRead_TakesOneMessageAndNotAByteMore(t *testing.T) {
	hello := ClientHello{Codec: "json", MaxMessage: 4096}.Bytes()
	ping := Frame{Kind: wire.KindPing, ID: 7}.Bytes()
	in := bytes.NewReader(append(append(bytes.Clone(hello), ping...), 'x'))
	got, err := Read(in, true, 1<<10)
	require.NoError(t, err)
	assert.Equal(t, hello, got)
	got, err = Read(in, false, len(ping))
	require.NoError(t, err)
	assert.Equal(t, ping, got)
	assert.Equal(t, 1, in.Len())

	got, err = Read(bytes.NewReader(ping[:9]), false, 1<<10)
	assert.EqualError(t, err, "unexpected EOF")
	assert.Equal(t, ping[:9], got)
	_, err = Read(bytes.NewReader(ping), false, len(ping)-1)
	assert.ErrorContains(t, err, "at most 13 are allowed")
	_, err = Read(bytes.NewReader([]byte("GET / HTTP")), true, 1<<10)
	assert.ErrorContains(t, err, "not a hello")
}

func TestReadCapture_NamesTheLineThatIsNone(t *testing.T) {
	_, err := ReadCapture(strings.NewReader("# comment\nX \"a\"\n"))
	assert.ErrorContains(t, err, "line 2:")
}

// Codes and kinds are those of the page, by number and name.
func TestPage_HasTheSameCodesAndKinds(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "final", "PROTOCOL.md"))
	require.NoError(t, err)
	for c := wire.OK; c <= wire.Unauthenticated; c++ {
		assert.Contains(t, string(page), fmt.Sprintf("| %d | %s | ", c, c))
	}
	for k := wire.KindRequest; k <= wire.KindHeader; k++ {
		assert.Contains(t, string(page), fmt.Sprintf("| %d | %s | ", k, k))
	}
	assert.Equal(t, "code 17", wire.Code(17).String())
	assert.Equal(t, "kind 14", wire.Kind(14).String())
}
