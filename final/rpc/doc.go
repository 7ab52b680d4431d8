// Package rpc calls functions in other processes: many calls in flight on one
// connection, deadlines and cancellation that travel, errors with codes, limits
// on everything that a peer can send. It needs the standard library only.
//
// A method is declared once, for both sides:
//
//	var CheckStock = rpc.Method[CheckStockRequest, CheckStockReply]("Inventory.CheckStock")
//
// The server gives it a function and serves; Shutdown ends it politely:
//
//	srv := rpc.NewServer()
//	err := CheckStock.Handle(srv, func(ctx context.Context, req *CheckStockRequest) (*CheckStockReply, error) { … })
//	err = srv.ListenAndServe("127.0.0.1:7000")
//
// The client calls it through a Client, or a Pool of several servers:
//
//	client, err := rpc.Dial(ctx, "127.0.0.1:7000")
//	reply, err := CheckStock.Call(ctx, client, &CheckStockRequest{Item: "item1"})
//	if errors.Is(err, rpc.NotFound) { … }
//
// Without a declaration, Server.Register publishes the methods of a value and
// Client.Call takes any params and reply. What else a call carries travels in
// its context: its deadline, [AddMetadata].
//
// # What can be relied on
//
// Once Call has returned, reply and params belong to the caller again: a reply
// that arrives later is dropped. A call ends when its context does, even if it
// still waits for a connection, for a slot, to be written, or for its reply.
// The handler's context ends with it.
//
// A call runs at most once, unless its method is idempotent: declared as an
// [IdempotentMethod], or named by [MarkIdempotent]. The client sends a call
// again if it failed with Unavailable and certainly never ran: the server
// refused it, or went away first. It sends an idempotent one again after a lost
// connection, too. [NeverRan] reports whether a failed call is known not to
// have run. A server that refuses a call for now can say when to try again: see
// [RetryAfter].
//
// A server answers every request once, a cancelled one too, when its handler
// returns. Go cannot stop a goroutine: a handler that does not check its
// context keeps its place, and its client's slot, until it returns.
//
// Whatever a peer sends, memory and goroutines stay within the limits that the
// options set, except with [Gob], which is for trusted peers. The goroutine
// that reads a connection waits for no peer, and runs little of your code:
// Authorize hooks, observers, callbacks for errors, gob decoders and
// [NonBlocking] methods. It sees cancels and pings even while other handlers
// hang and clients do not read.
//
// The package logs only panics of your code; on a server, callbacks of
// [WithPanicHandler] get most of them instead. Callbacks of [WithErrorHandler]
// get the reason why a connection was closed. The wire format is in
// PROTOCOL.md, beside this package's folder.
package rpc
