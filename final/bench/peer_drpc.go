package main

import (
	"context"
	"net"

	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

// drpcPeer is Storj's DRPC. A connection carries one call at a time; a cancelled call is told to the server, a deadline is not.
var drpcPeer = peer{
	name:    "DRPC",
	module:  "storj.io/drpc",
	setup:   "protobuf, as it comes",
	serve:   serveDRPC,
	connect: connectDRPC,
}

func serveDRPC(ln net.Listener) (stop func(), err error) {
	mux := drpcmux.New()
	if err := shoppb.DRPCRegisterInventory(mux, drpcInventory{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = drpcserver.New(mux).Serve(ctx, ln) // ends when stop cancels ctx
	}()
	return func() {
		cancel()
		<-done
	}, nil
}

type drpcInventory struct{}

func (drpcInventory) CheckStock(_ context.Context, req *shoppb.CheckStockRequest) (*shoppb.CheckStockReply, error) {
	quantity, err := stockOf(req.Item)
	return &shoppb.CheckStockReply{Quantity: quantity}, err
}

func (drpcInventory) Echo(_ context.Context, req *shoppb.EchoMessage) (*shoppb.EchoMessage, error) {
	return req, nil
}

type drpcClient struct {
	*drpcconn.Conn
	inventory shoppb.DRPCInventoryClient
}

func connectDRPC(dial dialFunc) (client, error) {
	conn, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	c := drpcconn.New(conn)
	return drpcClient{c, shoppb.NewDRPCInventoryClient(c)}, nil
}

func (c drpcClient) CheckStock(ctx context.Context, item string) (int64, error) {
	reply, err := c.inventory.CheckStock(ctx, &shoppb.CheckStockRequest{Item: item})
	if err != nil {
		return 0, err
	}
	return reply.Quantity, nil
}

func (c drpcClient) Echo(ctx context.Context, body []byte) ([]byte, error) {
	reply, err := c.inventory.Echo(ctx, &shoppb.EchoMessage{Body: body})
	if err != nil {
		return nil, err
	}
	return reply.Body, nil
}
