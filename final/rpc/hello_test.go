package rpc

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// metadataOf returns pairs that take so many bytes on the wire.
func metadataOf(bytes int) Metadata {
	md := Metadata{"a": "", "b": ""}
	md["a"] = strings.Repeat("x", bytes-wire.PairsSize(md))
	return md
}

// The length of a hello has two bytes. What does not fit is refused before a byte
// is sent, also by the few bytes that the codec's name and an offer add.
func TestHello_LengthsThatWouldWrapAreRefused(t *testing.T) {
	const rest = 1 + len("json") + 4
	offer := wire.PairsSize(Metadata{compressionKey: gzipName})
	for _, opt := range []struct {
		opts []ClientOption
		most int
	}{
		{nil, 65535 - rest},
		{[]ClientOption{WithCompression(0)}, 65535 - rest - offer},
	} {
		for _, size := range []int{opt.most - 1, opt.most, opt.most + 1, 65530, 65535, 65536, 65540, 131072} {
			bubble(t, func(t *testing.T) {
				inv := newInventory()
				var got Metadata
				inv.saw = func(ctx context.Context) { peer, _ := PeerFrom(ctx); got = peer.Metadata }
				srv := inv.server(t, WithMaxMetadata(65535))
				client := pipe(t, srv, append(opt.opts, WithHelloMetadata(metadataOf(size)))...)
				_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
				if size <= opt.most {
					require.NoError(t, err, size)
					assert.Equal(t, metadataOf(size), got)
					return
				}
				assert.ErrorIs(t, err, ResourceExhausted)
				assert.ErrorContains(t, err, "at most 65535 are allowed (WithHelloMetadata)")
				assert.True(t, NeverRan(err))
			})
		}
	}
}

func TestMetadata_OfACallThatWouldWrapAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T) {
		inv := newInventory()
		var got Metadata
		inv.saw = func(ctx context.Context) { got = MetadataFrom(ctx) }
		srv := inv.server(t, WithMaxMetadata(65535))
		client := pipe(t, srv)
		for _, size := range []int{65534, 65535, 65536, 65540, 131072} {
			_, err := checkStock.Call(AddMetadata(t.Context(), metadataOf(size)), client, &stockRequest{Item: "item1"})
			if size <= 65535 {
				require.NoError(t, err)
				assert.Equal(t, metadataOf(size), got)
				continue
			}
			assert.ErrorIs(t, err, ResourceExhausted)
			assert.ErrorContains(t, err, "at most 65535 are allowed")
			assert.True(t, NeverRan(err))
		}
		err := client.Call(t.Context(), "Long."+strings.Repeat("x", 65536), nil, nil)
		assert.ErrorIs(t, err, InvalidArgument)
	})
}

// manyPairs are so many pairs, as short as they can be.
func manyPairs(n int) Metadata {
	md := Metadata{}
	for i := range n {
		md[fmt.Sprintf("%x", i)] = ""
	}
	return md
}

func TestMetadata_NumberOfPairsIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		for n, ok := range map[int]bool{wire.MaxPairs: true, wire.MaxPairs + 1: false, 1300: false} {
			_, err := checkStock.Call(t.Context(), pipe(t, srv, WithHelloMetadata(manyPairs(n))), &stockRequest{Item: "item1"})
			_, errCall := checkStock.Call(AddMetadata(t.Context(), manyPairs(n)), pipe(t, srv), &stockRequest{Item: "item1"})
			if ok {
				assert.NoError(t, err)
				assert.NoError(t, errCall)
				continue
			}
			want := fmt.Sprintf("metadata of %d pairs: at most 128 are allowed", n)
			assert.ErrorContains(t, err, want)
			assert.ErrorContains(t, errCall, want)

			_, err = helloTo(t, srv, string((&wire.ClientHello{Codec: "json", MaxMessage: 4096, Pairs: wire.AppendPairs(nil, manyPairs(n))}).Append(nil)))
			assert.ErrorIs(t, err, ResourceExhausted, "a client that does not ask itself")
			raw := rawClient(t, srv, "json")
			head := wire.RequestHead{Method: checkStock.Name(), Metadata: manyPairs(n)}
			raw.write(head.Append(nil, 0, 1, 0))
			assert.ErrorIs(t, raw.readError(1), ResourceExhausted)
		}
		raw := rawClient(t, srv, "json") // pairs of one key are pairs, too
		same := strings.Repeat(string(wire.AppendPairs(nil, Metadata{"k": ""})), wire.MaxPairs+1)
		head := wire.RequestHead{Method: checkStock.Name(), Metadata: Metadata{}}
		frame := head.Append(nil, wire.FlagPairs, 1, 2+len(same))
		raw.write(append(binary.BigEndian.AppendUint16(frame, uint16(len(same))), same...))
		assert.ErrorIs(t, raw.readError(1), ResourceExhausted)
	})
}

// perConn returns the bytes of heap that each of so many connections holds, after
// open has made one and settle has let them become quiet. What is shared, such as
// pooled buffers, is not counted.
func perConn(many int, open, settle func()) int {
	for range 2 {
		open()
	}
	settle()
	before, pooled := int(heapInUse()), bytepool.Kept()
	for range many {
		open()
	}
	settle()
	return (int(heapInUse()) - before - (bytepool.Kept() - pooled)) / many
}

// A stranger may say hello with as many metadata as fit, and then nothing: what
// the server holds for it is not many times what it has sent.
func TestHello_AStrangerHoldsLittleMemory(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t, WithAuthorize(func(context.Context, string) (Identity, error) {
			return Identity{}, Unauthenticated
		}))
		defer srv.Close()
		largest := manyPairs(wire.MaxPairs)
		for key := range maps.Keys(largest) {
			largest[key] = strings.Repeat("v", (8<<10-wire.PairsSize(manyPairs(wire.MaxPairs)))/wire.MaxPairs)
		}
		var conns []net.Conn
		held := perConn(12, func() {
			near, far := net.Pipe()
			go srv.ServeConn(far)
			near.Write((&wire.ClientHello{Codec: "json", MaxMessage: 4096, Pairs: wire.AppendPairs(nil, largest)}).Append(nil))
			body, err := wire.ReadHello(near, wire.MaxHello)
			require.NoError(t, err)
			_, err = parseServerHello(body)
			require.NoError(t, err)
			conns = append(conns, near)
		}, synctest.Wait)
		t.Logf("%d bytes for each connection", held)
		assert.Less(t, held, 32<<10)
		for _, conn := range conns {
			conn.Close()
		}
	})
}
