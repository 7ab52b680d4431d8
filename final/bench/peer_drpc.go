package main

import (
	"context"
	"net"

	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmanager"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"
	"storj.io/drpc/drpcstream"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

// drpcPeer is Storj's DRPC. A connection carries one call at a time; a cancelled call is told to the server, a deadline is not.
var drpcPeer = peer{
	name:    "DRPC",
	module:  "storj.io/drpc",
	streams: true,
	setup:   "protobuf, as it comes",
	serve:   func(ln net.Listener) (stop func(), err error) { return serveDRPC(ln, drpcserver.Options{}) },
	connect: connectDRPC,
}

// drpcFlushed is how DRPC is fastest one way: a message waits until 16 KiB have gathered, or the program flushes. The others, and
// drpcPeer, send one that is alone at once, and need no help for that.
var drpcFlushed = func() peer {
	p := drpcPeer
	p.name, p.only, p.holdsBack = "DRPC, flushed by hand", []string{"stream", "stream64"}, true
	p.setup = "protobuf; messages of streams wait until 16 KiB are full, or the program flushes"
	p.serve = func(ln net.Listener) (stop func(), err error) {
		return serveDRPC(ln, drpcserver.Options{Manager: drpcmanager.Options{
			WriterBufferSize: 16 << 10,
			Stream:           drpcstream.Options{ManualFlush: true},
		}})
	}
	return p
}()

func serveDRPC(ln net.Listener, opts drpcserver.Options) (stop func(), err error) {
	mux := drpcmux.New()
	if err := shoppb.DRPCRegisterInventory(mux, drpcInventory{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = drpcserver.NewWithOptions(mux, opts).Serve(ctx, ln) // ends when stop cancels ctx
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

func (drpcInventory) Watch(req *shoppb.WatchRequest, out shoppb.DRPCInventory_WatchStream) error {
	return sendItems(req, out.Send)
}

func (drpcInventory) Talk(on shoppb.DRPCInventory_TalkStream) error { return sendBack(on) }

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

func (c drpcClient) Watch(ctx context.Context, req *shoppb.WatchRequest) (items, error) {
	return c.inventory.Watch(ctx, req)
}

func (c drpcClient) Talk(ctx context.Context) (talk, error) { return c.inventory.Talk(ctx) }
