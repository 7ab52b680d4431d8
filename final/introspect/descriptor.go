package introspect

import (
	"reflect"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
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
	fs.addFile(d.ParentFile())
	return string(d.FullName())
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
