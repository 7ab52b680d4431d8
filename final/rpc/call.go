package rpc

type serverCall struct {
	peer     *Peer
	identity string
	metadata Metadata
	method   *method
}
