package protobuf

import (
	"errors"
	"fmt"
	"reflect"

	"google.golang.org/protobuf/proto"
)

// Convertible is a pointer to a plain Go type that travels as a message, so that
// a program may use the type with every codec:
//
//	func (r *CheckStockRequest) ToProto() proto.Message {
//		return &shoppb.CheckStockRequest{Item: r.Item}
//	}
//
//	func (r *CheckStockRequest) FromProto(m proto.Message) error {
//		r.Item = m.(*shoppb.CheckStockRequest).GetItem()
//		return nil
//	}
//
// Both may be called by several goroutines at once, for different values.
type Convertible interface {
	// ToProto returns the receiver, which is not nil, as a message. The message has
	// always the same type, also for the zero value. It may share memory with the
	// receiver: it is only read, and not kept.
	ToProto() proto.Message
	// FromProto sets all fields of the receiver from m. m has the type that ToProto
	// returns, and belongs to the receiver from then on. It returns an error for
	// values that the Go type cannot hold; the peer gets the error's text.
	FromProto(m proto.Message) error
}

// MessageOf returns v if it is a message, or the message that it becomes if it
// is [Convertible]. A struct that embeds a message is none. The error names v's
// type and says what to do.
func MessageOf(v any) (proto.Message, error) {
	if m := messageIn(reflect.ValueOf(v)); m != nil {
		return m, nil
	}
	if v, ok := v.(Convertible); ok {
		m := v.ToProto()
		if m == nil {
			return nil, fmt.Errorf("protobuf: ToProto of %T returned nil", v)
		}
		return m, nil
	}
	return nil, checkType(v)
}

// checkType returns an error if v's type is none that travels.
func checkType(v any) error {
	t := reflect.TypeOf(v)
	switch {
	case travels(t):
		return nil
	case t == nil:
		return errors.New("protobuf: nil is not a proto.Message")
	case t.Implements(messageType):
		return fmt.Errorf("protobuf: %v embeds a proto.Message, and is none: pass the message, or give the type "+
			"ToProto and FromProto (protobuf.Convertible)", t)
	case travels(reflect.PointerTo(t)):
		return fmt.Errorf("protobuf: %v is not a proto.Message, but %v is: pass a pointer", t, reflect.PointerTo(t))
	case t.Kind() == reflect.Pointer && travels(t.Elem()):
		return fmt.Errorf("protobuf: %v is not a proto.Message, but %v is: pass that", t, t.Elem())
	}
	return fmt.Errorf("protobuf: %v is not a proto.Message: use a generated message, "+
		"give the type ToProto and FromProto (protobuf.Convertible), or choose another codec", t)
}

var (
	messageType     = reflect.TypeFor[proto.Message]()
	convertibleType = reflect.TypeFor[Convertible]()
)

func travels(t reflect.Type) bool {
	return t != nil && (isMessage(t) || t.Implements(convertibleType))
}

// isNil reports whether v is a nil pointer, which has no message to be turned into.
func isNil(v any) bool {
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
