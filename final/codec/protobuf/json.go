package protobuf

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/internal/protonest"
	"example.com/rpc-from-scratch/final/rpc"
)

func init() { rpc.RegisterMessages(messages{}) }

// messages does JSON for messages: see [rpc.Messages].
type messages struct{}

func (messages) AppendJSON(dst []byte, v any) ([]byte, error) {
	if m := messageIn(reflect.ValueOf(v)); m != nil {
		return appendJSON(dst, m)
	}
	image, err := new(projector).imageOf(v)
	if err != nil {
		return dst, err
	}
	out := bytes.NewBuffer(dst)
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(image); err != nil {
		return dst, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

func (messages) DecodeJSON(data []byte, v any) error {
	if m := messageIn(reflect.ValueOf(v)); m != nil {
		return decodeJSON(data, m)
	}
	return decodeImage(data, v)
}

// messageIn returns the message that v is. A struct that embeds one has its methods
// but is none.
func messageIn(v reflect.Value) proto.Message {
	if !v.IsValid() || !isMessage(v.Type()) || !v.CanInterface() {
		return nil
	}
	return v.Interface().(proto.Message)
}

var messageTypes sync.Map // reflect.Type to bool

func isMessage(t reflect.Type) bool {
	if t.Kind() != reflect.Pointer {
		return false
	}
	known, ok := messageTypes.Load(t) // Implements is slow, and asked of each value
	if !ok {
		known = t.Implements(messageType) && findMessage(t)
		messageTypes.Store(t, known)
	}
	return known.(bool)
}

func findMessage(t reflect.Type) (found bool) {
	defer func() {
		if recover() != nil { // an embedded interface is nil
			found = false
		}
	}()
	m := reflect.New(t.Elem()).Interface().(proto.Message)
	return reflect.TypeOf(m.ProtoReflect().Interface()) == t
}

// appendJSON appends m's JSON, null for a nil pointer. Protojson puts spaces where it
// likes, differently in each program; here there are none.
func appendJSON(dst []byte, m proto.Message) ([]byte, error) {
	if isNil(m) {
		return append(dst, "null"...), nil
	}
	if err := protonest.Check(m); err != nil {
		return dst, fmt.Errorf("protobuf: %w", err)
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return dst, err
	}
	out := bytes.NewBuffer(dst)
	if err := json.Compact(out, text); err != nil {
		return dst, err
	}
	return out.Bytes(), nil
}

// decodeJSON sets m to what data says. Fields that m does not know are dropped, as
// encoding/json does: a newer peer may send them.
func decodeJSON(data []byte, m proto.Message) error {
	if isNil(m) {
		return fmt.Errorf("protobuf: decode into a nil %T", m)
	}
	if string(bytes.TrimSpace(data)) == "null" && m.ProtoReflect().Descriptor().FullName() != "google.protobuf.Value" { // which has a null
		proto.Reset(m)
		return nil
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, m)
}
