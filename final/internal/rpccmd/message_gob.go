package rpccmd

import (
	"bytes"
	"encoding/json"
	"reflect"

	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// gobMessage makes Go types of the description: gob tells types by their
// fields, not by their names, so the server cannot see the difference.
func gobMessage(d *introspect.DescribeReply, params json.RawMessage, allowUnknown bool) (*message, error) {
	types := &goTypes{described: typesByName(d), made: map[string]reflect.Type{}}
	m := &message{newReply: noReply, text: noText}
	if params != nil {
		t, err := types.of(d.GetMethod().GetParams())
		if err != nil {
			return nil, noCodec("gob", d, err)
		}
		value := reflect.New(t)
		if err := decode(params, value.Interface(), allowUnknown); err != nil {
			return nil, usagef("params of %s: %w", d.GetMethod().GetName(), err)
		}
		m.params = value.Interface()
	}
	if name := d.GetMethod().GetReply(); name != "" {
		t, err := types.of(name)
		if err != nil {
			return nil, noCodec("gob", d, err)
		}
		m.newReply = func() any { return reflect.New(t).Interface() }
		m.text = func(reply any) ([]byte, error) { return rpc.JSON.Append(nil, reply) }
	}
	return m, nil
}

// decode refuses fields that do not exist, since nothing else would: they do not
// travel in gob.
func decode(data []byte, v any, allowUnknown bool) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if !allowUnknown {
		dec.DisallowUnknownFields()
	}
	return dec.Decode(v)
}

// noCodec says why a codec cannot carry a method's values, and what can.
func noCodec(codec string, d *introspect.DescribeReply, err error) error {
	return hint(failf("%s cannot be called with %s: %w", d.GetMethod().GetName(), codec, err), "-codec json can carry it")
}
