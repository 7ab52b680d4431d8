package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/rpc"
)

// digest is the hash of texts of any length. Two texts with the same one cannot
// be made up, and it shows nothing of them: a token in metadata is not kept.
type digest [sha256.Size]byte

// question is what tells calls apart.
type question struct {
	method  string
	request digest // of method and params
	key     digest // of the request and the metadata
	want    replyType
}

// replyType is the type of what a reply points to. Dynamic protobuf messages share
// one Go type.
type replyType struct {
	t       reflect.Type
	message protoreflect.FullName // "" if it is no message
}

func typeOf(reply any) replyType {
	t := replyType{t: reflect.TypeOf(reply)}
	if m := messageIn(reply); m != nil {
		t.message = m.ProtoReflect().Descriptor().FullName()
	}
	return t
}

// ask returns what a call asks and its params, encoded, or false if the cache has
// no part in the call.
func (c *Cache) ask(ctx context.Context, method string, params, reply any) (q question, body []byte, ok bool) {
	if v := reflect.ValueOf(reply); v.Kind() != reflect.Pointer || v.IsNil() || values.IsPrepared(reply) {
		return q, nil, false
	}
	if body, ok = c.encoded(ctx, params); !ok {
		return q, nil, false
	}
	q = question{method: method, want: typeOf(values.Target(reply)), request: sum([]byte(method), body)}
	q.key = c.withMetadata(q.request, rpc.OutgoingMetadata(ctx))
	return q, body, true
}

// encoded returns params as the codec encodes them, or false if that is not to be had.
func (c *Cache) encoded(ctx context.Context, params any) ([]byte, bool) {
	if live := values.LiveIn(ctx, params); live != nil { // they may have changed since
		return live.Body, live.Codec == c.codec.Name()
	}
	source, exact := c.source(params)
	if !exact && c.codec != rpc.JSON {
		return nil, false // what can be encoded only once could not be sent
	}
	body, err := encode(c.codec, source)
	return body, err == nil // else the client will say what is wrong
}

// source returns a copy of params to be encoded, because a marshaler may change its
// value: one that reads from a stream finds nothing there the next time. If there is
// no exact copy, it returns params, and false.
func (c *Cache) source(params any) (any, bool) {
	if messageIn(params) != nil {
		return params, true // what encodes a message does not change it
	}
	if view, exact := values.Clone(params, cloneMessage); exact {
		return view, true
	}
	return params, false
}

// copyParams copies params, which encode to body, because they are the caller's
// again when it leaves, and a shared call may go on. It also returns what stands for
// params in a call of the caller's own: they may have been encoded already, and that
// may work only once. It returns false if there is no way to an exact copy.
func (c *Cache) copyParams(params any, body []byte) (own, again any, exact bool) {
	if view, exact := values.Clone(params, cloneMessage); exact {
		return view, params, true
	}
	if view, ok := c.decodeAs(params, body); ok && c.encodesTo(view, body) {
		own, _ = c.decodeAs(params, body)
		again, _ = c.decodeAs(params, body)
		return own, again, true
	}
	if c.encodesTo(params, body) {
		return nil, params, false
	}
	return nil, json.RawMessage(body), false
}

// decodeAs decodes body into a value of params' type.
func (c *Cache) decodeAs(params any, body []byte) (any, bool) {
	view := params
	pointer := reflect.TypeOf(params).Kind() == reflect.Pointer
	if !pointer {
		view = reflect.New(reflect.TypeOf(params)).Interface()
	}
	view = newReply(view)
	if decode(c.codec, body, view) != nil {
		return nil, false
	}
	if !pointer {
		view = reflect.ValueOf(view).Elem().Interface()
	}
	return view, true
}

func (c *Cache) encodesTo(v any, body []byte) bool {
	got, err := encode(c.codec, v)
	return err == nil && bytes.Equal(got, body)
}

func (c *Cache) withMetadata(request digest, md rpc.Metadata) digest {
	fields := [][]byte{request[:]}
	for _, key := range slices.Sorted(maps.Keys(md)) {
		if c.varies(key) {
			fields = append(fields, []byte(key), []byte(md[key]))
		}
	}
	if len(fields) == 1 {
		return request
	}
	return sum(fields...)
}

// sum hashes fields, each with its length before it, so that no two lists of
// fields are the same bytes.
func sum(fields ...[]byte) (d digest) {
	h := sha256.New()
	var n [8]byte
	for _, field := range fields {
		binary.BigEndian.PutUint64(n[:], uint64(len(field)))
		h.Write(n[:])
		h.Write(field)
	}
	h.Sum(d[:0])
	return d
}

// encode is the codec's, with a panic of a user's marshaler caught. Nil is no bytes.
func encode(codec rpc.Codec, v any) (body []byte, err error) {
	if v == nil {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			body, err = nil, fmt.Errorf("panic while encoding %T", v)
		}
	}()
	return codec.Append(nil, v)
}

// decode is the codec's, with a panic of a user's unmarshaler caught.
func decode(codec rpc.Codec, body []byte, v any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic while decoding into %T", v)
		}
	}()
	return codec.Decode(body, v)
}
