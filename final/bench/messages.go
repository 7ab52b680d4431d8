package main

// The messages of the peers without generated code: gob and encoding/json take them as they are.

// CheckStockRequest is exported, like its neighbours, because net/rpc registers no method with unexported types.
type CheckStockRequest struct {
	Item string
}

// CheckStockReply answers a CheckStockRequest.
type CheckStockReply struct {
	Quantity int64
}

// EchoMessage is what Echo takes and gives back.
type EchoMessage struct {
	Body []byte
}
