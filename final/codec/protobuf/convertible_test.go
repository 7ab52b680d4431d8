package protobuf

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// line is a plain type. The message that it borrows has a string 1 and an int32 3.
type line struct {
	Item     string
	Quantity int8
}

func (l *line) ToProto() proto.Message {
	return &descriptorpb.FieldDescriptorProto{Name: &l.Item, Number: proto.Int32(int32(l.Quantity))}
}

func (l *line) FromProto(m proto.Message) error {
	f := m.(*descriptorpb.FieldDescriptorProto)
	if f.GetNumber() != int32(int8(f.GetNumber())) {
		return errors.New("quantity: more than 127")
	}
	*l = line{Item: f.GetName(), Quantity: int8(f.GetNumber())}
	return nil
}

// lost has forgotten its message.
type lost struct{}

func (*lost) ToProto() proto.Message        { return nil }
func (*lost) FromProto(proto.Message) error { return nil }

func TestConvertible_TravelsAsItsMessage(t *testing.T) {
	data, err := Codec.Append([]byte("head"), &line{"item1", 2})
	require.NoError(t, err)
	var m descriptorpb.FieldDescriptorProto
	require.NoError(t, proto.Unmarshal(data[4:], &m), "for whoever has generated code")
	assert.Equal(t, "item1", m.GetName())
	assert.EqualValues(t, 2, m.GetNumber())

	got := line{"left over", 100}
	require.NoError(t, Codec.Decode(data[4:], &got))
	assert.Equal(t, line{"item1", 2}, got)
}

func TestConvertible_NoBytesAreTheZeroValue(t *testing.T) {
	got := line{"left over", 100}
	require.NoError(t, Codec.Decode(nil, &got))
	assert.Zero(t, got)
	data, err := Codec.Append(nil, (*line)(nil))
	require.NoError(t, err)
	assert.Empty(t, data)
	assert.EqualError(t, Codec.Decode(nil, (*line)(nil)), "protobuf: decode into a nil *protobuf.line")
}

func TestConvertible_DropsUnknownFields(t *testing.T) {
	data, err := Codec.Append(nil, &line{"item1", 2})
	require.NoError(t, err)
	var got line
	require.NoError(t, Codec.Decode(protowire.AppendVarint(protowire.AppendTag(data, 99, protowire.VarintType), 7), &got))
	assert.Equal(t, line{"item1", 2}, got)
}

func TestConvertible_SaysWhatItCannotHold(t *testing.T) {
	data, err := proto.Marshal(&descriptorpb.FieldDescriptorProto{Number: proto.Int32(128)})
	require.NoError(t, err)
	got := line{"item1", 2}
	assert.EqualError(t, Codec.Decode(data, &got), "quantity: more than 127")
	assert.Equal(t, line{"item1", 2}, got)
	assert.Error(t, Codec.Decode([]byte("\x0a\x05i"), &got))
	assert.Equal(t, line{"item1", 2}, got, "a broken message changes nothing")
}

func TestConvertible_WithoutAMessageIsAnError(t *testing.T) {
	_, err := Codec.Append(nil, &lost{})
	assert.EqualError(t, err, "protobuf: ToProto of *protobuf.lost returned nil")
	assert.EqualError(t, Codec.Decode(nil, &lost{}), "protobuf: ToProto of *protobuf.lost returned nil")
}

func TestMessageOf_AMessageIsItself(t *testing.T) {
	m := new(descriptorpb.FieldDescriptorProto)
	got, err := MessageOf(m)
	require.NoError(t, err)
	assert.Same(t, m, got)
}
