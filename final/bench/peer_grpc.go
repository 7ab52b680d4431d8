package main

import (
	"context"
	"net"
	"runtime"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

var grpcPeer = peer{
	name:        "gRPC-Go",
	module:      "google.golang.org/grpc",
	multiplexes: true,
	streams:     true,
	deadline:    true,
	setup:       "protobuf; windows of 1 MiB, stream workers; shared write buffers are its default",
	serve:       serveGRPC,
	connect:     connectGRPC,
}

const grpcWindow = 1 << 20

func serveGRPC(ln net.Listener) (stop func(), err error) {
	server := grpc.NewServer(
		grpc.InitialWindowSize(grpcWindow),
		grpc.InitialConnWindowSize(grpcWindow),
		grpc.NumStreamWorkers(uint32(runtime.GOMAXPROCS(0))),
	)
	shoppb.RegisterInventoryServer(server, grpcInventory{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln) // ends when stop stops the server
	}()
	return func() {
		server.Stop()
		<-done
	}, nil
}

type grpcInventory struct {
	shoppb.UnimplementedInventoryServer
}

func (grpcInventory) CheckStock(_ context.Context, req *shoppb.CheckStockRequest) (*shoppb.CheckStockReply, error) {
	quantity, err := stockOf(req.Item)
	return &shoppb.CheckStockReply{Quantity: quantity}, err
}

func (grpcInventory) Echo(_ context.Context, req *shoppb.EchoMessage) (*shoppb.EchoMessage, error) {
	return req, nil
}

func (grpcInventory) Watch(req *shoppb.WatchRequest, out grpc.ServerStreamingServer[shoppb.StreamItem]) error {
	return sendItems(req, out.Send)
}

func (grpcInventory) Talk(on grpc.BidiStreamingServer[shoppb.StreamItem, shoppb.StreamItem]) error {
	return sendBack(on)
}

type grpcClient struct {
	*grpc.ClientConn
	inventory shoppb.InventoryClient
}

func connectGRPC(dial dialFunc) (client, error) {
	conn, err := grpc.NewClient("passthrough:///bench",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithInitialWindowSize(grpcWindow),
		grpc.WithInitialConnWindowSize(grpcWindow),
	)
	if err != nil {
		return nil, err
	}
	return grpcClient{conn, shoppb.NewInventoryClient(conn)}, nil
}

func (c grpcClient) CheckStock(ctx context.Context, item string) (int64, error) {
	reply, err := c.inventory.CheckStock(ctx, &shoppb.CheckStockRequest{Item: item})
	if err != nil {
		return 0, err
	}
	return reply.Quantity, nil
}

func (c grpcClient) Echo(ctx context.Context, body []byte) ([]byte, error) {
	reply, err := c.inventory.Echo(ctx, &shoppb.EchoMessage{Body: body})
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

func (c grpcClient) Watch(ctx context.Context, req *shoppb.WatchRequest) (items, error) {
	return c.inventory.Watch(ctx, req)
}

func (c grpcClient) Talk(ctx context.Context) (talk, error) { return c.inventory.Talk(ctx) }
