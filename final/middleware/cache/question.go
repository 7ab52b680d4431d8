package cache

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"example.com/rpc-from-scratch/final/rpc"
)

// digest stands for texts of any length. Nobody can make up two texts with the
// same one, and it shows nothing of them: a token in metadata is not kept.
type digest [sha256.Size]byte

// question is what tells calls apart.
type question struct {
	method  string
	request digest       // of method and params
	key     digest       // of the request and the metadata
	reply   reflect.Type // a pointer's
}

// params is a call's params, encoded, because they are the caller's again when
// it leaves, and a shared call may go on.
type params struct {
	body []byte
	t    reflect.Type // nil: there are none
}

// ask returns what a call asks, or false if its answer cannot be kept.
func (c *Cache) ask(ctx context.Context, method string, in, reply any) (q question, p params, ok bool) {
	q = question{method: method, reply: reflect.TypeOf(reply)}
	if q.reply == nil || q.reply.Kind() != reflect.Pointer || reflect.ValueOf(reply).IsNil() {
		return q, p, false
	}
	body, err := encode(c.codec, in)
	if err != nil {
		return q, p, false // the client will say what is wrong
	}
	q.request = sum([]byte(method), body)
	q.key = c.withMetadata(q.request, rpc.OutgoingMetadata(ctx))
	return q, params{body: body, t: reflect.TypeOf(in)}, true
}

func (c *Cache) withMetadata(request digest, md rpc.Metadata) digest {
	fields := [][]byte{request[:]}
	for _, key := range slices.Sorted(maps.Keys(md)) {
		if !c.ignored[key] {
			fields = append(fields, []byte(key), []byte(md[key]))
		}
	}
	if len(fields) == 1 {
		return request
	}
	return sum(fields...)
}

// copy returns params of the caller's type that nobody else has.
func (p *params) copy(codec rpc.Codec) (any, error) {
	if p.t == nil {
		return nil, nil
	}
	pointer := p.t.Kind() == reflect.Pointer
	t := p.t
	if pointer {
		t = t.Elem()
	}
	fresh := reflect.New(t)
	if err := decode(codec, p.body, fresh.Interface()); err != nil {
		return nil, err
	}
	if pointer {
		return fresh.Interface(), nil
	}
	return fresh.Elem().Interface(), nil
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
