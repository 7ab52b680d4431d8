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
func gobMessage(d *introspect.DescribeReply, allowUnknown bool) *message {
	m := &message{newReply: noReply, text: noText}
	params, unsendable := gobType(d, d.GetMethod().GetParams())
	m.encode = func(text json.RawMessage) (any, error) {
		if unsendable != nil {
			return nil, unsendable
		}
		value := reflect.New(params)
		if err := decode(text, value.Interface(), allowUnknown); err != nil {
			return nil, usagef("params of %s: %w", d.GetMethod().GetName(), err)
		}
		return value.Interface(), nil
	}
	if name := d.GetMethod().GetReply(); name != "" {
		t, err := gobType(d, name)
		if err != nil {
			m.unreadable = err
			return m
		}
		m.newReply = func() any { return reflect.New(t).Interface() }
		m.text = func(reply any) ([]byte, error) { return rpc.JSON.Append(nil, reply) }
	}
	return m
}

// gobType makes the type of that name. One that cannot be made leaves no trace.
func gobType(d *introspect.DescribeReply, name string) (reflect.Type, error) {
	if name == "" {
		return nil, nil
	}
	types := &goTypes{described: typesByName(d), made: map[string]reflect.Type{}}
	t, err := types.of(name)
	if err != nil {
		return nil, noCodec("gob", d, err)
	}
	return t, nil
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
