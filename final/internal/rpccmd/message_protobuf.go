package rpccmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"

	"example.com/rpc-from-scratch/final/introspect"
)

// protobufMessage makes messages of the server's descriptors. JSON is then
// protobuf's own: 64-bit integers are strings in replies, for example.
func protobufMessage(d *introspect.DescribeReply, allowUnknown bool) (*message, error) {
	files, err := protobufFiles(d)
	if err != nil {
		return nil, noCodec("protobuf", d, err)
	}
	types := dynamicpb.NewTypes(files)
	m := &message{newReply: noReply, text: noText}
	m.encode = func(params json.RawMessage) (any, error) {
		desc, err := findMessage(files, "params", d.GetMethod().GetParams(), d.GetParamsMessage())
		if err != nil {
			return nil, noCodec("protobuf", d, err)
		}
		msg := dynamicpb.NewMessage(desc)
		if err := (protojson.UnmarshalOptions{Resolver: types, DiscardUnknown: allowUnknown}).Unmarshal(params, msg); err != nil {
			return nil, usagef("params of %s: %w", d.GetMethod().GetName(), inPlainWords(err))
		}
		return msg, nil
	}
	if name := d.GetMethod().GetReply(); name != "" {
		desc, err := findMessage(files, "the reply", name, d.GetReplyMessage())
		if err != nil {
			m.unreadable = noCodec("protobuf", d, err)
			return m, nil
		}
		m.newReply = func() any { return dynamicpb.NewMessage(desc) }
		m.text = func(reply any) ([]byte, error) {
			text, err := protojson.MarshalOptions{Resolver: types}.Marshal(reply.(proto.Message))
			if err != nil {
				return nil, inPlainWords(err)
			}
			return text, nil
		}
	}
	return m, nil
}

// inPlainWords returns what package protobuf says, as "line 1, column 5: …". It puts a
// no-break space into its texts, so that nobody relies on them.
func inPlainWords(err error) error {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	return errors.New(position.ReplaceAllString(text, "line $1, column $2"))
}

var position = regexp.MustCompile(`^\(line (\d+):(\d+)\)`)

func protobufFiles(d *introspect.DescribeReply) (*protoregistry.Files, error) {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(d.GetDescriptors(), &set); err != nil {
		return nil, fmt.Errorf("descriptors: %w", inPlainWords(err))
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, fmt.Errorf("descriptors: %w", inPlainWords(err))
	}
	return files, nil
}

// findMessage finds the message that the Go type goName is.
func findMessage(files *protoregistry.Files, what, goName, fullName string) (protoreflect.MessageDescriptor, error) {
	if fullName == "" {
		return nil, fmt.Errorf("%s, %s, is no protobuf message", what, goName)
	}
	d, err := files.FindDescriptorByName(protoreflect.FullName(fullName))
	if err != nil {
		return nil, fmt.Errorf("descriptor of %s: %w", fullName, err)
	}
	desc, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, errors.New(fullName + " is no message")
	}
	return desc, nil
}
