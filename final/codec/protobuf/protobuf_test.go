package protobuf

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/emptypb"
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

	for _, zero := range []proto.Message{&emptypb.Empty{}, wrapperspb.String(""), (*wrapperspb.StringValue)(nil)} {
		data, err := Codec.Append([]byte("head"), zero)
		require.NoError(t, err)
		assert.Equal(t, "head", string(data), "%T", zero)
	}
}

func TestCodec_DoesNotKeepWhatItDecodes(t *testing.T) {
	data, err := Codec.Append(nil, wrapperspb.Bytes([]byte("item1")))
	require.NoError(t, err)
	out := new(wrapperspb.BytesValue)
	require.NoError(t, Codec.Decode(data, out))
	clear(data)
	assert.Equal(t, "item1", string(out.GetValue()))
}

// A later version's field goes through a program that does not know it.
func TestCodec_KeepsUnknownFields(t *testing.T) {
	data, err := Codec.Append(nil, wrapperspb.String("item1"))
	require.NoError(t, err)
	data = protowire.AppendTag(data, 99, protowire.VarintType)
	data = protowire.AppendVarint(data, 7)
	out := new(wrapperspb.StringValue)
	require.NoError(t, Codec.Decode(data, out))
	assert.Equal(t, "item1", out.GetValue())
	again, err := Codec.Append(nil, out)
	require.NoError(t, err)
	assert.Equal(t, data, again)
}

// proto2: a message without its required fields is an error on both sides.
func TestCodec_RefusesAMessageWithoutItsRequiredFields(t *testing.T) {
	const missing = "required field google.protobuf.UninterpretedOption.NamePart.name_part not set"
	part := &descriptorpb.UninterpretedOption_NamePart{IsExtension: new(bool)}
	dst, err := Codec.Append([]byte("head"), part)
	assert.ErrorContains(t, err, missing)
	assert.Equal(t, "head", string(dst[:4]))
	data, err := proto.MarshalOptions{AllowPartial: true}.Marshal(part)
	require.NoError(t, err)
	assert.ErrorContains(t, Codec.Decode(data, new(descriptorpb.UninterpretedOption_NamePart)), missing)

	part.NamePart = new(string)
	data, err = Codec.Append(nil, part)
	require.NoError(t, err)
	assert.NoError(t, Codec.Decode(data, new(descriptorpb.UninterpretedOption_NamePart)))
}

func TestCodec_RefusesBadBytes(t *testing.T) {
	nested := []byte(nil)
	for range 11_000 { // messages within messages; the decoder stops at 10,000
		outer := protowire.AppendTag(nil, 3, protowire.BytesType)
		outer = protowire.AppendVarint(outer, uint64(len(nested)))
		nested = slices.Insert(nested, 0, outer...)
	}
	for name, test := range map[string]struct {
		data []byte
		into proto.Message
		text string
	}{
		"a length beyond the end":   {[]byte("\x0a\xff\xff\xff\xff\x0fabc"), new(wrapperspb.StringValue), "cannot parse"},
		"a tag without a value":     {[]byte("\x0a"), new(wrapperspb.StringValue), "cannot parse"},
		"a number that never ends":  {bytes.Repeat([]byte{0xff}, 20), new(wrapperspb.Int64Value), "cannot parse"},
		"field number 0":            {[]byte("\x02\x00"), new(wrapperspb.StringValue), "cannot parse"},
		"a string that is not UTF8": {[]byte("\x0a\x02\xc3\x28"), new(wrapperspb.StringValue), "invalid UTF-8"},
		"an end without beginning":  {[]byte("\x0c"), new(wrapperspb.StringValue), "cannot parse"},
		"nesting without end":       {nested, new(descriptorpb.DescriptorProto), "recursion depth"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.ErrorContains(t, Codec.Decode(test.data, test.into), test.text)
		})
	}
}

func TestCodec_RefusesWhatIsNoMessage(t *testing.T) {
	var message *wrapperspb.StringValue
	for name, test := range map[string]struct {
		v    any
		text string
	}{
		"a string": {"item1", "protobuf: string is not a proto.Message: use a generated message, " +
			"give the type ToProto and FromProto (protobuf.Convertible), or choose another codec"},
		"a pointer":              {new(int), "protobuf: *int is not a proto.Message: use a generated message"},
		"a nil pointer":          {(*int)(nil), "*int"},
		"nothing":                {nil, "nil"},
		"a pointer to a message": {&message, "protobuf: **wrapperspb.StringValue is not a proto.Message, but *wrapperspb.StringValue is: pass that"},
		"a type that embeds one": {&struct {
			*wrapperspb.StringValue
			Extra int
		}{}, "embeds a proto.Message, and is none: pass the message, or give the type ToProto and FromProto"},
		"a value of such a type": {line{}, "protobuf: protobuf.line is not a proto.Message, but *protobuf.line is: pass a pointer"},
	} {
		t.Run(name, func(t *testing.T) {
			dst, err := Codec.Append([]byte("head"), test.v)
			assert.ErrorContains(t, err, test.text)
			assert.Equal(t, "head", string(dst))
			assert.ErrorContains(t, Codec.Decode(nil, test.v), test.text)
		})
	}
	assert.EqualError(t, Codec.Decode(nil, message), "protobuf: decode into a nil *wrapperspb.StringValue")
}

// One message, or one value, may be sent by many callers at once.
func TestCodec_ManyAtOnce(t *testing.T) {
	shared, plain := wrapperspb.String("item1"), &line{Item: "item1", Quantity: 2}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				data, err := Codec.Append(nil, shared)
				assert.NoError(t, err)
				out := new(wrapperspb.StringValue)
				assert.NoError(t, Codec.Decode(data, out))
				assert.Equal(t, "item1", out.GetValue())

				data, err = Codec.Append(nil, plain)
				assert.NoError(t, err)
				var got line
				assert.NoError(t, Codec.Decode(data, &got))
				assert.Equal(t, *plain, got)
			}
		})
	}
	all.Wait()
}
