package rpc

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// letter is what compressible calls carry.
type letter struct{ Text string }

var echoText = Method[letter, letter]("Test.Echo")

func echoServer(t testing.TB, opts ...ServerOption) *Server {
	t.Helper()
	srv := NewServer(opts...)
	require.NoError(t, echoText.Handle(srv, func(_ context.Context, in *letter) (*letter, error) { return in, nil }))
	return srv
}

// traffic counts a side's bytes on the wire.
type traffic struct{ read, written atomic.Int64 }

func (*traffic) ConnOpened()          {}
func (*traffic) ConnClosed()          {}
func (o *traffic) BytesRead(n int)    { o.read.Add(int64(n)) }
func (o *traffic) BytesWritten(n int) { o.written.Add(int64(n)) }

// lines is text that compresses to about a tenth, noise what does not compress.
func lines(size int) string {
	var b strings.Builder
	for i := 0; b.Len() < size; i++ {
		fmt.Fprintf(&b, "order %d of customer %d: item%d\n", i, i%64, i%10)
	}
	return b.String()[:size]
}

func noise(size int) string {
	b := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	for i := range b {
		b[i] = byte(' ' + random.Uint64()%94)
	}
	return string(b)
}

func gzipped(t testing.TB, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	w.Reset(&b)
	_, err := io.WriteString(w, data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return b.String()
}

// gzipWriters saves fuzzing from allocating a megabyte for each body.
var gzipWriters = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// bomb is gzip of that many MiB of blanks, in about a thousandth of that. After
// the first MiB, each is compressed to the same bytes, so they are repeated. It
// has no end; nobody should come so far.
func bomb(t testing.TB, mebibytes int) string {
	t.Helper()
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	blanks := bytes.Repeat([]byte(" "), 1<<20)
	w.Write(blanks)
	require.NoError(t, w.Flush())
	head := b.Len()
	w.Write(blanks)
	require.NoError(t, w.Flush())
	return b.String()[:head] + strings.Repeat(b.String()[head:], mebibytes-1)
}

func TestCompression_WorksInBothDirections(t *testing.T) {
	for _, size := range []int{2 << 10, 100 << 10, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			here, there := new(traffic), new(traffic)
			addr := listen(t, echoServer(t, WithCompression(0), WithObserver(observe(there))))
			client := dial(t, addr, WithCompression(0), WithObserver(observe(here)))
			in := &letter{lines(size)}
			for range 3 {
				out, err := echoText.Call(t.Context(), client, in)
				require.NoError(t, err)
				require.Equal(t, in, out)
			}
			assert.Less(t, here.written.Load(), int64(size), "three requests together are smaller than one")
			assert.Less(t, here.read.Load(), int64(size))
			assert.EventuallyWithT(t, func(t *assert.CollectT) { // a reply may be faster than the report of the write
				assert.Equal(t, here.written.Load(), there.read.Load(), "observers count what is on the wire")
			}, time.Minute, time.Millisecond)
		})
	}
}

// A frame of 16 KiB and more takes another way through the reader.
func TestCompression_LargeFrames(t *testing.T) {
	client := dial(t, listen(t, echoServer(t, WithCompression(0))), WithCompression(0))
	in := &letter{noise(50<<10) + lines(50<<10)}
	out, err := echoText.Call(t.Context(), client, in)
	require.NoError(t, err)
	assert.Equal(t, in, out)
}

func TestCompression_ManyCallersAtOnce(t *testing.T) {
	client := dial(t, listen(t, echoServer(t, WithCompression(200))), WithCompression(100))
	var callers sync.WaitGroup
	for i := range 32 {
		callers.Go(func() {
			in := &letter{fmt.Sprint(i, lines(i*i*40))}
			for range 5 {
				out, err := echoText.Call(t.Context(), client, in)
				if !assert.NoError(t, err) || !assert.Equal(t, in, out) {
					return
				}
			}
		})
	}
	callers.Wait()
}

func TestCompression_PendingCallsAreCompressedToo(t *testing.T) {
	here := new(traffic)
	client := dial(t, listen(t, echoServer(t, WithCompression(0))), WithCompression(0), WithObserver(observe(here)))
	var out letter
	require.NoError(t, client.Go(t.Context(), echoText.Name(), &letter{lines(20_000)}, &out).Wait())
	assert.Equal(t, lines(20_000), out.Text)
	assert.Less(t, here.written.Load(), int64(10_000))
}

// A result that nobody wants is not looked at.
func TestCompression_ResultThatNobodyWants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawGranting(t, WithCompression(0))
		call := client.Go(t.Context(), "Test.Echo", nil, nil)
		raw.write(append(wire.AppendHeader(nil, wire.KindResponse, wire.FlagCompressed, raw.read().ID, 8), "not gzip"...))
		assert.NoError(t, call.Wait())
		client.Close()
	})
}

// Each side has its own bound, and a body of just that size is compressed.
func TestCompression_SmallBodiesAreLeftAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const empty = len(`{"Text":""}`)
		srv := echoServer(t, WithCompression(300))
		raw := rawCompressing(t, srv, 1<<20)
		for id, size := range []int{299, 300} {
			raw.request(uint64(id+1), echoText.Name(), fmt.Sprintf(`{"Text":"%s"}`, strings.Repeat("x", size-empty)))
			f := raw.read()
			require.Equal(t, wire.KindResponse, f.Kind)
			assert.Equal(t, size == 300, f.Flags == wire.FlagCompressed, "%d bytes", size)
		}
		raw.conn.Close()
		srv.Close()

		client, server := rawGranting(t, WithCompression(300))
		for _, size := range []int{299, 300} {
			go client.Call(t.Context(), "Test.Echo", &letter{strings.Repeat("x", size-empty)}, nil)
			f := server.read()
			require.Equal(t, wire.KindRequest, f.Kind)
			assert.Equal(t, size == 300, f.Flags == wire.FlagCompressed, "%d bytes", size)
			server.write(wire.AppendHeader(nil, wire.KindResponse, 0, f.ID, 0))
		}
		client.Close()
	})
}

func TestCompression_WhatDoesNotGetSmallerIsLeftAlone(t *testing.T) {
	for _, size := range []int{2 << 10, 1 << 20} {
		random := make([]byte, size)
		rand.NewChaCha8([32]byte{2}).Read(random)
		body := (&encoded{body: random}).outBody()
		body.compress(1, 2*size)
		assert.Zero(t, body.flags)
		assert.Equal(t, random, body.buf.B)
	}
}

// A limit holds for a message as it would be without compression: whether it
// may be sent does not depend on how well it compresses.
func TestCompression_LimitsCountUncompressedBytes(t *testing.T) {
	addr := listen(t, echoServer(t, WithCompression(0), WithMaxMessage(10_000)))
	client := dial(t, addr, WithCompression(0))
	_, err := echoText.Call(t.Context(), client, &letter{lines(10_000)})
	require.ErrorIs(t, err, ResourceExhausted)
	assert.True(t, NeverRan(err))
	assert.ErrorContains(t, err, "the server reads at most 10000")

	small := dial(t, addr, WithCompression(0), WithMaxMessage(5_000))
	_, err = echoText.Call(t.Context(), small, &letter{lines(8_000)})
	require.ErrorIs(t, err, ResourceExhausted)
	assert.False(t, NeverRan(err))
	assert.ErrorContains(t, err, "the client reads at most 5000")

	// And exactly at the limit it goes.
	overhead := wire.MinLength + 6 + len(echoText.Name()) + len(`{"Text":""}`)
	_, err = echoText.Call(t.Context(), client, &letter{strings.Repeat("x", 10_000-overhead)})
	require.NoError(t, err)
	_, err = echoText.Call(t.Context(), client, &letter{strings.Repeat("x", 10_000-overhead+1)})
	require.ErrorContains(t, err, "request of 10001 bytes: the server reads at most 10000", "it is not even sent")
}

// Without the agreement of both, nothing is compressed and all works.
func TestCompression_BothHaveToWantIt(t *testing.T) {
	for _, c := range []struct {
		name   string
		server []ServerOption
		client []ClientOption
	}{
		{"the client alone", nil, []ClientOption{WithCompression(0)}},
		{"the server alone", []ServerOption{WithCompression(0)}, nil},
		{"not with gob", []ServerOption{WithCompression(0), WithCodecs(Gob)}, []ClientOption{WithCompression(0), WithCodec(Gob)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			here := new(traffic)
			client := dial(t, listen(t, echoServer(t, c.server...)), append(c.client, WithObserver(observe(here)))...)
			for range 3 {
				out, err := echoText.Call(t.Context(), client, &letter{lines(20_000)})
				require.NoError(t, err)
				require.Equal(t, lines(20_000), out.Text)
			}
			assert.Greater(t, here.written.Load(), int64(60_000))
			assert.Greater(t, here.read.Load(), int64(60_000))
		})
	}
}

func TestCompression_TheOfferIsNobodysMetadata(t *testing.T) {
	inv := newInventory()
	var seen *Peer
	inv.saw = func(ctx context.Context) { seen, _ = PeerFrom(ctx) }
	for _, opts := range [][]ServerOption{nil, {WithCompression(0)}} {
		addr := listen(t, inv.server(t, opts...))
		client := dial(t, addr, WithCompression(0), WithHelloMetadata(Metadata{"app": "shop"}))
		_, err := checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, Metadata{"app": "shop"}, seen.Metadata)
	}
	md := Metadata{"rpc.compression": "gzip"}
	client, err := Dial(t.Context(), listen(t, inv.server(t)), WithHelloMetadata(md))
	assert.Nil(t, client)
	assert.ErrorIs(t, err, InvalidArgument)
	assert.ErrorContains(t, err, "the protocol's own")
}

// The offer does not count against the bound of metadata.
func TestCompression_IsOfferedToAServerThatTakesNoMetadata(t *testing.T) {
	here := new(traffic)
	client := dial(t, listen(t, echoServer(t, WithCompression(0), WithMaxMetadata(0))), WithCompression(0), WithObserver(observe(here)))
	_, err := echoText.Call(t.Context(), client, &letter{lines(20_000)})
	require.NoError(t, err)
	assert.Less(t, here.written.Load(), int64(10_000))
}

func TestCompression_OfferAndGrant(t *testing.T) {
	for _, c := range []struct {
		offer string
		from  int
	}{
		{"gzip", 500}, {"zstd,gzip", 500}, {"gzip,zstd", 500}, {"zstd", 0}, {"", 0}, {"GZIP", 0}, {"gzip2", 0},
	} {
		server := &serverConn{server: NewServer(WithCompression(500))}
		md := Metadata{compressionKey: c.offer, "rpc.other": "x", "app": "shop"}
		said := strings.Fields(server.grant(takeOffers(md), JSON))
		assert.Equal(t, c.from, server.compress, "%q", c.offer)
		assert.Equal(t, c.from > 0, server.agreed&wire.FlagCompressed != 0, "%q", c.offer)
		assert.Equal(t, c.from > 0, slices.Contains(said, "rpc.compression=gzip"), "%q", c.offer)
		assert.Equal(t, Metadata{"app": "shop"}, md)
	}
	options := defaultClientOptions()
	WithCompression(700).configureClient(&options)
	for said, from := range map[string]int{
		"": 0, "rpc.compression=gzip": 700, "rpc.other=1 rpc.compression=gzip": 700, "rpc.compression=zstd": 0, "gzip": 0,
		"rpc.compression": 0, "rpc.compression=zstd rpc.compression=gzip": 700,
	} {
		client := &clientConn{options: &options}
		client.takeGrants(said)
		assert.Equal(t, from, client.compress, "%q", said)
		assert.Equal(t, from > 0, client.agreed&wire.FlagCompressed != 0, "%q", said)
	}
	options.codec = Gob
	offering, err := options.helloMetadata()
	require.NoError(t, err)
	assert.NotContains(t, offering, compressionKey)
	client := &clientConn{options: &options}
	client.takeGrants("rpc.compression=gzip")
	assert.Zero(t, client.compress, "it was not offered")
	assert.Zero(t, client.agreed&wire.FlagCompressed)
}

// rawCompressing connects to srv by hand and has compression granted.
func rawCompressing(t testing.TB, srv *Server, maxMessage uint32) *rawConn {
	t.Helper()
	return rawClientSaying(t, srv, wire.ClientHello{Codec: "json", MaxMessage: maxMessage, Pairs: wire.AppendPairs(nil, Metadata{compressionKey: gzipName})})
}

// rawGranting is a server by hand that grants compression.
func rawGranting(t testing.TB, opts ...ClientOption) (*Client, *rawConn) {
	t.Helper()
	return rawServerSaying(t, wire.ServerHello{InFlight: 100, MaxMessage: 4 << 20, Text: compressionKey + "=" + gzipName}, opts...)
}

func (r *rawConn) compressed(id uint64, method, body string) {
	r.t.Helper()
	h := wire.RequestHead{Method: method}
	r.write(append(h.Append(nil, wire.FlagCompressed, id, len(body)), body...))
}

// badGzip is what is not one body of gzip.
func badGzip(t testing.TB) map[string]string {
	good := gzipped(t, `{"Text":"abc"}`)
	flipped := []byte(good)
	flipped[len(flipped)-5] ^= 1
	var named bytes.Buffer
	w := gzip.NewWriter(&named)
	w.Name = "a"
	w.Write([]byte(`{"Text":"abc"}`))
	w.Close()
	return map[string]string{
		"nothing":          "",
		"not gzip":         `{"Text":"abc"}`,
		"a part of a head": good[:7],
		"cut short":        good[:len(good)-9],
		"without its sum":  good[:len(good)-8],
		"a wrong sum":      string(flipped),
		"more after it":    good + " ",
		"two of them":      gzipped(t, `{"Text":`) + gzipped(t, `"abc"}`),
		"a name":           named.String(),
		"room for 64 KiB":  "\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff\xff\xff",
		"no deflate":       good[:10] + "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"not JSON":         gzipped(t, `{"Text":"abc`),
		"compressed twice": gzipped(t, good),
	}
}

func TestCompression_BadParamsFailTheirCallAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := echoServer(t, WithCompression(0))
		raw := rawCompressing(t, srv, 1<<20)
		var id uint64
		for name, body := range badGzip(t) {
			id++
			raw.compressed(id, echoText.Name(), body)
			e := raw.readError(id)
			assert.Equal(t, InvalidArgument, e.Code, name)
			assert.True(t, e.neverRan, name)
		}
		id++
		raw.compressed(id, echoText.Name(), gzipped(t, `{"Text":"abc"}`))
		assert.Equal(t, `{"Text":"abc"}`, string(raw.read().Payload))
		raw.conn.Close()
		srv.Close()
	})
}

func TestCompression_BadResultsFailTheirCallAlone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawGranting(t, WithCompression(0))
		bad := badGzip(t)
		bad["a bomb"] = bomb(t, 32)
		for name, body := range bad {
			var out letter
			call := client.Go(t.Context(), "Test.Echo", nil, &out)
			raw.write(append(wire.AppendHeader(nil, wire.KindResponse, wire.FlagCompressed, raw.read().ID, len(body)), body...))
			want := Internal
			if name == "a bomb" {
				want = ResourceExhausted
			}
			assert.Equal(t, want, CodeOf(call.Wait()), name)
		}
		var out letter
		call := client.Go(t.Context(), "Test.Echo", nil, &out)
		body := gzipped(t, `{"Text":"abc"}`)
		raw.write(append(wire.AppendHeader(nil, wire.KindResponse, wire.FlagCompressed, raw.read().ID, len(body)), body...))
		require.NoError(t, call.Wait())
		assert.Equal(t, "abc", out.Text)
		client.Close()
	})
}

// A flag that the hellos did not agree upon ends the connection, as every
// reserved flag does.
func TestCompression_FlagThatWasNotAgreedUponEndsTheConnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			codec string
			offer Metadata
			opts  []ServerOption
		}{
			{"json", nil, nil},
			{"json", nil, []ServerOption{WithCompression(0)}},
			{"json", Metadata{compressionKey: gzipName}, nil},
			{"gob", Metadata{compressionKey: gzipName}, []ServerOption{WithCompression(0), WithCodecs(Gob)}},
		} {
			srv := echoServer(t, c.opts...)
			raw := rawClientSaying(t, srv, wire.ClientHello{Codec: c.codec, MaxMessage: 1 << 20, Pairs: wire.AppendPairs(nil, c.offer)})
			raw.compressed(1, echoText.Name(), gzipped(t, `{}`))
			_, e := raw.readGoAway()
			assert.Equal(t, InvalidArgument, e.Code)
			assert.Contains(t, e.Message, "reserved flags 0x10")
			raw.conn.Close()
			srv.Close()
		}
		client, raw := rawServerSaying(t, wire.ServerHello{InFlight: 100, MaxMessage: 4 << 20}, WithCompression(0))
		call := client.Go(t.Context(), "Test.Echo", nil, nil)
		raw.write(wire.AppendHeader(nil, wire.KindResponse, wire.FlagCompressed, raw.read().ID, 0))
		assert.ErrorContains(t, call.Wait(), "reserved flags 0x10")
		client.Close()
	})
}

// A MiB that expands to a GiB costs the receiver its limit, no more.
func TestCompression_BombIsRefusedAfterTheLimit(t *testing.T) {
	const limit = 2 << 20
	giga := bomb(t, 1<<10)
	require.InDelta(t, 1<<20, len(giga), 1<<16, "bytes of gzip")
	srv := echoServer(t, WithCompression(0), WithMaxMessage(limit))
	raw := rawCompressing(t, srv, 1<<20)
	raw.compressed(1, echoText.Name(), giga) // what is pooled is there from now on
	assert.Equal(t, ResourceExhausted, raw.readError(1).Code)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const bombs = 20
	for id := uint64(2); id < 2+bombs; id++ {
		raw.compressed(id, echoText.Name(), giga)
		e := raw.readError(id)
		assert.Equal(t, ResourceExhausted, e.Code)
		assert.True(t, e.neverRan)
		assert.Contains(t, e.Message, "more bytes than a message may have")
	}
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(bombs*4*limit), "bytes allocated by %d bombs", bombs)

	raw.request(2+bombs, echoText.Name(), `{"Text":"abc"}`)
	assert.Equal(t, `{"Text":"abc"}`, string(raw.read().Payload), "the connection goes on")
	raw.conn.Close()
	srv.Close()
}

// What comes out is at most the limit, to the byte, wherever it is.
func TestExpand_HoldsToItsRoom(t *testing.T) {
	for _, size := range []int{1, 511, 512, 513, 4096, 70_000} {
		data := gzipped(t, lines(size))
		out, err := expand(nil, []byte(data), size)
		require.NoError(t, err)
		assert.Equal(t, lines(size), string(out.B))
		_, err = expand(nil, []byte(data), size-1)
		assert.ErrorIs(t, err, errExpands, "%d bytes into %d", size, size-1)
	}
}

// Room is made for what comes out, not for what could: twice as much as what filled the
// buffer before, in a buffer that has less than twice as much as is asked for, whatever
// others have left in the pool.
func TestExpand_MakesRoomForWhatComesOut(t *testing.T) {
	const size = 30_000
	data := []byte(gzipped(t, lines(size)))
	for grown := 600; grown < 4*size; grown += grown / 8 {
		bytepool.Put(&bytepool.Buffer{B: make([]byte, grown)})
	}
	out, err := expand(nil, data, 100<<20)
	require.NoError(t, err)
	assert.Less(t, cap(out.B), 4*size)
}

// Nothing is decompressed for who may not call: the answer is Authorize's.
func TestCompression_NothingIsDecompressedBeforeAuthorize(t *testing.T) {
	bubble(t, func(t *testing.T) {
		refuse := func(context.Context, string) (Identity, error) { return Identity{}, Unauthenticated }
		srv := echoServer(t, WithCompression(0), WithAuthorize(refuse))
		raw := rawCompressing(t, srv, 1<<20)
		for id, body := range []string{"not gzip", bomb(t, 16)} {
			raw.compressed(uint64(id+1), echoText.Name(), body)
			assert.Equal(t, Unauthenticated, raw.readError(uint64(id+1)).Code)
		}
		raw.conn.Close()
		srv.Close()
	})
}

// Params that no method wants are not looked at, compressed or not.
func TestCompression_ParamsThatNobodyWants(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := echoServer(t, WithCompression(0))
		require.NoError(t, srv.RegisterFunc("Test.Nothing", func() error { return nil }))
		raw := rawCompressing(t, srv, 1<<20)
		raw.compressed(1, "Test.Nothing", "not gzip")
		assert.Equal(t, wire.KindResponse, raw.read().Kind)
		raw.conn.Close()
		srv.Close()
	})
}

// A method that does not block gets compressed params, too, off the reader.
func TestCompression_NonBlockingMethods(t *testing.T) {
	srv := echoServer(t, WithCompression(0))
	quick := Method[letter, letter]("Test.Quick")
	require.NoError(t, quick.Handle(srv, func(_ context.Context, in *letter) (*letter, error) {
		if len(in.Text) > defaultCompressFrom {
			assert.NotContains(t, string(debug.Stack()), ").handleRequest(", "it runs on the goroutine that reads")
		}
		return in, nil
	}, NonBlocking()))
	client := dial(t, listen(t, srv), WithCompression(0))
	for _, size := range []int{10, 5_000, 100, 500_000} {
		out, err := quick.Call(t.Context(), client, &letter{lines(size)})
		require.NoError(t, err)
		assert.Equal(t, lines(size), out.Text)
	}
}

// Whatever is called gzip: at most room bytes, those that the gzip package sees,
// or an error.
func FuzzExpand(f *testing.F) {
	for _, body := range badGzip(f) {
		f.Add([]byte(body), uint16(100))
	}
	f.Add([]byte(gzipped(f, lines(5_000))), uint16(5_000))
	f.Add([]byte(gzipped(f, lines(5_000))), uint16(4_999))
	f.Fuzz(func(t *testing.T, data []byte, room uint16) {
		limit := max(int(room), 1)
		out, err := expand(nil, data, limit)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(out.B), limit)
		in := bytes.NewReader(data)
		r, err := gzip.NewReader(in)
		require.NoError(t, err)
		r.Multistream(false)
		want, err := io.ReadAll(r)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(out.B))
		assert.Zero(t, in.Len())
		bytepool.Put(out)
	})
}

// BenchmarkCompression compares a result of 10 KiB as it is and compressed.
func BenchmarkCompression(b *testing.B) {
	for name, opts := range map[string][]ClientOption{"off": nil, "on": {WithCompression(0)}} {
		b.Run(name, func(b *testing.B) {
			here := new(traffic)
			client := dial(b, listen(b, echoServer(b, WithCompression(0))), append(opts, WithObserver(observe(here)))...)
			in := &letter{lines(10 << 10)}
			body, err := json.Marshal(in)
			require.NoError(b, err)
			b.SetBytes(int64(2 * len(body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := echoText.Call(b.Context(), client, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(here.read.Load()+here.written.Load())/float64(b.N), "wire-B/op")
		})
	}
}

// A gzip writer is large: of many results that are ready at once, few are compressed at
// the same time. Each new writer lets all others run, so without a bound all are made.
func TestCompression_FewWritersAtOnce(t *testing.T) {
	const calls = 32
	was := compressors.New
	defer func() { compressors.New = was }()
	compressors = sync.Pool{New: was} // those of other tests would be used first
	var now, most atomic.Int64
	compressors.New = func() any {
		c := was()
		n := now.Add(1)
		for have := most.Load(); n > have && !most.CompareAndSwap(have, n); have = most.Load() {
		}
		for range 10 {
			runtime.Gosched()
		}
		now.Add(-1)
		return c
	}

	srv := NewServer(WithCompression(0))
	var ready sync.WaitGroup
	ready.Add(calls)
	text := lines(2 << 10)
	require.NoError(t, echoText.Handle(srv, func(context.Context, *letter) (*letter, error) {
		ready.Done()
		ready.Wait()
		return &letter{text}, nil
	}))
	client := dial(t, listen(t, srv), WithCompression(0))
	var callers sync.WaitGroup
	for range calls {
		callers.Go(func() {
			out, err := echoText.Call(t.Context(), client, new(letter))
			if assert.NoError(t, err) {
				assert.Equal(t, text, out.Text)
			}
		})
	}
	callers.Wait()
	assert.Positive(t, most.Load())
	assert.LessOrEqual(t, most.Load(), int64(cap(compressing)), "writers at once")
	assert.Less(t, cap(compressing), calls, "else this test could not fail")
}

// SECURITY.md counts with this size.
func TestCompression_SizeOfAWriter(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := compressors.New().(*compressor)
	bytepool.Put(c.compress([]byte(lines(2 << 10)))) // the rest is made with the first write
	runtime.ReadMemStats(&after)
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(5<<20/4))
}
