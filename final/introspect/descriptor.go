package introspect

import (
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/internal/values"
)

// fileSet collects the .proto files that describe messages, each once and after
// those that it imports.
type fileSet struct {
	set  descriptorpb.FileDescriptorSet
	seen map[string]bool
}

// add returns the full name of the protobuf message that t is, or travels as, ""
// if there is none, with all that describes it in the set.
func (fs *fileSet) add(t reflect.Type) string {
	if t == nil {
		return ""
	}
	m, err := protobuf.MessageOf(reflect.New(t).Interface())
	if err != nil {
		return ""
	}
	d := m.ProtoReflect().Descriptor()
	if d == nil {
		return "" // a dynamic message, of which the type tells nothing
	}
	fs.addFile(d.ParentFile())
	return string(d.FullName())
}

// messageDescriptor returns the descriptor of the protobuf message that t is; nil if it
// is none. What only travels as a message has the JSON of its Go type.
func messageDescriptor(t reflect.Type) protoreflect.MessageDescriptor {
	if !values.IsMessage(reflect.PointerTo(t)) {
		return nil
	}
	m, ok := reflect.New(t).Interface().(proto.Message)
	if !ok {
		return nil // of an older API
	}
	return m.ProtoReflect().Descriptor()
}

func (fs *fileSet) addFile(f protoreflect.FileDescriptor) {
	if fs.seen[f.Path()] || f.IsPlaceholder() {
		return
	}
	if fs.seen == nil {
		fs.seen = map[string]bool{}
	}
	fs.seen[f.Path()] = true
	for i := range f.Imports().Len() {
		fs.addFile(f.Imports().Get(i).FileDescriptor)
	}
	fs.set.File = append(fs.set.File, protodesc.ToFileDescriptorProto(f))
}

// encode returns the set, no bytes if nothing is in it.
func (fs *fileSet) encode() ([]byte, error) {
	return proto.Marshal(&fs.set)
}
