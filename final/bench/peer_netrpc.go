package main

import (
	"context"
	"net"
	"net/rpc"
	"net/rpc/jsonrpc"
)

// netRPC is the standard library's net/rpc with gob. Both of its gob codecs read and write through buffers as they come.
// It knows no contexts: a call cannot be given up and no deadline travels, which makes its calls cheaper than the others'.
var netRPC = peer{
	name:        "net/rpc",
	multiplexes: true,
	setup:       "gob, as it comes; it has no deadlines and no cancel",
	serve: func(ln net.Listener) (stop func(), err error) {
		return serveNetRPC(ln, func(s *rpc.Server, conn net.Conn) { s.ServeConn(conn) })
	},
	connect: func(dial dialFunc) (client, error) {
		return connectNetRPC(dial, func(conn net.Conn) *rpc.Client { return rpc.NewClient(conn) })
	},
}

// netRPCJSON is the same server and client behind net/rpc/jsonrpc, which sends a message with one Write already.
var netRPCJSON = peer{
	name:        "net/rpc/jsonrpc",
	multiplexes: true,
	setup:       "as it comes; it has no deadlines and no cancel",
	serve: func(ln net.Listener) (stop func(), err error) {
		return serveNetRPC(ln, func(s *rpc.Server, conn net.Conn) { s.ServeCodec(jsonrpc.NewServerCodec(conn)) })
	},
	connect: func(dial dialFunc) (client, error) {
		return connectNetRPC(dial, func(conn net.Conn) *rpc.Client { return jsonrpc.NewClient(conn) })
	},
}

func serveNetRPC(ln net.Listener, serve func(*rpc.Server, net.Conn)) (stop func(), err error) {
	server := rpc.NewServer()
	if err := server.RegisterName("Inventory", netRPCInventory{}); err != nil {
		return nil, err
	}
	return serveConns(ln, func(conn net.Conn) { serve(server, conn) }), nil
}

type netRPCInventory struct{}

func (netRPCInventory) CheckStock(req *CheckStockRequest, reply *CheckStockReply) error {
	quantity, err := stockOf(req.Item)
	reply.Quantity = quantity
	return err
}

func (netRPCInventory) Echo(req, reply *EchoMessage) error {
	reply.Body = req.Body
	return nil
}

type netRPCClient struct{ *rpc.Client }

func connectNetRPC(dial dialFunc, wrap func(net.Conn) *rpc.Client) (client, error) {
	conn, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	return netRPCClient{wrap(conn)}, nil
}

func (c netRPCClient) CheckStock(_ context.Context, item string) (int64, error) {
	var reply CheckStockReply
	err := c.Call("Inventory.CheckStock", &CheckStockRequest{Item: item}, &reply)
	return reply.Quantity, err
}

func (c netRPCClient) Echo(_ context.Context, body []byte) ([]byte, error) {
	var reply EchoMessage
	err := c.Call("Inventory.Echo", &EchoMessage{Body: body}, &reply)
	return reply.Body, err
}
