// Package protobuf lets rpc speak Protocol Buffers, its fastest codec.
//
//	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
//	client, err := rpc.Dial(ctx, addr, rpc.WithCodec(protobuf.Codec))
//
// Params and replies are messages as protoc-gen-go generates them, of proto2,
// proto3 or editions; you need not generate services. A plain Go type can be
// used if it can be turned into a message and back: see [Convertible]. One
// server then serves clients with protobuf, JSON and gob, with the same
// methods. Any other type is an error that says so: InvalidArgument for params,
// Internal for a reply.
//
// # Messages as JSON
//
// In a program that imports this package, messages travel by [rpc.JSON] as
// protobuf defines (https://protobuf.dev/programming-guides/json/): with
// oneofs, times as text, 64-bit numbers in strings, bytes in base64. A message's
// own MarshalJSON is not called. That
// holds, too, if another package imports it, such as transport/gateway or
// health. Names are in lowerCamelCase; those of the .proto file are understood,
// too. Zero values are left out, unknown fields are dropped, and null is the
// zero message.
//
// Messages may also be fields, elements or values of Go types. The rest of such
// a type has the JSON of encoding/json. If the type contains itself, and a
// message or an interface that holds one, it is an error: make it a message,
// too. A [Convertible] has the JSON of its Go type.
package protobuf

import (
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/internal/protonest"
	"example.com/rpc-from-scratch/final/rpc"
)

// Codec is the protobuf codec; its name on the wire is "protobuf". A body is
// one message without a length before it. A message with all fields at zero has
// no bytes, and neither has a nil pointer.
//
// Unknown fields are no error. A message keeps them, and sends them again; a
// [Convertible] loses them. A proto2 message without its required fields, and a
// proto3 string that is not UTF-8, are errors on the side that notices first.
var Codec rpc.Codec = codec{}

type codec struct{}

func (codec) Name() string { return "protobuf" }

// Append fails for what is neither a message nor [Convertible], and for a message that
// contains itself or is nested deeper than 10,000 levels.
func (codec) Append(dst []byte, v any) ([]byte, error) {
	if isNil(v) {
		return dst, checkType(v)
	}
	m, err := MessageOf(v)
	if err != nil {
		return dst, err
	}
	if err := protonest.Check(m); err != nil {
		return dst, fmt.Errorf("protobuf: %w", err)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

// Decode sets v to the message in data; no bytes are the zero message.
func (codec) Decode(data []byte, v any) error {
	if isNil(v) {
		return fmt.Errorf("protobuf: decode into a nil %T", v)
	}
	if m := messageIn(reflect.ValueOf(v)); m != nil {
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
