// Package protobuf lets rpc speak Protocol Buffers, its fastest codec.
//
//	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
//	client, err := rpc.Dial(ctx, addr, rpc.WithCodec(protobuf.Codec))
//
// Params and replies are messages as protoc-gen-go generates them, of proto2,
// proto3 or editions; services need not be generated. A plain Go type takes part
// as soon as it can be turned into a message and back: see [Convertible]. One
// server then serves protobuf clients beside those that speak JSON and gob, with
// the same methods. Any other type is an error that says so: InvalidArgument if
// it is among the params, Internal if it is the reply.
package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/rpc"
)

// Codec is the protobuf codec; its name on the wire is "protobuf". A body is one
// message without a length before it, so the message with all fields at zero has
// no bytes, and so has a nil pointer.
//
// Fields that the receiver does not know are no error. A message keeps them, and
// they go out again with it; a [Convertible] loses them. A proto2 message without
// its required fields, and a proto3 string that is not UTF-8, are errors on
// whichever side has them first.
var Codec rpc.Codec = codec{}

type codec struct{}

func (codec) Name() string { return "protobuf" }

// Append fails for what is neither a message nor [Convertible].
func (codec) Append(dst []byte, v any) ([]byte, error) {
	if isNil(v) {
		return dst, checkType(v)
	}
	m, err := MessageOf(v)
	if err != nil {
		return dst, err
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

// Decode sets v to the message in data; no bytes are the zero message.
func (codec) Decode(data []byte, v any) error {
	if isNil(v) {
		return fmt.Errorf("protobuf: decode into a nil %T", v)
	}
	if m, ok := v.(proto.Message); ok {
		return proto.Unmarshal(data, m)
	}
	m, err := MessageOf(v)
	if err != nil {
		return err
	}
	m = m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(data, m); err != nil {
		return err
	}
	return v.(Convertible).FromProto(m)
}
