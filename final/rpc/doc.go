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
// its context: its deadline, [WithMetadata], [WithIdempotent].
//
// The package logs nothing: WithPanicHandler and WithErrorHandler say what happened.
package rpc
