package main

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

// eachStreamer runs test for every peer that has streams, with a context for the streams.
func eachStreamer(t *testing.T, test func(t *testing.T, ctx context.Context, c streamer)) {
	t.Helper()
	eachPeer(t, func(t *testing.T, p peer) {
		ctx, clients := testClients(t, p, 1)
		c, has := clients[0].(streamer)
		assert.Equal(t, p.streams, has && p.streams)
		if p.streams {
			ctx, cancel := context.WithCancel(ctx)
			defer cancel()
			test(t, ctx, c)
		}
	})
}

func TestStreams_WatchSendsAllItemsInOrderAndEnds(t *testing.T) {
	eachStreamer(t, func(t *testing.T, ctx context.Context, c streamer) {
		for _, size := range []int64{5, 64 << 10} {
			in, err := c.Watch(ctx, &shoppb.WatchRequest{Count: 100, Size: size})
			require.NoError(t, err)
			for n := range int64(100) {
				got, err := in.Recv()
				require.NoError(t, err)
				require.Equal(t, n, got.Number)
				require.Equal(t, payload(int(size)), got.Body)
			}
			_, err = in.Recv()
			assert.Equal(t, io.EOF, err)
		}
	})
}

func TestStreams_TalkSendsEachItemBack(t *testing.T) {
	eachStreamer(t, func(t *testing.T, ctx context.Context, c streamer) {
		on, err := c.Talk(ctx)
		require.NoError(t, err)
		for n := range int64(20) {
			require.NoError(t, on.Send(&shoppb.StreamItem{Number: n, Body: payload(5)}))
			got, err := on.Recv()
			require.NoError(t, err)
			require.Equal(t, n, got.Number)
			require.Equal(t, payload(5), got.Body)
		}
	})
}

func TestStreams_AnItemOutOfOrderOrDamagedIsNoticed(t *testing.T) {
	want := &shoppb.StreamItem{Number: 7, Body: []byte("abc")}
	assert.NoError(t, checkItem(&shoppb.StreamItem{Number: 7, Body: []byte("abc")}, want))
	for _, got := range []*shoppb.StreamItem{
		{Number: 8, Body: []byte("abc")}, {Number: 6, Body: []byte("abc")},
		{Number: 7}, {Number: 7, Body: []byte("abcd")}, {Number: 7, Body: []byte("xbc")}, {Number: 7, Body: []byte("abx")},
	} {
		assert.ErrorIs(t, checkItem(got, want), errWrongReply)
	}
}
