package wire

import (
	"bytes"
	"encoding/gob"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

func capture(t testing.TB, name string) []frames.Section {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "..", "testdata", "wire", name))
	require.NoError(t, err)
	defer f.Close()
	sections, err := frames.ReadCapture(f)
	require.NoError(t, err)
	return sections
}

// explained returns what is printed of a connection whose bytes come in pieces
// of at most size bytes.
func explained(t testing.TB, name string, packets []frames.Packet, size int) []string {
	t.Helper()
	w, err := Find(name)
	require.NoError(t, err)
	client, server := w.dialects()
	var got []string
	show := func(m message) {
		from := "S"
		if m.fromClient {
			from = "C"
		}
		got = append(got, strings.TrimSpace(words(from, m.text, m.wrong)))
	}
	c := &direction{dialect: client, fromClient: true, show: show}
	s := &direction{dialect: server, show: show}
	for _, p := range packets {
		d := s
		if p.FromClient {
			d = c
		}
		if len(p.Data) == 0 {
			d.end(0)
		}
		for b := p.Data; len(b) > 0; {
			n := min(size, len(b))
			d.feed(b[:n], 0)
			b = b[n:]
		}
	}
	c.end(0)
	s.end(0)
	return got
}

// section finds a section of a capture.
func section(t testing.TB, file, name string) []frames.Packet {
	t.Helper()
	for _, s := range capture(t, file) {
		if s.Name == name {
			return s.Packets
		}
	}
	t.Fatalf("%s has no section %q", file, name)
	return nil
}

func TestWire_ExplainsTheStepsCaptures(t *testing.T) {
	for _, c := range []struct{ wire, file, want string }{
		{"01", "lines.txt", `
			C line "hello"
			S line "hello"
			C line "hello\r"
			S line "hello\r"
			C line ""
			S line ""
			C line "one"
			C line "two"
			S line "one"
			S line "two"`},
		{"02", "json-lines.txt", `
			C request Inventory.CheckStock, params "item1"
			S response, result "Echo: Inventory.CheckStock"
			C request Inventory.List
			S response, result "Echo: Inventory.List"
			C request Inventory.Reserve, params {"item":"item1","quantity":2}
			S response, result "Echo: Inventory.Reserve"`},
		{"03", "json-lines-bad.txt", `
			C malformed at byte 0: not JSON: invalid character 'h' looking for beginning of value
			S error "invalid request: invalid character 'h' looking for beginning of value"
			C request without a method, params "item1"
			S error "invalid request: method is missing"
			C malformed at byte 36: not UTF-8
			S error "invalid request: not valid UTF-8"
			C empty line
			C empty line
			C request Inventory.List
			S response, result "Echo: Inventory.List"
			C request A.One
			C request A.Two
			S response, result "Echo: A.One"
			S response, result "Echo: A.Two"`},
		{"5e", "json-context.txt", `
			C request 1 Test.Wait, timeout 1.5s
			S error 1 "deadline exceeded"
			C request 2 Test.Wait
			C request 3 Inventory.CheckStock, params "item1", timeout 1.5s
			S response 3, result 100
			C cancel 2
			S error 2 "canceled"
			C cancel 2
			C request 2 Test.Wait
			C request 2 Test.Wait
			S error 2 "invalid request: id 2 is in flight"
			C cancel 2
			S error 2 "canceled"
			C request Test.Wait, timeout 1.5s
			S error "deadline exceeded"`},
		{"06", "hello.txt", `
			C hello: version 1, codec json
			S hello: accepted
			C request 1 Inventory.CheckStock, params "item1"
			S response 1, result 100`},
		{"06", "gob.txt", `
			C hello: version 1, codec gob
			S hello: accepted
			C type 64 Request struct{ID uint; Method string; Params []byte; TimeoutMS int; Cancel bool}
			C request 1 Inventory.CheckStock
			C params "item1"
			S type 65 Response struct{ID uint; Result []byte; Error string}
			S response 1
			S result 100`},
		{"06", "hello-bad-codec.txt", `
			C hello: version 1, codec xml
			S hello: refused, unknown codec "xml"`},
		{"07", "hello-bad-version.txt", `
			C malformed at byte 0: not a hello in version 1: RPC/2 json
			S hello: refused, unknown version "RPC/2"`},
		{"07", "json-codes.txt", `
			C request 7 Test.Nothing
			S error 7 "unknown item: item9", code "not_found"
			C request 8 Inventory.CheckStock, params "item9"
			S error 8 "unknown item: item9"`},
	} {
		t.Run(c.file, func(t *testing.T) {
			sameLines(t, c.want, explained(t, c.wire, capture(t, c.file)[0].Packets, math.MaxInt))
		})
	}
}

func sameLines(t *testing.T, want string, got []string) {
	t.Helper()
	var lines []string
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	for i := range got {
		got[i] = strings.Join(strings.Fields(got[i]), " ")
	}
	assert.Equal(t, strings.Join(lines, "\n"), strings.Join(got, "\n"))
}

const hellos30 = `
	C hello: version 1, codec json, reads at most 4194304 bytes
	S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes`

func TestWire_ExplainsFinalsCaptures(t *testing.T) {
	for _, c := range []struct{ file, section, want string }{
		{"final-calls.txt", "a call with metadata", hellos30 + `
			C request 1 Test.User, flags 01 pairs, metadata user="ann", no params
			S response 1, result of 5 bytes "ann"`},
		{"final-calls.txt", "a call with a deadline", hellos30 + `
			C request 1 Inventory.CheckStock, timeout 1.5s, params of 16 bytes {"Item":"item1"}
			S response 1, result of 13 bytes {"Count":100}`},
		{"final-calls.txt", "errors", hellos30 + `
			C request 1 Inventory.CheckStock, params of 16 bytes {"Item":"item9"}
			S error 1 not_found "unknown item: item9", flags 01 pairs, details item="item9"
			C request 2 Inventory.Nope, params of 16 bytes {"Item":"item1"}
			S error 2 unimplemented "method not found: Inventory.Nope", flags 08 never ran
			C request 3 Test.Panic, no params
			S error 3 internal "the handler of Test.Panic panicked"`},
		{"final-go-away.txt", "shutdown, and a call too late", hellos30 + `
			C request 1 Test.Wait, no params
			S go-away after call 1 unavailable "the server is shutting down"
			C request 2 Inventory.CheckStock, params of 16 bytes {"Item":"item1"}
			C ping 9
			S pong 9
			C cancel 1
			S error 1 canceled "context canceled"`},
		{"final-gob.txt", "calls", `
			C hello: version 1, codec gob, reads at most 4194304 bytes
			S hello: version 1, accepted: 1024 calls in flight, reads at most 1048576 bytes
			C request 1 Inventory.CheckStock, params of 51 bytes type 64 CheckStockRequest struct{Item string}; CheckStockRequest{Item: "item1"}
			S response 1, result of 46 bytes type 64 CheckStockReply struct{Count int}; CheckStockReply{Count: 100}
			C request 2 Inventory.CheckStock, params of 11 bytes CheckStockRequest{Item: "item1"}
			S response 2, result of 7 bytes CheckStockReply{Count: 100}`},
		{"final-protobuf.txt", "a call", `
			C hello: version 1, codec protobuf, reads at most 4194304 bytes
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes
			C request 1 Test.Upper, params of 7 bytes in protobuf
			S response 1, result of 7 bytes in protobuf
			C request 2 Test.Upper, no params
			S response 2, no result`},
		{"final-hello-bad.txt", "hello: wrong magic", `
			C malformed at byte 0: not a hello of this protocol; nothing after it can be read
			S hello: version 1, refused: invalid_argument "protocol: hello begins with \"GET \": not this protocol"`},
		{"final-server-bad.txt", "frame: length 4 GiB", hellos30 + `
			C malformed at byte 16: frame of length 4294967295: the other side reads at most 4194304; nothing after it can be read
			S go-away after call 0 resource_exhausted "frame of length 4294967295: at most 4194304 are allowed"`},
		{"final-server-bad.txt", "frame: reserved flags", hellos30 + `
			C request 1 Inventory.CheckStock, flags 80, params of 16 bytes {"Item":"item1"} malformed at byte 21: reserved flags 0x80 on a frame of kind request
			S go-away after call 0 invalid_argument "protocol: reserved flags 0x80 in a frame of kind 1"`},
		{"final-server-bad.txt", "frame: the client closes within it", hellos30 + `
			C malformed at byte 21: the direction ended within a message`},
		{"final-compress.txt", "odd: a client that compresses what is small", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.compression="gzip"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.compression=gzip"
			C request 1 Inventory.CheckStock, flags 10 compressed, params of 34 bytes, expanded 16 bytes {"Item":"item1"}
			S response 1, result of 13 bytes {"Count":100}`},
		{"final-reply-metadata.txt", "a result with metadata", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.reply-metadata="1"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.reply-metadata=1"
			C request 1 Test.Header, flags 01 pairs, metadata user="ann", params of 10 bytes {"V":null}
			S response 1, flags 20 reply metadata, metadata user="ann", result of 10 bytes {"V":null}`},
		{"final-reply-metadata.txt", "an error with metadata", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.reply-metadata="1"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.reply-metadata=1"
			C request 1 Test.Header, flags 01 pairs, metadata user="ann", params of 13 bytes {"V":"item9"}
			S error 1 not_found "unknown: item9", flags 21 pairs + reply metadata, details item="item9", metadata user="ann"`},
	} {
		t.Run(c.section, func(t *testing.T) {
			sameLines(t, c.want, explained(t, "final", section(t, c.file, c.section), math.MaxInt))
		})
	}
}

const hellosOfStreams = `
	C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.streams="16384"
	S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.streams=1024,16384"`

// Of streams, wire prints what each side may still send.
func TestWire_TellsTheCreditThatIsLeft(t *testing.T) {
	long := regexp.MustCompile("x{20,}")
	for _, c := range []struct{ file, section, want string }{
		{"final-streams.txt", "a client stream", hellosOfStreams + `
			C open 1 Test.Sum, client stream
			C data 1, item of 7 bytes {"N":1}, the client may send 16299 more
			C data 1, item of 7 bytes {"N":2}, the client may send 16214 more
			C end 1
			S data 1, item of 7 bytes {"N":3}, the server may send 16299 more
			S end 1 ok`},
		{"final-streams.txt", "an item, then an error with details", hellosOfStreams + `
			C open 1 Test.Echo, bidi stream
			C data 1, item of 8 bytes {"N":-1}, the client may send 16298 more
			S data 1, item of 8 bytes {"N":-1}, the server may send 16298 more
			S end 1 out_of_range "item of -1", flags 01 pairs, details item="-1"
			C end 1`},
		{"final-streams.txt", "a header and a trailer", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.reply-metadata="1" rpc.streams="16384"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.reply-metadata=1 rpc.streams=1024,16384"
			C open 1 Test.Label, server stream, flags 01 pairs, metadata user="ann", params of 7 bytes {"N":1}
			S header 1, header user="ann"
			S data 1, item of 7 bytes {"N":1}, the server may send 16299 more
			S end 1 ok, flags 20 reply metadata, trailer sent="1"`},
		{"final-streams.txt", "a stream that is refused", hellosOfStreams + `
			C open 1 Test.Nope, bidi stream
			S end 1 unimplemented "method not found: Test.Nope", flags 08 never ran
			C end 1
			C open 2 Test.Nope, server stream, no params
			S end 2 unimplemented "method not found: Test.Nope", flags 08 never ran`},
		{"final-streams.txt", "compressed items", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.compression="gzip" rpc.streams="16384"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.compression=gzip rpc.streams=1024,16384"
			C open 1 Test.Echo, bidi stream
			C data 1, flags 10 compressed, item of 40 bytes, expanded 97 bytes {"N":1,"Data":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, the client may send 16266 more
			S data 1, flags 10 compressed, item of 64 bytes, expanded 97 bytes {"N":1,"Data":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, the server may send 16242 more
			C data 1, item of 7 bytes {"N":2}, the client may send 16181 more
			S data 1, item of 7 bytes {"N":2}, the server may send 16157 more
			C end 1
			S end 1 ok`},
		{"final-streams.txt", "credit is given back", hellosOfStreams + `
			C open 1 Test.Sum, client stream
			C data 1, item of 4117 bytes {"N":1,"Data":"xxx"}, the client may send 12189 more
			S credit 1 of 4195 bytes, the client may send 16384 more
			C end 1
			S data 1, item of 7 bytes {"N":1}, the server may send 16299 more
			S end 1 ok`},
		{"final-streams.txt", "odd: a small window, and a want", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.streams="4096"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.streams=1024,16384"
			C open 1 Test.Count, server stream, params of 2817 bytes {"N":2,"Data":"xxx"}
			S data 1, item of 2817 bytes {"N":1,"Data":"xxx"}, the server may send 1201 more
			S want 1 of 2895 bytes, the server may send 1201 more
			C credit 1 of 2895 bytes, the server may send 4096 more
			S data 1, item of 2817 bytes {"N":2,"Data":"xxx"}, the server may send 1201 more
			S end 1 ok`},
		{"final-streams.txt", "odd: an item in two parts, and a call between them", hellosOfStreams + `
			C open 1 Test.Sum, client stream
			C data 1, flags 40 more, a part of an item, of 1024 bytes, the client may send 15282 more
			C request 2 Inventory.CheckStock, params of 16 bytes {"Item":"item1"}
			S response 2, result of 13 bytes {"Count":100}
			C data 1, a part of an item, of 93 bytes, the client may send 15111 more
			C end 1
			S data 1, item of 7 bytes {"N":5}, the server may send 16299 more
			S end 1 ok`},
		{"final-stream-bad.txt", "stream: shape 4", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.streams="16384"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.streams=2,16384"
			C open 1 Test.Echo, shape 4 malformed at byte 54: open 1 has shape 4
			S go-away after call 0 invalid_argument "protocol: open 1 has shape 4"`},
		{"final-stream-bad.txt", "stream: credit of 0", `
			C hello: version 1, codec json, reads at most 4194304 bytes, metadata rpc.streams="16384"
			S hello: version 1, accepted: 1024 calls in flight, reads at most 4194304 bytes, grants "rpc.streams=2,16384"
			C open 1 Test.Echo, bidi stream
			C credit 1 malformed at byte 80: credit of 0 bytes for stream 1
			S go-away after call 1 invalid_argument "protocol: credit of 0 bytes for stream 1"`},
	} {
		t.Run(c.section, func(t *testing.T) {
			got := explained(t, "final", section(t, c.file, c.section), math.MaxInt)
			for i := range got {
				got[i] = long.ReplaceAllString(got[i], "xxx")
			}
			sameLines(t, c.want, got)
		})
	}
}

// However the bytes are cut into packets, the messages are the same.
func TestWire_PacketsAreNotMessages(t *testing.T) {
	for _, name := range []string{"01", "02", "06", "final"} {
		files, err := filepath.Glob(filepath.Join("..", "..", "..", "testdata", "wire", "*.txt"))
		require.NoError(t, err)
		for _, file := range files {
			for _, s := range capture(t, filepath.Base(file)) {
				want := explained(t, name, s.Packets, math.MaxInt)
				for _, size := range []int{1, 3, 17} {
					got := explained(t, name, s.Packets, size)
					assert.Equal(t, readable(want), readable(got), "%s: %s %s in pieces of %d", name, file, s.Name, size)
				}
			}
		}
	}
}

// readable leaves out what is only passed on: that comes as it comes. Where
// reading ends is the same all the same.
func readable(lines []string) (kept []string) {
	for _, line := range lines {
		if line[2:] != "not readable" {
			kept = append(kept, line)
		}
	}
	return kept
}

func TestWire_LongMessagesAreShownCut(t *testing.T) {
	long := strings.Repeat("x", 3*keep)
	client := func(b ...byte) frames.Packet { return frames.Packet{FromClient: true, Data: b} }

	got := explained(t, "02", []frames.Packet{client([]byte(`{"method":"` + long + "\"}\n" + `{"method":"A"}` + "\n")...)}, 1000)
	require.Len(t, got, 2)
	assert.True(t, strings.HasPrefix(got[0], `C line, too long to be looked into: {"method":"xxx`))
	assert.Equal(t, "C request A", got[1])

	request := frames.Request{ID: 7, Method: "M", Params: []byte(`"` + long + `"`)}.Frame().Bytes()
	got = explained(t, "final", []frames.Packet{client(frames.ClientHello{Codec: "json", MaxMessage: 1 << 20}.Bytes()...),
		client(request...), client(frames.Frame{Kind: wire.KindPing, ID: 8}.Bytes()...)}, 100_000)
	require.Len(t, got, 3)
	assert.True(t, strings.HasPrefix(got[1], fmt.Sprintf(`C request 7 M, params of %d bytes "xxx`, 3*keep+2)), got[1][:80])
	assert.Less(t, len(got[1]), keep+100)
	assert.Equal(t, "C ping 8", got[2])
}

type shape struct {
	Flag    bool
	Small   int
	Big     uint64
	Real    float64
	Pair    complex128
	Text    string
	Raw     []byte
	List    []string
	Fixed   [2]int
	Table   map[string]int
	Inner   pair
	Any     any
	Nothing any
}

type (
	pair   struct{ A, B int }
	inside struct{ N int }
)

func TestGob_AllKindsOfValues(t *testing.T) {
	gob.RegisterName("inside", inside{})
	v := shape{true, -5, 1 << 40, 2.5, complex(1, -1), "a\nb", []byte{1, 'x'}, []string{"p", "q"}, [2]int{3, 4},
		map[string]int{"k": 9}, pair{0, 6}, inside{7}, nil}
	var b bytes.Buffer
	enc := gob.NewEncoder(&b)
	require.NoError(t, enc.Encode(v))
	require.NoError(t, enc.Encode([]int{1, 2}))
	var s gobStream
	got, err := s.readAll(b.Bytes())
	require.NoError(t, err)
	assert.Contains(t, got, `shape{Flag: true, Small: -5, Big: 1099511627776, Real: 2.5, Pair: (1,-1i), Text: "a\nb", Raw: "\x01x", `+
		`List: ["p", "q"], Fixed: [3, 4], Table: {"k": 9}, Inner: pair{B: 6}, Any: inside(inside{N: 7})}`)
	assert.True(t, strings.HasSuffix(got, "; [1, 2]"), got)
}

// What Go's own decoder does not survive: forged counts, and values nested deeply.
func TestGob_HostileBytesAreAnErrorAtTheirByte(t *testing.T) {
	define := func(describe string) string { return string(rune(len(describe)+1)) + "\x7f" + describe } // type 64
	ofInts := define("\x02\x01\x02\xff\x80\x00\x01\x04\x00\x00")                                        // a slice of type 2
	ofItself := define("\x02\x01\x02\xff\x80\x00\x01\xff\x80\x00\x00")
	for name, c := range map[string]struct{ body, want string }{
		"a forged count":      {ofInts + "\x0c\xff\x80\x00\xf8\x7f\xff\xff\xff\xff\xff\xff\xff", "elements in 0 bytes"},
		"nested":              {ofItself + "\xff\xc8\xff\x80\x00" + strings.Repeat("\x01", 197), "nested deeper than 32"},
		"an unknown type":     {"\x03\xff\x80\x00", "type 64 was not described"},
		"a length of 9 bytes": {"\xf7\x01", "a length of more than 8 bytes"},
		"cut short":           {"\x05\x0c", "cut short"},
		"no bytes":            {"\x00", "a message of no bytes"},
		"text past its end":   {"\x04\x0c\x00\x7fa", "value of 127 bytes, but only 1 are left"},
		"more after it":       {"\x05\x04\x00\x02\x02\x02", "2 bytes after the value"},
	} {
		var s gobStream
		_, err := s.readAll([]byte(c.body))
		assert.ErrorContains(t, err, c.want, name)
	}
}

// A map whose keys and values are of its own type has a name that never ends.
func TestGob_TypeOfItselfIsDescribed(t *testing.T) {
	var s gobStream
	got, err := s.readAll([]byte("\x0f\x7f\x04\x01\x02\xff\x80\x00\x01\xff\x80\x01\xff\x80\x00\x00"))
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(got, "type 64 map[map[map["), got)
	assert.Less(t, len(got), 500)
}

func FuzzWire(f *testing.F) {
	for _, file := range []string{"json-context.txt", "gob.txt", "final-gob.txt", "final-server-bad.txt", "final-streams.txt", "final-stream-bad.txt"} {
		for _, s := range capture(f, file) {
			var c, srv []byte
			for _, p := range s.Packets {
				if p.FromClient {
					c = append(c, p.Data...)
				} else {
					srv = append(srv, p.Data...)
				}
			}
			f.Add(c, srv)
		}
	}
	f.Fuzz(func(t *testing.T, client, server []byte) {
		for _, name := range []string{"01", "02", "06", "final"} {
			packets := []frames.Packet{{FromClient: true, Data: client}, {Data: server}}
			explained(t, name, packets, math.MaxInt)
			explained(t, name, packets, 1)
		}
	})
}

func TestFind_KnowsStepsCheckpointsAndFinal(t *testing.T) {
	for _, name := range []string{"1", "01", "4a", "5", "6c", "07", "final"} {
		_, err := Find(name)
		assert.NoError(t, err, name)
	}
	_, err := Find("8")
	assert.ErrorContains(t, err, "07, and final")
}
