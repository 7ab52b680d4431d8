package rpccmd

import (
	"bytes"
	"context"
	"encoding/json"

	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

// message is JSON turned into what a codec carries, and the way back for the
// reply. It may be used by many goroutines.
type message struct {
	kind     rpc.MethodKind
	params   any                                // of a call, or the first item; nil: none
	encode   func(json.RawMessage) (any, error) // what a codec carries; its errors are usage errors
	newReply func() any                         // where a reply or an item is decoded; nil to drop it
	text     func(reply any) ([]byte, error)    // the reply as JSON; none for nil

	unreadable error // why the codec cannot carry the reply
}

// message makes params for a method in the chosen codec. What JSON has too much
// or of the wrong type is a usage error.
func (o *options) message(ctx context.Context, c rpc.Caller, method string, params json.RawMessage) (*message, error) {
	d, err := o.describe(ctx, c, method)
	if err != nil {
		return nil, err
	}
	m, err := o.messageOf(d)
	if err != nil {
		return nil, err
	}
	if m.kind, err = o.kindOf(d); err == nil && params != nil {
		m.params, err = m.encode(params)
	}
	if err == nil {
		err = m.unreadable
	}
	return m, err
}

// describe asks for a method's types, which JSON can go without: nil if they are not told.
func (o *options) describe(ctx context.Context, c rpc.Caller, method string) (*introspect.DescribeReply, error) {
	if o.codec != "json" {
		return describe(ctx, c, method)
	}
	d, err := introspect.Describe.Call(ctx, c, &introspect.DescribeRequest{Method: method})
	if err != nil {
		return nil, nil // the call itself will tell what is wrong
	}
	return d, nil
}

// kinds are the values of -stream.
var kinds = map[string]rpc.MethodKind{"server": rpc.ServerStreaming, "client": rpc.ClientStreaming, "bidi": rpc.BidiStreaming}

// kindOf returns what the user says that a method is, or what the server says.
func (o *options) kindOf(d *introspect.DescribeReply) (rpc.MethodKind, error) {
	if kind, known := kinds[o.stream]; known {
		return kind, nil
	}
	if o.stream != "" {
		return 0, usagef("-stream %q: want server, client or bidi", o.stream)
	}
	for _, kind := range kinds {
		if kind.String() == d.GetMethod().GetKind() {
			return kind, nil
		}
	}
	return rpc.Unary, nil
}

// messageOf returns how JSON becomes what the chosen codec carries. It is the same JSON for
// JSON: the server knows the types.
func (o *options) messageOf(d *introspect.DescribeReply) (m *message, err error) {
	switch o.codec {
	case "gob":
		m = gobMessage(d, o.allowUnknown)
	case "protobuf":
		m, err = protobufMessage(d, o.allowUnknown)
	default:
		m = jsonMessage()
	}
	if err != nil || d == nil {
		return m, err
	}
	encode := m.encode
	m.encode = func(params json.RawMessage) (any, error) {
		if err := o.checkParams(d, params); err != nil {
			return nil, err
		}
		return encode(params)
	}
	return m, nil
}

// checkParams refuses fields that the server does not know.
func (o *options) checkParams(d *introspect.DescribeReply, params json.RawMessage) error {
	switch {
	case d.GetMethod().GetParams() != "":
	case o.codec == "json":
		return nil // the call itself will tell
	default:
		return usagef("%s takes nothing", d.GetMethod().GetName())
	}
	if o.allowUnknown || o.codec == "json" && !bytes.ContainsRune(params, '{') { // without an object it has no fields
		return nil
	}
	return checkFields(d, params, o.codec == "protobuf")
}

// jsonMessage sends what the user wrote as it is.
func jsonMessage() *message {
	return &message{
		encode:   func(params json.RawMessage) (any, error) { return params, nil },
		newReply: func() any { return new(json.RawMessage) },
		text:     func(reply any) ([]byte, error) { return *reply.(*json.RawMessage), nil },
	}
}

func noReply() any { return nil }

func noText(any) ([]byte, error) { return nil, nil }
