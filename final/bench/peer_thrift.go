package main

import (
	"context"
	"net"

	"github.com/apache/thrift/lib/go/thrift"

	"example.com/rpc-from-scratch/final/bench/shopthrift"
)

// thriftPeer is Apache Thrift with framed binary messages. A connection carries one call at a time, and a deadline does not
// travel in the binary protocol.
var thriftPeer = peer{
	name:    "Thrift",
	module:  "github.com/apache/thrift",
	setup:   "framed binary; TSimpleServer, a goroutine a connection; the server's connectivity check (a ticker a call) off",
	serve:   serveThrift,
	connect: connectThrift,
}

func init() {
	// By default each call starts a goroutine that looks every 5 ms whether the client is still there. Off, one
	// caller makes half as many calls again, and what the check gives, an early end for handlers, no workload here needs.
	thrift.ServerConnectivityCheckInterval = 0
}

var (
	thriftConf     = &thrift.TConfiguration{}
	thriftFramed   = thrift.NewTFramedTransportFactoryConf(thrift.NewTTransportFactory(), thriftConf)
	thriftProtocol = thrift.NewTBinaryProtocolFactoryConf(thriftConf)
)

func serveThrift(ln net.Listener) (stop func(), err error) {
	socket := thrift.NewTServerSocketFromFactoryTimeout(func(net.Addr) (net.Listener, error) { return ln, nil }, ln.Addr(), 0)
	server := thrift.NewTSimpleServer4(shopthrift.NewInventoryProcessor(thriftInventory{}), socket, thriftFramed, thriftProtocol)
	// Serve would do it too, but a stop that comes before Serve has begun must find the listener to close.
	if err := server.Listen(); err != nil {
		return nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve() // ends when stop closes the listener
	}()
	return func() {
		_ = server.Stop()
		<-done
	}, nil
}

type thriftInventory struct{}

func (thriftInventory) CheckStock(_ context.Context, item string) (int64, error) {
	return stockOf(item)
}

func (thriftInventory) Echo(_ context.Context, body []byte) ([]byte, error) {
	return body, nil
}

type thriftClient struct {
	*shopthrift.InventoryClient
	conn net.Conn
}

func connectThrift(dial dialFunc) (client, error) {
	conn, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	transport, err := thriftFramed.GetTransport(thrift.NewTSocketFromConnConf(conn, thriftConf))
	if err != nil {
		conn.Close()
		return nil, err
	}
	return thriftClient{shopthrift.NewInventoryClientFactory(transport, thriftProtocol), conn}, nil
}

func (c thriftClient) Close() error { return c.conn.Close() }
