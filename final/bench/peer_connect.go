package main

import (
	"context"
	"io"
	"net"
	"net/http"

	"connectrpc.com/connect"

	"example.com/rpc-from-scratch/final/bench/shoppb"
	"example.com/rpc-from-scratch/final/bench/shoppb/shoppbconnect"
)

// connectPeer is Connect with its own protocol over HTTP/2 without TLS (h2c). By default a reply is compressed with gzip
// whatever its size, which costs it a sixth of its speed with small replies and two thirds with large ones; without, it does the
// same work as the other peers.
var connectPeer = peer{
	name:        "Connect (h2c)",
	module:      "connectrpc.com/connect",
	multiplexes: true,
	streams:     true,
	deadline:    true,
	setup:       "protobuf; compression off, up to 4,096 streams a connection, frames up to 1 MiB",
	serve:       serveConnect,
	connect:     connectConnect,
}

// connectHTTP2 raises two limits of the standard library: 250 streams would queue callers on one connection, and frames of
// 16 KiB would cut large bodies. Its windows are wide already.
var connectHTTP2 = &http.HTTP2Config{
	MaxConcurrentStreams:        4096,
	MaxReadFrameSize:            1 << 20,
	StrictMaxConcurrentRequests: true,
}

func serveConnect(ln net.Listener) (stop func(), err error) {
	mux := http.NewServeMux()
	mux.Handle(shoppbconnect.NewInventoryHandler(connectInventory{}, connect.WithCompression("gzip", nil, nil)))
	server := &http.Server{Handler: mux, Protocols: h2c(), HTTP2: connectHTTP2}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(ln) // ends when stop closes the server
	}()
	return func() {
		server.Close()
		<-done
	}, nil
}

func h2c() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

type connectInventory struct{}

func (connectInventory) CheckStock(_ context.Context, req *connect.Request[shoppb.CheckStockRequest],
) (*connect.Response[shoppb.CheckStockReply], error) {
	quantity, err := stockOf(req.Msg.Item)
	if err != nil {
		return nil, connect.NewError(connect.CodeNotFound, err)
	}
	return connect.NewResponse(&shoppb.CheckStockReply{Quantity: quantity}), nil
}

func (connectInventory) Echo(_ context.Context, req *connect.Request[shoppb.EchoMessage],
) (*connect.Response[shoppb.EchoMessage], error) {
	return connect.NewResponse(req.Msg), nil
}

func (connectInventory) Watch(_ context.Context, req *connect.Request[shoppb.WatchRequest],
	out *connect.ServerStream[shoppb.StreamItem],
) error {
	return sendItems(req.Msg, out.Send)
}

func (connectInventory) Talk(_ context.Context, on *connect.BidiStream[shoppb.StreamItem, shoppb.StreamItem]) error {
	return sendBack(connectHandlersTalk{on})
}

type connectHandlersTalk struct {
	*connect.BidiStream[shoppb.StreamItem, shoppb.StreamItem]
}

func (t connectHandlersTalk) Recv() (*shoppb.StreamItem, error) { return t.Receive() }

type connectClient struct {
	transport *http.Transport
	inventory shoppbconnect.InventoryClient
}

// connectConnect makes a transport of its own for each client, so that each has exactly one connection.
func connectConnect(dial dialFunc) (client, error) {
	transport := &http.Transport{
		Protocols:   h2c(),
		HTTP2:       connectHTTP2,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	inventory := shoppbconnect.NewInventoryClient(&http.Client{Transport: transport}, "http://bench",
		connect.WithAcceptCompression("gzip", nil, nil))
	return connectClient{transport, inventory}, nil
}

func (c connectClient) CheckStock(ctx context.Context, item string) (int64, error) {
	reply, err := c.inventory.CheckStock(ctx, connect.NewRequest(&shoppb.CheckStockRequest{Item: item}))
	if err != nil {
		return 0, err
	}
	return reply.Msg.Quantity, nil
}

func (c connectClient) Echo(ctx context.Context, body []byte) ([]byte, error) {
	reply, err := c.inventory.Echo(ctx, connect.NewRequest(&shoppb.EchoMessage{Body: body}))
	if err != nil {
		return nil, err
	}
	return reply.Msg.Body, nil
}

func (c connectClient) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

func (c connectClient) Watch(ctx context.Context, req *shoppb.WatchRequest) (items, error) {
	in, err := c.inventory.Watch(ctx, connect.NewRequest(req))
	return connectItems{in}, err
}

type connectItems struct {
	*connect.ServerStreamForClient[shoppb.StreamItem]
}

func (i connectItems) Recv() (*shoppb.StreamItem, error) {
	if i.Receive() {
		return i.Msg(), nil
	}
	if err := i.Err(); err != nil {
		return nil, err
	}
	return nil, io.EOF
}

func (c connectClient) Talk(ctx context.Context) (talk, error) {
	return connectTalk{c.inventory.Talk(ctx)}, nil
}

type connectTalk struct {
	*connect.BidiStreamForClient[shoppb.StreamItem, shoppb.StreamItem]
}

func (t connectTalk) Recv() (*shoppb.StreamItem, error) { return t.Receive() }
