package main

import (
	"context"
	"errors"
	"net"

	"example.com/rpc-from-scratch/final/bench/shoppb"
	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// The framework of this workspace, with each of its codecs. Deadlines, cancel, limits and error codes are on, as they always are.
var (
	finalProtobuf = withStreams(finalPeer(oursProtobuf, "protobuf", protobuf.Codec, serveFinalProtobuf(rpc.NonBlocking()), connectFinalProtobuf))
	finalGob      = finalPeer(oursGob, "gob, which a server offers only when asked to", rpc.Gob, serveFinalStructs, connectFinalStructs)
	finalJSON     = finalPeer(oursJSON, "JSON", rpc.JSON, serveFinalStructs, connectFinalStructs)
)

// finalUnmarked is what most users have: methods that nobody marked NonBlocking, each call in a goroutine of its own.
var finalUnmarked = func() peer {
	p := finalPeer(oursUnmarked, "", protobuf.Codec, serveFinalProtobuf(), connectFinalProtobuf)
	p.setup, p.only = "protobuf; methods not registered as NonBlocking", []string{"c64", "c512"}
	return p
}()

func withStreams(p peer) peer {
	p.streams = true
	return p
}

func finalPeer(name, setup string, codec rpc.Codec, register func(*rpc.Server) error, wrap func(*rpc.Client) client) peer {
	return peer{
		name:        name,
		ours:        true,
		multiplexes: true,
		deadline:    true,
		setup:       setup + "; methods registered as NonBlocking",
		serve: func(ln net.Listener) (stop func(), err error) {
			return serveFinal(ln, codec, register)
		},
		connect: func(dial dialFunc) (client, error) { return connectFinal(dial, codec, wrap) },
	}
}

func serveFinal(ln net.Listener, codec rpc.Codec, register func(*rpc.Server) error) (stop func(), err error) {
	server := rpc.NewServer(rpc.WithCodecs(codec))
	if err := register(server); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln) // ends when stop closes the server
	}()
	return func() {
		_ = server.Close()
		<-done
	}, nil
}

func connectFinal(dial dialFunc, codec rpc.Codec, wrap func(*rpc.Client) client) (client, error) {
	// Dial asks for an address; which one, the dialer knows.
	c, err := rpc.Dial(context.Background(), "bench:0", rpc.WithCodec(codec),
		rpc.WithDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }))
	if err != nil {
		return nil, err
	}
	return wrap(c), nil
}

// With protobuf, params and replies are the generated messages.
var (
	checkStockPB = rpc.Method[shoppb.CheckStockRequest, shoppb.CheckStockReply]("Inventory.CheckStock")
	echoPB       = rpc.Method[shoppb.EchoMessage, shoppb.EchoMessage]("Inventory.Echo")
)

func serveFinalProtobuf(marks ...rpc.MethodOption) func(*rpc.Server) error {
	return func(server *rpc.Server) error {
		err := checkStockPB.Handle(server, func(_ context.Context, req *shoppb.CheckStockRequest) (*shoppb.CheckStockReply, error) {
			quantity, err := stockOf(req.Item)
			return &shoppb.CheckStockReply{Quantity: quantity}, err
		}, marks...)
		if err != nil {
			return err
		}
		err = echoPB.Handle(server, func(_ context.Context, req *shoppb.EchoMessage) (*shoppb.EchoMessage, error) {
			return req, nil
		}, marks...)
		if err != nil {
			return err
		}
		return errors.Join(watchPB.Handle(server, finalWatch), talkPB.Handle(server, finalTalk))
	}
}

type finalProtobufClient struct{ *rpc.Client }

func connectFinalProtobuf(c *rpc.Client) client { return finalProtobufClient{c} }

func (c finalProtobufClient) CheckStock(ctx context.Context, item string) (int64, error) {
	reply, err := checkStockPB.Call(ctx, c.Client, &shoppb.CheckStockRequest{Item: item})
	if err != nil {
		return 0, err
	}
	return reply.Quantity, nil
}

func (c finalProtobufClient) Echo(ctx context.Context, body []byte) ([]byte, error) {
	reply, err := echoPB.Call(ctx, c.Client, &shoppb.EchoMessage{Body: body})
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

var (
	watchPB = rpc.ServerStream[shoppb.WatchRequest, shoppb.StreamItem]("Inventory.Watch")
	talkPB  = rpc.BidiStream[shoppb.StreamItem, shoppb.StreamItem]("Inventory.Talk")
)

func finalWatch(ctx context.Context, req *shoppb.WatchRequest, out *rpc.Sender[shoppb.StreamItem]) error {
	return sendItems(req, func(item *shoppb.StreamItem) error { return out.Send(ctx, item) })
}

func finalTalk(ctx context.Context, in *rpc.Receiver[shoppb.StreamItem], out *rpc.Sender[shoppb.StreamItem]) error {
	return sendBack(finalStream{ctx, in, out})
}

func (c finalProtobufClient) Watch(ctx context.Context, req *shoppb.WatchRequest) (items, error) {
	in, err := watchPB.Open(ctx, c.Client, req)
	if err != nil {
		return nil, err
	}
	return finalStream{ctx, &in.Receiver, nil}, nil
}

func (c finalProtobufClient) Talk(ctx context.Context) (talk, error) {
	on, err := talkPB.Open(ctx, c.Client)
	if err != nil {
		return nil, err
	}
	return finalStream{ctx, &on.Receiver, &on.Sender}, nil
}

// A finalStream has the context of the stream for each item.
type finalStream struct {
	ctx context.Context
	in  *rpc.Receiver[shoppb.StreamItem]
	out *rpc.Sender[shoppb.StreamItem]
}

func (s finalStream) Recv() (*shoppb.StreamItem, error) { return s.in.Receive(s.ctx) }

func (s finalStream) Send(item *shoppb.StreamItem) error { return s.out.Send(s.ctx, item) }

// With gob and JSON they are plain structs, the ones that net/rpc is measured with.
var (
	checkStockStruct = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")
	echoStruct       = rpc.Method[EchoMessage, EchoMessage]("Inventory.Echo")
)

func serveFinalStructs(server *rpc.Server) error {
	err := checkStockStruct.Handle(server, func(_ context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
		quantity, err := stockOf(req.Item)
		return &CheckStockReply{Quantity: quantity}, err
	}, rpc.NonBlocking())
	if err != nil {
		return err
	}
	return echoStruct.Handle(server, func(_ context.Context, req *EchoMessage) (*EchoMessage, error) {
		return req, nil
	}, rpc.NonBlocking())
}

type finalStructClient struct{ *rpc.Client }

func connectFinalStructs(c *rpc.Client) client { return finalStructClient{c} }

func (c finalStructClient) CheckStock(ctx context.Context, item string) (int64, error) {
	reply, err := checkStockStruct.Call(ctx, c.Client, &CheckStockRequest{Item: item})
	if err != nil {
		return 0, err
	}
	return reply.Quantity, nil
}

func (c finalStructClient) Echo(ctx context.Context, body []byte) ([]byte, error) {
	reply, err := echoStruct.Call(ctx, c.Client, &EchoMessage{Body: body})
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}
