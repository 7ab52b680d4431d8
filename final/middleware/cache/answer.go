package cache

import (
	"maps"
	"reflect"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/internal/protonest"
	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/rpc"
)

// answer is what a server said. Many callers share it, and each gets a copy.
type answer struct {
	reply any    // points to the reply, which the store alone has; it is only read
	body  []byte // the reply, encoded
	exact bool   // reply can be copied; else body decodes to the same, if it is not nil
	err   error
}

// newAnswer prepares a reply, which it owns, to be given to many.
func newAnswer(codec rpc.Codec, reply any) *answer {
	a := &answer{reply: reply}
	body, err := encode(codec, reply)
	if err != nil {
		return a
	}
	if _, exact := values.Clone(reply, cloneMessage); exact {
		a.exact, a.body = true, body
		return a
	}
	fresh := newReply(reply)
	if decode(codec, body, fresh) == nil && reflect.DeepEqual(fresh, reply) {
		a.body = body
	}
	return a
}

// isShared reports whether many can have the answer: an error, or a reply of
// which there can be exact copies.
func (a *answer) isShared() bool { return a.err != nil || a.exact || a.body != nil }

// give fills in a caller's reply, or returns a caller's own copy of the error.
func (a *answer) give(codec rpc.Codec, method string, reply any) error {
	if e, ok := a.err.(*rpc.Error); ok && e != nil {
		own := *e
		own.Details = maps.Clone(e.Details)
		return &own
	}
	if a.err != nil {
		return a.err
	}
	if a.exact {
		own, _ := values.Clone(a.reply, cloneMessage)
		set(reply, own)
		return nil
	}
	emptied := values.Empty(reply, false)
	if err := decode(codec, a.body, emptied.Into); err != nil {
		emptied.Restore()
		return rpc.Errorf(rpc.Internal, "cache: decode the reply of %s: %w", method, err)
	}
	return nil
}

// set moves what from points to into a caller's reply.
func set(reply, from any) {
	m := messageIn(values.Target(reply))
	if m == nil {
		values.Set(reply, from)
		return
	}
	proto.Reset(m)
	proto.Merge(m, from.(proto.Message))
}

// newReply returns an empty variable of a reply's type.
func newReply(reply any) any {
	if m := messageIn(reply); m != nil {
		return m.ProtoReflect().New().Interface() // a dynamic one's type is not all in its Go type
	}
	return reflect.New(reflect.TypeOf(reply).Elem()).Interface()
}

func cloneMessage(v any) (any, bool) {
	m := messageIn(v)
	if m == nil || protonest.Check(m) != nil {
		return nil, false
	}
	return proto.Clone(m), true
}

// messageIn returns v as a message, or nil if it is none.
func messageIn(v any) proto.Message {
	m, ok := v.(proto.Message)
	if !ok || !values.IsMessage(reflect.TypeOf(v)) {
		return nil
	}
	return m
}

// size is how many bytes keeping the answer takes, about.
func (a *answer) size() int {
	n := entryBytes + len(a.body)
	if e, ok := a.err.(*rpc.Error); ok && e != nil {
		n += len(e.Message)
		for k, v := range e.Details {
			n += len(k) + len(v)
		}
	}
	return n
}

// entryBytes is what an entry takes without its answer.
const entryBytes = 512
