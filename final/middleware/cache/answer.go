package cache

import (
	"maps"

	"example.com/rpc-from-scratch/final/rpc"
)

// answer is what a server said. Many callers share it, and each gets a copy.
type answer struct {
	body []byte // the reply, encoded
	err  error
}

// give fills in a caller's reply, or returns a caller's own copy of the error.
func (a *answer) give(codec rpc.Codec, method string, reply any) error {
	switch err := a.err.(type) {
	case nil:
	case *rpc.Error:
		own := *err
		own.Details = maps.Clone(err.Details)
		return &own
	default:
		return err
	}
	if err := decode(codec, a.body, reply); err != nil {
		return rpc.Errorf(rpc.Internal, "cache: decode the reply of %s: %w", method, err)
	}
	return nil
}

// size is how many bytes keeping the answer takes, about.
func (a *answer) size() int {
	n := entryBytes + len(a.body)
	if e, ok := a.err.(*rpc.Error); ok {
		n += len(e.Message)
		for k, v := range e.Details {
			n += len(k) + len(v)
		}
	}
	return n
}

// entryBytes is what an entry takes without its answer.
const entryBytes = 512
