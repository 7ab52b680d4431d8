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
// Client.Call takes any params and reply. The deadline and the metadata
// ([AddMetadata]) of a call are in its context.
//
// # Streams
//
// A stream is a call that carries many messages, declared as a [ServerStream], a
// [ClientStream] or a [BidiStream]. Items arrive in order and once, or the stream
// ends with an error that says why. A sender waits if the other side has no room: at first
// 16 KiB for each stream. A stream that nobody reads takes bounded memory and delays no
// call and no other stream, with one exception: only one stream of a connection at a time
// can receive an item larger than its window. Read all your streams, or close them. A
// stream takes none of the slots for calls in flight, but a stream slot: see
// [WithMaxStreams]. Shutdown waits for streams as it does for calls; their handlers learn
// of it by [DrainingFrom].
//
// # What can be relied on
//
// Once Call has returned, reply and params belong to the caller again: a reply
// that arrives later is dropped. A call ends when its context does, even if it
// still waits for a connection, for a slot, to be written, or for its reply.
// The handler's context ends with it. A deadline travels as the time that is
// left, so clocks may differ.
//
// A call runs at most once, unless its method is idempotent: declared as an
// [IdempotentMethod], or named by [MarkIdempotent]. The client sends a call
// again if it certainly never ran, because the server refused it or went away
// first, and another attempt may succeed. It sends an idempotent one again
// after a lost connection, too. [WithMaxAttempts] says when, and with
// [WithRetryBudget] bounds how often. [NeverRan] reports whether a failed call
// is known not to have run. A server that refuses a call for now can say when
// to try again: see [RetryAfter].
//
// A server answers every request once, a cancelled one too, when its handler
// returns. Go cannot stop a goroutine: a handler that does not check its
// context keeps its place, and its client's slot, until it returns.
//
// Whatever a peer sends, or does not read, memory and goroutines stay within the limits
// that the options set, except with [Gob], which is for trusted peers. [WithParamsMemory]
// and [WithReplyMemory] bound what calls take on a server, and [WithStreamMemory] what
// streams do. A message that is still arriving takes up to [WithMaxMessage] on each
// connection, and what your handlers allocate is not counted. The goroutine that reads a
// connection waits for no peer, and runs little of your code: Authorize hooks, observers,
// callbacks for errors, gob decoders, [NonBlocking] methods, and the [Sizer] of a codec if
// there is no memory for params now. While one of these is slow, that goroutine sees no
// cancels and pings. Other handlers that hang, and clients that do not read, do not delay
// it.
//
// The package logs only panics of your code; on a server, callbacks of
// [WithPanicHandler] get most of them instead. Callbacks of [WithErrorHandler]
// get the reason why a connection was closed. The wire format is in
// PROTOCOL.md, beside this package's folder.
package rpc
