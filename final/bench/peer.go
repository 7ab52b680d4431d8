package main

import (
	"context"
	"fmt"
	"net"
)

// A peer is one RPC system in the best configuration that we know for these workloads. Each has a file of its own, peer_*.go.
type peer struct {
	name string

	// ours marks the framework of this workspace; floor marks raw TCP, which is no RPC system and so never "the fastest peer".
	ours, floor bool

	// only are the workloads that it runs; nil means all that suit it.
	only []string

	// multiplexes says that one connection carries many calls at once. A peer that does not gets a connection per caller.
	multiplexes bool

	// streams says that its clients are streamers.
	streams bool

	// holdsBack says that messages wait for others until the program flushes. Such a peer is no "fastest peer", either: it has a
	// row of targets of its own.
	holdsBack bool

	// deadline says that the deadline of a call's context reaches the server.
	deadline bool

	// module is the path of the module that it comes from, and empty for the standard library.
	module string

	// setup is one line for the report: what differs from the peer's defaults, and why.
	setup string

	// serve answers on ln, in goroutines of its own, until stop is called. Stop returns when the server no longer runs.
	serve func(ln net.Listener) (stop func(), err error)

	// connect makes one client on one connection, opened by dial now or at the first call.
	connect func(dial dialFunc) (client, error)
}

// A client makes calls over one connection. Where the peer multiplexes, all methods may be called concurrently.
type client interface {
	// CheckStock answers how many of item are there: the small call.
	CheckStock(ctx context.Context, item string) (int64, error)

	// Echo sends body and returns what the server sent back. The result is valid until the next call of the same caller.
	Echo(ctx context.Context, body []byte) ([]byte, error)

	Close() error
}

// A dialFunc opens a connection to the server. It hands out plain *net.TCPConn in timed rounds, because a peer may treat a
// wrapped connection differently, and counting ones in the short rounds that count bytes.
type dialFunc func(ctx context.Context) (net.Conn, error)

// peers are all that is measured, in the order of the tables.
var peers = []peer{
	finalProtobuf,
	finalUnmarked,
	finalGob,
	finalJSON,
	rawTCP,
	netRPC,
	netRPCJSON,
	ttrpcPeer,
	thriftPeer,
	drpcPeer,
	drpcFlushed,
	grpcPeer,
	connectPeer,
}

// stockOf is the handlers' whole work: a look-up, so that the figures are those of the RPC system.
func stockOf(item string) (int64, error) {
	if quantity, ok := stock[item]; ok {
		return quantity, nil
	}
	return 0, fmt.Errorf("unknown item: %s", item)
}

var stock = map[string]int64{"item1": 100, "item2": 50}
