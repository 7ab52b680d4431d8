package protobuf_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// Greet takes and returns generated messages.
var Greet = rpc.Method[wrapperspb.StringValue, wrapperspb.StringValue]("Text.Greet")

func Example() {
	srv := rpc.NewServer(rpc.WithCodecs(protobuf.Codec))
	defer srv.Close()
	err := Greet.Handle(srv, func(_ context.Context, name *wrapperspb.StringValue) (*wrapperspb.StringValue, error) {
		return wrapperspb.String("hello " + name.GetValue()), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, ln.Addr().String(), rpc.WithCodec(protobuf.Codec))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	reply, err := Greet.Call(ctx, client, wrapperspb.String("ann"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.GetValue())
	// Output: hello ann
}

// Celsius is a plain type. It travels as a google.protobuf.DoubleValue.
type Celsius struct{ Degrees float64 }

func (c *Celsius) ToProto() proto.Message { return wrapperspb.Double(c.Degrees) }

func (c *Celsius) FromProto(m proto.Message) error {
	c.Degrees = m.(*wrapperspb.DoubleValue).GetValue()
	return nil
}

func ExampleConvertible() {
	data, err := protobuf.Codec.Append(nil, &Celsius{Degrees: 21.5})
	if err != nil {
		fmt.Println(err)
		return
	}
	var c Celsius
	err = protobuf.Codec.Decode(data, &c)
	fmt.Println(len(data), "bytes,", c.Degrees, "degrees,", err)
	// Output: 9 bytes, 21.5 degrees, <nil>
}
