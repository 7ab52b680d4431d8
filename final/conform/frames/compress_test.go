package frames

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// expand returns the body of a compressed frame, or what is wrong with it.
func expand(t *testing.T, s Section, p Packet, agreed uint8, b []byte) (plain []byte, wrong error) {
	t.Helper()
	f, err := ParseFrame(b)
	require.NoError(t, err)
	if err := f.CheckAgreed(p.FromClient, agreed); err != nil {
		return nil, err
	}
	ours, _ := ParseHello(s.Packets[0].Data)
	theirs, _ := ParseHello(s.Packets[1].Data)
	c, _ := ours.Client()
	h, _ := theirs.Server()
	body, limit := f.Fields, c.MaxMessage
	if p.FromClient {
		r, err := f.Request()
		require.NoError(t, err)
		body, limit = r.Params, h.MaxMessage
	}
	return Expand(body, int(limit)+wire.LengthSize-len(b)+len(body))
}

// What was agreed upon expands, or is wrong as the section says.
func TestCaptures_CompressedBodiesAreExpanded(t *testing.T) {
	wrong := map[string]string{
		"compressed: not gzip":                         "not gzip, or with optional fields",
		"compressed: nothing":                          "not gzip, or with optional fields",
		"compressed: cut short":                        "broken gzip: unexpected EOF",
		"compressed: without its sum":                  "broken gzip: unexpected EOF",
		"compressed: a wrong sum":                      "broken gzip: gzip: invalid checksum",
		"compressed: more after it":                    "1 bytes after the gzip",
		"compressed: two of them":                      "31 bytes after the gzip",
		"compressed: optional fields":                  "not gzip, or with optional fields",
		"compressed: too much comes out":               "gzip of more than 988 bytes",
		"compressed: one byte too much comes out":      "gzip of more than 988 bytes",
		"compressed: not agreed upon":                  "reserved flags 0x10 on a frame of kind request",
		"compressed: refused, and sent all the same":   "reserved flags 0x10 on a frame of kind request",
		"compressed: a cancel":                         "reserved flags 0x10 on a frame of kind cancel",
		"odd: compressed params that nobody wants":     "not gzip, or with optional fields",
		"client: a result that is not gzip":            "not gzip, or with optional fields",
		"client: a result of which too much comes out": "gzip of more than 1014 bytes",
	}
	found := map[string]string{}
	for _, s := range captures(t, "final-compress.txt")["final-compress.txt"] {
		messages(s, func(p Packet, hello bool, b []byte) {
			if hello || b[5]&wire.FlagCompressed == 0 {
				return
			}
			plain, err := expand(t, s, p, agreed(s), b)
			if err != nil && found[s.Name] == "" {
				found[s.Name] = err.Error()
			}
			if err == nil {
				says := fmt.Sprintf("bytes of gzip, of %d bytes", len(plain))
				if len(plain) <= 70 {
					says = fmt.Sprintf("bytes of gzip, %q", plain)
				}
				assert.Contains(t, p.Notes, says, s.Name)
			}
		})
	}
	assert.Equal(t, wrong, found)
}

func TestAgreed_NeedsOfferAndGrant(t *testing.T) {
	offer := func(value string) ClientHello {
		return ClientHello{Codec: "json", Metadata: []Pair{{Compression, "none"}, {Compression, value}}}
	}
	accepts := ServerHello{Text: "rpc.other=1 rpc.compression=gzip"}
	assert.Equal(t, wire.FlagCompressed, Agreed(offer("zstd,gzip"), accepts))
	assert.Zero(t, Agreed(offer("zstd"), accepts))
	assert.Zero(t, Agreed(ClientHello{Codec: "json"}, accepts))
	assert.Zero(t, Agreed(offer("gzip"), ServerHello{}))
	assert.Zero(t, Agreed(offer("gzip"), ServerHello{Code: wire.Unavailable, Text: accepts.Text}))
	gob := offer("gzip")
	gob.Codec = "gob"
	assert.Zero(t, Agreed(gob, accepts))
}

func TestAgreed_StreamsNeedNumbersOnBothSides(t *testing.T) {
	for name, c := range map[string]struct {
		offer, grant   string
		window         int64
		most, ofServer int64
	}{
		"both":                   {"16384", "rpc.streams=1024,4096", 16384, 1024, 4096},
		"among other words":      {"4096", "rpc.x=1 rpc.streams=1,2147483647 y", 4096, 1, 1<<31 - 1},
		"no offer":               {"", "rpc.streams=1024,4096", 0, 1024, 4096},
		"too small a window":     {"4095", "rpc.streams=1024,4095", 0, 0, 0},
		"too large a window":     {"2147483648", "rpc.streams=1024,2147483648", 0, 0, 0},
		"a number in other ways": {"+4096", "rpc.streams=01,4096", 0, 0, 0},
		"no streams":             {"04096", "rpc.streams=0,4096", 0, 0, 0},
		"one number":             {"4096,1", "rpc.streams=4096", 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			client := ClientHello{Codec: "gob", Metadata: []Pair{{Streams, "none"}, {Streams, c.offer}}}
			server := ServerHello{Text: c.grant}
			assert.Equal(t, c.window, client.OffersStreams())
			most, window := server.GrantsStreams()
			assert.Equal(t, [2]int64{c.most, c.ofServer}, [2]int64{most, window})
			want := uint8(0)
			if c.window > 0 && c.most > 0 {
				want = wire.FlagMore
			}
			assert.Equal(t, want, Agreed(client, server))
			server.Code = wire.Unavailable
			assert.Zero(t, Agreed(client, server))
		})
	}
}
