package main

import (
	"context"
	"net"

	"github.com/containerd/log"
	"github.com/containerd/ttrpc"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

var ttrpcPeer = peer{
	name:        "ttrpc",
	module:      "github.com/containerd/ttrpc",
	multiplexes: true,
	streams:     true,
	deadline:    true,
	setup:       "protobuf, as it comes",
	serve:       serveTTRPC,
	connect:     connectTTRPC,
}

func serveTTRPC(ln net.Listener) (stop func(), err error) {
	// Its log has a line for every connection that is closed while a server sends.
	if err := log.SetLevel("panic"); err != nil {
		return nil, err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return nil, err
	}
	shoppb.RegisterTTRPCInventoryService(server, ttrpcInventory{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		// Serve's error is that the listener was closed, which is how stop ends it.
		_ = server.Serve(context.Background(), ln)
	}()
	return func() {
		server.Close()
		<-done
	}, nil
}

type ttrpcInventory struct{}

func (ttrpcInventory) CheckStock(_ context.Context, req *shoppb.CheckStockRequest) (*shoppb.CheckStockReply, error) {
	quantity, err := stockOf(req.Item)
	return &shoppb.CheckStockReply{Quantity: quantity}, err
}

func (ttrpcInventory) Echo(_ context.Context, req *shoppb.EchoMessage) (*shoppb.EchoMessage, error) {
	return req, nil
}

func (ttrpcInventory) Watch(_ context.Context, req *shoppb.WatchRequest, out shoppb.TTRPCInventory_WatchServer) error {
	return sendItems(req, out.Send)
}

func (ttrpcInventory) Talk(_ context.Context, on shoppb.TTRPCInventory_TalkServer) error {
	return sendBack(on)
}

type ttrpcClient struct {
	*ttrpc.Client
	inventory shoppb.TTRPCInventoryClient
}

func connectTTRPC(dial dialFunc) (client, error) {
	conn, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	c := ttrpc.NewClient(conn)
	return ttrpcClient{c, shoppb.NewTTRPCInventoryClient(c)}, nil
}

func (c ttrpcClient) CheckStock(ctx context.Context, item string) (int64, error) {
	reply, err := c.inventory.CheckStock(ctx, &shoppb.CheckStockRequest{Item: item})
	if err != nil {
		return 0, err
	}
	return reply.Quantity, nil
}

func (c ttrpcClient) Echo(ctx context.Context, body []byte) ([]byte, error) {
	reply, err := c.inventory.Echo(ctx, &shoppb.EchoMessage{Body: body})
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}

// Watch receives on when the caller has left, until the connection is closed. A stream that nobody receives stops all others of
// its connection for a second, and then the client logs each message.
func (c ttrpcClient) Watch(ctx context.Context, req *shoppb.WatchRequest) (items, error) {
	in, err := c.inventory.Watch(context.WithoutCancel(ctx), req)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		for err == nil {
			_, err = in.Recv()
		}
	})
	return in, nil
}

func (c ttrpcClient) Talk(ctx context.Context) (talk, error) { return c.inventory.Talk(ctx) }
