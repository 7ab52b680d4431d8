package rpc

import (
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// longCodec is JSON under a name as long as one may be.
type longCodec struct{ Codec }

func (longCodec) Name() string { return strings.Repeat("x", 32) }

// What a client offers without being asked must not take it away from a server that is
// set to few metadata, or that is of before: that one had room for 64 bytes. With
// compression, which is asked for, the offers are longer than that.
func TestHello_HasRoomForOffersBesideTheMetadata(t *testing.T) {
	const before = 64
	user := Metadata{"k": strings.Repeat("x", 8<<10-5)}
	require.Equal(t, 8<<10, wire.PairsSize(user))
	for _, c := range []struct {
		codec    Codec
		compress Option
		room     int
	}{
		{JSON, nil, before},
		{Gob, WithCompression(0), before},
		{JSON, WithCompression(0), helloRoom},
		{longCodec{JSON}, WithCompression(0), helloRoom},
	} {
		bubble(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			opts := []ClientOption{WithCodec(c.codec), WithHelloMetadata(user)}
			if c.compress != nil {
				opts = append(opts, c.compress)
			}
			client := NewClient(near, opts...)
			defer client.Close()
			body, err := wire.ReadHello(far, 8<<10+c.room)
			require.NoError(t, err, "%s", c.codec.Name())
			_, md, err := parseClientHello(body)
			require.NoError(t, err)
			assert.Contains(t, md, replyMetadataKey)
			assert.Contains(t, md, streamsKey)
		})
	}
	long := longCodec{JSON}
	client := dial(t, listen(t, headerServer(t, WithCodecs(long), WithMaxMetadata(0))), WithCodec(long), WithCompression(0))
	_, err := echoHeader.Call(t.Context(), client, &letter{"a"})
	assert.NoError(t, err)
}
