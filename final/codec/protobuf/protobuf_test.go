package protobuf

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

func TestCodec_RoundTripsAMessageAfterWhatIsThere(t *testing.T) {
	in := wrapperspb.String("item1")
	data, err := Codec.Append([]byte("head"), in)
	require.NoError(t, err)
	require.Equal(t, "head", string(data[:4]))

	out := wrapperspb.String("left over")
	require.NoError(t, Codec.Decode(data[4:], out))
	assert.True(t, proto.Equal(in, out))
}

func TestCodec_NoBytesAreTheZeroMessage(t *testing.T) {
	out := wrapperspb.String("left over")
	require.NoError(t, Codec.Decode(nil, out))
	assert.Empty(t, out.GetValue())
}

func TestCodec_DoesNotKeepWhatItDecodes(t *testing.T) {
	data, err := Codec.Append(nil, wrapperspb.Bytes([]byte("item1")))
	require.NoError(t, err)
	out := new(wrapperspb.BytesValue)
	require.NoError(t, Codec.Decode(data, out))
	clear(data)
	assert.Equal(t, "item1", string(out.GetValue()))
}

func TestCodec_RefusesWhatIsNoMessage(t *testing.T) {
	_, err := Codec.Append(nil, "item1")
	assert.ErrorContains(t, err, "string is not a proto.Message")
	assert.ErrorContains(t, Codec.Decode(nil, new(int)), "*int is not a proto.Message")
}
