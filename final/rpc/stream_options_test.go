package rpc

import (
	"context"
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// grantTo returns the text of the hello that answers a client's offer.
func grantTo(t *testing.T, srv *Server, hello wire.ClientHello) string {
	near, far := net.Pipe()
	defer near.Close()
	go srv.ServeConn(far)
	_, err := near.Write(hello.Append(nil))
	require.NoError(t, err)
	body, err := wire.ReadHello(near, wire.MaxHello)
	require.NoError(t, err)
	answer, err := parseServerHello(body)
	require.NoError(t, err)
	return answer.Text
}

// A server grants as many streams as have room: it sets the windows of all aside.
func TestStreams_AreGrantedAsManyAsHaveRoom(t *testing.T) {
	for name, c := range map[string]struct {
		opts  []ServerOption
		codec string
		offer string
		want  string
	}{
		"by default":                    {want: "rpc.streams=1024,16384"},
		"as many as the option says":    {opts: []ServerOption{WithMaxStreams(3)}, want: "rpc.streams=3,16384"},
		"more than have room":           {opts: []ServerOption{WithMaxStreams(1 << 20)}, want: "rpc.streams=1320,16384"},
		"more than have room, with gob": {opts: []ServerOption{WithMaxStreams(1 << 20), WithCodecs(Gob)}, codec: "gob", want: "rpc.streams=1482,16384"},
		"one at least":                  {opts: []ServerOption{WithConnStreamMemory(leastForStreams)}, want: "rpc.streams=1,16384"},
		"memory for more":               {opts: []ServerOption{WithMaxStreams(1 << 20), WithConnStreamMemory(64 << 20)}, want: "rpc.streams=2856,16384"},
		"memory without end":            {opts: []ServerOption{WithConnStreamMemory(math.MaxInt)}, want: "rpc.streams=1024,16384"},
		"a quarter of the server's":     {opts: []ServerOption{WithStreamMemory(32 << 20)}, want: "rpc.streams=168,16384"},
		"large messages":                {opts: []ServerOption{WithMaxMessage(64 << 20)}, want: "rpc.streams=1024,16384"},
		"without streams":               {opts: []ServerOption{WithoutStreams()}},
		"another window":                {offer: "4096", want: "rpc.streams=1024,16384"},
		"a window that is too small":    {offer: "4095"},
		"a window that is too large":    {offer: "2147483648"},
		"no number":                     {offer: "many"},
		"a number in other words":       {offer: "016384"},
		"no offer":                      {offer: "-"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				srv := newServer(t, c.opts...)
				hello := wire.ClientHello{Codec: "json", MaxMessage: 1 << 20}
				if c.codec != "" {
					hello.Codec = c.codec
				}
				switch c.offer {
				case "-":
				case "":
					hello.Pairs = wire.AppendPairs(nil, map[string]string{streamsKey: "16384"})
				default:
					hello.Pairs = wire.AppendPairs(nil, map[string]string{streamsKey: c.offer})
				}
				assert.Equal(t, c.want, grantTo(t, srv, hello))
			})
		})
	}
}

// When the streams of all connections have taken their memory, the next one is refused with
// a pause, and never ran; a stream on which the client sends nothing needs none. Room is
// there again when one has ended.
func TestWithStreamMemory_RefusesStreamsThatHaveNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := streamServer(t, WithStreamMemory(256<<10), WithMaxMessage(1<<10))
		var open []*DuplexStream[change, change]
		var refused error
		for len(open) < 100 && refused == nil {
			client := pipe(t, srv, WithMaxAttempts(1)) // two streams for each connection
			for range 2 {
				s, err := syncing.Open(t.Context(), client)
				require.NoError(t, err)
				if err = s.Send(t.Context(), new(change)); err == nil {
					_, err = s.Receive(t.Context())
				}
				if err != nil {
					refused = err
					break
				}
				open = append(open, s)
			}
		}
		assert.Len(t, open, 12, "three quarters of the memory: the rest is for connections that have little")
		assert.Equal(t, ResourceExhausted, CodeOf(refused))
		assert.True(t, NeverRan(refused))
		pause, asked := RetryAfter(refused)
		assert.True(t, asked)
		assert.Equal(t, 100*time.Millisecond, pause)

		client := pipe(t, srv, WithMaxAttempts(1))
		counts, err := watch.Open(t.Context(), client, &watchRequest{Count: 1})
		require.NoError(t, err)
		_, err = counts.Receive(t.Context())
		require.NoError(t, err, "a server stream")

		require.NoError(t, open[0].Close())
		synctest.Wait()
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		require.NoError(t, s.Send(t.Context(), new(change)))
		_, err = s.Receive(t.Context())
		assert.NoError(t, err)
	})
}

// A client opens no more streams than its own memory has room for.
func TestWithConnStreamMemory_BoundsWhatAClientOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := pipe(t, streamServer(t), WithConnStreamMemory(leastForStreams))
		first, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = syncing.Open(ctx, client)
		assert.Equal(t, DeadlineExceeded, CodeOf(err))
		assert.True(t, NeverRan(err))
		require.NoError(t, first.Close())
		_, err = syncing.Open(t.Context(), client)
		assert.NoError(t, err)
	})
}

// receiveAll receives items, and sends an empty one for each.
func receiveAll(ctx context.Context, in *Receiver[change], out *Sender[change]) error {
	for {
		if _, err := in.Receive(ctx); err != nil {
			return err
		}
		if err := out.Send(ctx, new(change)); err != nil {
			return err
		}
	}
}

// exchange sends an item of so many bytes, and waits for the answer.
func exchange(t *testing.T, s *DuplexStream[change, change], size int) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the server cuts nobody before
	defer cancel()
	if err := s.Send(ctx, &change{Data: strings.Repeat("x", size)}); err != nil {
		return err
	}
	_, err := s.Receive(ctx)
	return err
}

// However many windows other connections have, on which nothing happens: an item that is
// larger than its window is received.
func TestWithStreamMemory_LargeItemNeedsNoMemoryThatWindowsHave(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := bidiServer(t, receiveAll, WithMaxMessage(1<<20), WithStreamMemory(16<<20), WithMaxHandlers(4000))
		client := pipe(t, srv)
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		require.NoError(t, exchange(t, s, 10))
		var raws []*rawConn
		for range 40 { // each takes little: then they can take all that windows may have
			raw := rawStreams(t, srv, "16384")
			raws = append(raws, raw)
			for id := range uint64(30) {
				raw.write(bidi(id + 1))
			}
		}
		synctest.Wait()
		full, err := syncing.Open(t.Context(), pipe(t, srv, WithMaxAttempts(1)))
		require.NoError(t, err)
		require.ErrorContains(t, exchange(t, full, 10), "there is no room for the window of another stream now")
		for range 3 {
			assert.NoError(t, exchange(t, s, 500_000))
		}
		for _, raw := range raws {
			raw.conn.Close()
		}
		client.Close()
		srv.Close()
		assertNothingHeld(t, srv.streams)
	})
}

// A stream that waits until other connections give their places for large items back delays
// no other one of its connection.
func TestWithStreamMemory_WaitForAPlaceDelaysNoOpen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := bidiServer(t, receiveAll, WithMaxMessage(1<<20), WithStreamMemory(16<<20))
		var raws []*rawConn
		for range 12 {
			raw := rawStreams(t, srv, "16384")
			raws = append(raws, raw)
			raw.write(append(bidi(1), number(wire.KindWant, 1, 1<<20)...))
		}
		synctest.Wait()
		client := pipe(t, srv)
		s, err := syncing.Open(t.Context(), client)
		require.NoError(t, err)
		waited := make(chan error, 1)
		go func() { waited <- exchange(t, s, 500_000) }()
		synctest.Wait()
		require.Empty(t, waited)
		for range 3 {
			other, err := syncing.Open(t.Context(), client)
			require.NoError(t, err)
			assert.NoError(t, exchange(t, other, 10))
		}
		require.Empty(t, waited)
		for _, raw := range raws {
			raw.conn.Close()
		}
		assert.NoError(t, <-waited)
		client.Close()
		srv.Close()
		assertNothingHeld(t, srv.streams)
	})
}
