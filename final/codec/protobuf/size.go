package protobuf

import (
	"reflect"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"example.com/rpc-from-scratch/final/internal/values"
	"example.com/rpc-from-scratch/final/rpc"
)

var _ rpc.Sizer = codec{}

// Sizes makes Codec an [rpc.Sizer]. It looks through the fields of a message, and of
// those in it, without decoding them. Each field of a [Convertible] counts as the
// largest element of the Go type, too; what else FromProto makes is not known.
func (codec) Sizes(t reflect.Type) rpc.SizeFunc {
	v := reflect.New(t).Interface()
	m, err := MessageOf(v)
	if err != nil { // which decoding will say, too
		return func([]byte) int64 { return 0 }
	}
	if m.ProtoReflect().Descriptor() == nil { // a dynamic message, whose fields are not known
		return func(data []byte) int64 { return 16 * int64(len(data)) }
	}
	s := sizer{message: sizeOf(m.ProtoReflect())}
	if messageIn(reflect.ValueOf(v)) == nil {
		own := convertibles.Of(t)
		s.fixed, s.perField = values.SizeOf(t), max(own.Next, own.First)
	}
	return s.of
}

// convertibles may set any field from a message.
var convertibles = values.Grower{
	Follows: func(reflect.StructField) bool { return true },
	Opaque:  func(reflect.Type) (values.Growth, bool) { return values.Growth{}, false },
}

// sizer bounds the memory of one type.
type sizer struct {
	message  *messageSize
	fixed    int64
	perField int64 // beside the message
}

func (s *sizer) of(data []byte) int64 {
	return s.fixed + s.message.of(data, s.perField, deepest)
}

// deepest is how deep messages may be nested: package proto goes no deeper.
const deepest = 10_000

// messageSize is what the fields of a message take.
type messageSize struct {
	fixed  int64
	fields map[protowire.Number]fieldSize
}

// fieldSize is what one value of a field takes where it lies. Its text, or what is in
// its message, comes on top.
type fieldSize struct {
	place   int64
	message *messageSize // nil: none
	packed  int64        // of an element of numbers in one field; 0: there are none
}

var (
	sizesMu sync.Mutex
	sizes   = map[reflect.Type]*messageSize{} // by Go type; guarded by sizesMu
)

// sizeOf looks at a message's type.
func sizeOf(m protoreflect.Message) *messageSize {
	sizesMu.Lock()
	defer sizesMu.Unlock()
	return sizeOfLocked(m)
}

func sizeOfLocked(m protoreflect.Message) *messageSize {
	t := reflect.TypeOf(m.Interface()).Elem()
	if known := sizes[t]; known != nil {
		return known
	}
	found := &messageSize{fixed: values.Pointed(t), fields: map[protowire.Number]fieldSize{}}
	sizes[t] = found
	m = m.New()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		found.fields[fd.Number()] = fieldOf(m, fd)
	}
	return found
}

// widest is the size of the largest of a message's values that are neither text nor
// message: a string or a slice of bytes with its allocation, or what holds a oneof.
const widest = 64

func fieldOf(m protoreflect.Message, fd protoreflect.FieldDescriptor) fieldSize {
	word := reflect.TypeFor[any]()
	switch value := m.NewField(fd); {
	case fd.IsMap():
		_, first := values.Entry(word, word)
		f := fieldSize{place: first + widest}
		f.message = &messageSize{fields: map[protowire.Number]fieldSize{1: {place: 0}, 2: {place: 0}}}
		if fd.MapValue().Message() != nil {
			f.message.fields[2] = fieldSize{message: sizeOfLocked(value.Map().NewValue().Message())}
		}
		return f
	case fd.IsList() && fd.Message() != nil:
		return fieldSize{place: values.Element(word), message: sizeOfLocked(value.List().NewElement().Message())}
	case fd.IsList() && (fd.Kind() == protoreflect.StringKind || fd.Kind() == protoreflect.BytesKind):
		return fieldSize{place: values.Element(reflect.TypeFor[[]byte]())}
	case fd.IsList():
		return fieldSize{place: values.Element(word), packed: 24}
	case fd.Message() != nil:
		return fieldSize{place: widest, message: sizeOfLocked(value.Message())}
	}
	return fieldSize{place: widest}
}

// of adds up what is in data. What is broken ends it: that is not decoded either.
func (s *messageSize) of(data []byte, perField int64, depth int) int64 {
	size := s.fixed
	for len(data) > 0 && depth > 0 {
		number, kind, n := protowire.ConsumeTag(data)
		if n < 0 {
			break
		}
		m := protowire.ConsumeFieldValue(number, kind, data[n:])
		if m < 0 {
			break
		}
		size += perField + s.field(number, kind, data[n:n+m], perField, depth)
		data = data[n+m:]
	}
	return size
}

func (s *messageSize) field(number protowire.Number, kind protowire.Type, value []byte, perField int64, depth int) int64 {
	f, known := s.fields[number]
	switch {
	case !known: // it is kept as it is, in a slice that grows
		return 3 * int64(protowire.SizeTag(number)+len(value))
	case kind == protowire.BytesType:
		content, _ := protowire.ConsumeBytes(value)
		switch {
		case f.message != nil:
			return f.place + f.message.of(content, perField, depth-1)
		case f.packed > 0:
			return f.place + (f.packed+perField)*int64(len(content))
		}
		return f.place + int64(len(content))*5/4
	case kind == protowire.StartGroupType && f.message != nil:
		content, _ := protowire.ConsumeGroup(number, value)
		return f.place + f.message.of(content, perField, depth-1)
	}
	return f.place
}
