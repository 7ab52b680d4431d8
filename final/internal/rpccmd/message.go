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
	params   any                             // nil: none
	newReply func() any                      // where a reply is decoded; nil to drop it
	text     func(reply any) ([]byte, error) // the reply as JSON; none for nil
}

// message makes params for a method in the chosen codec. What JSON has too much
// or of the wrong type is a usage error.
func (o *options) message(ctx context.Context, c rpc.Caller, method string, params json.RawMessage) (*message, error) {
	if o.codec == "json" {
		return jsonMessage(params), o.checkJSON(ctx, c, method, params)
	}
	d, err := describe(ctx, c, method)
	if err != nil {
		return nil, err
	}
	if params != nil && d.GetMethod().GetParams() == "" {
		return nil, usagef("%s takes nothing", method)
	}
	if params != nil && !o.allowUnknown {
		if err := checkFields(d, params, o.codec == "protobuf"); err != nil {
			return nil, err
		}
	}
	if o.codec == "gob" {
		return gobMessage(d, params, o.allowUnknown)
	}
	return protobufMessage(d, params, o.allowUnknown)
}

// checkJSON refuses fields that the server does not know, if it tells what it
// knows. JSON without an object has no fields, and needs no question.
func (o *options) checkJSON(ctx context.Context, c rpc.Caller, method string, params json.RawMessage) error {
	if o.allowUnknown || !bytes.ContainsRune(params, '{') {
		return nil
	}
	d, err := introspect.Describe.Call(ctx, c, &introspect.DescribeRequest{Method: method})
	if err != nil || d.GetMethod().GetParams() == "" {
		return nil // the call itself will tell what is wrong
	}
	return checkFields(d, params, false)
}

// jsonMessage sends what the user wrote as it is: the server knows the types.
func jsonMessage(params json.RawMessage) *message {
	m := &message{
		newReply: func() any { return new(json.RawMessage) },
		text:     func(reply any) ([]byte, error) { return *reply.(*json.RawMessage), nil },
	}
	if params != nil {
		m.params = params
	}
	return m
}

func noReply() any { return nil }

func noText(any) ([]byte, error) { return nil, nil }
