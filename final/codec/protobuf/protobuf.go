// Package protobuf lets rpc speak Protocol Buffers, its fastest codec. Params
// and replies are then generated messages; a method that takes or returns
// anything else fails with Internal or InvalidArgument.
//
//	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
//	client, err := rpc.Dial(ctx, addr, rpc.WithCodec(protobuf.Codec))
package protobuf

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/rpc"
)

// Codec is the protobuf codec; its name on the wire is "protobuf".
var Codec rpc.Codec = codec{}

type codec struct{}

func (codec) Name() string { return "protobuf" }

func (codec) Append(dst []byte, v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return dst, fmt.Errorf("protobuf: %T is not a proto.Message", v)
	}
	return proto.MarshalOptions{}.MarshalAppend(dst, m)
}

// Decode sets v to the message in data; no bytes are the zero message.
func (codec) Decode(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return fmt.Errorf("protobuf: %T is not a proto.Message", v)
	}
	return proto.Unmarshal(data, m)
}
