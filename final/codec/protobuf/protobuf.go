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
//
// # Messages as JSON
//
// A program that imports this package, directly or by one that does, such as
// transport/gateway or health, has its messages travel by [rpc.JSON] as protobuf
// defines (https://protobuf.dev/programming-guides/json/): with oneofs, times as text,
// 64-bit numbers in strings, bytes in base64. Names are in lowerCamelCase; those of
// the .proto file are understood, too. What is at its zero value is left out, what is
// not known is dropped, and null is the zero message.
//
// The same holds for messages that are fields, elements or values of Go types, whose own
// JSON is encoding/json's. A Go type that contains itself, and a message or an interface that
// holds one, is an error: make it a message, too. A [Convertible] has the JSON of its Go
// type.
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
