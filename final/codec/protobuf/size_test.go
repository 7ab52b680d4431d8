package protobuf

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/rpc"
)

// grid borrows a message with a repeated message 3, the smallest of which take 2 bytes.
type grid struct{ rows [][64]int }

func (g *grid) ToProto() proto.Message { return &descriptorpb.DescriptorProto{} }

func (g *grid) FromProto(m proto.Message) error {
	for range m.(*descriptorpb.DescriptorProto).GetNestedType() {
		g.rows = append(g.rows, [64]int{})
	}
	return nil
}

// repeated returns a field with a content, so many times.
func repeated(times int, number protowire.Number, content ...byte) []byte {
	return bytes.Repeat(protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), content), times)
}

// A message that is decoded takes no more memory than Sizes says, and honest ones are
// not taken for much more than they are.
func TestSizes_BoundWhatIsDecoded(t *testing.T) {
	object, err := structpb.NewStruct(map[string]any{"a": "text", "b": 1.5, "c": []any{true, nil, "x"}})
	require.NoError(t, err)
	list, err := proto.Marshal(&structpb.ListValue{Values: bytesOf(2000, structpb.NewStructValue(object))})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		into any
		data []byte
		most float64 // times what it takes
	}{
		"a text":                     {new(wrapperspb.StringValue), repeated(1, 1, bytes.Repeat([]byte("x"), 1<<20)...), 2},
		"empty messages":             {new(descriptorpb.DescriptorProto), repeated(100_000, 3), 3},
		"empty texts":                {new(descriptorpb.DescriptorProto), repeated(100_000, 10), 5},
		"packed numbers":             {new(descriptorpb.SourceCodeInfo_Location), repeated(1, 1, bytes.Repeat([]byte{1}, 200_000)...), 10},
		"numbers one by one":         {new(descriptorpb.SourceCodeInfo_Location), bytes.Repeat([]byte{8, 1}, 100_000), 30},
		"unknown fields":             {new(wrapperspb.StringValue), bytes.Repeat([]byte{0x48, 1}, 100_000), 5},
		"entries of a map, the same": {new(structpb.Struct), repeated(50_000, 1), 1e9},
		"what people send":           {new(structpb.ListValue), list, 6},
		"a Go type":                  {new(grid), repeated(20_000, 3), 4},
	} {
		t.Run(name, func(t *testing.T) {
			sizes := Codec.(rpc.Sizer).Sizes(reflect.TypeOf(c.into).Elem())
			before := heap()
			require.NoError(t, Codec.Decode(c.data, c.into))
			took := int64(heap() - before)
			assert.GreaterOrEqual(t, sizes(c.data), took)
			assert.LessOrEqual(t, float64(sizes(c.data)), c.most*float64(max(took, 1)), "it takes %d bytes", took)
			runtime.KeepAlive(c.into)
			runtime.KeepAlive(c.data)
		})
	}
}

func bytesOf(n int, v *structpb.Value) []*structpb.Value {
	all := make([]*structpb.Value, n)
	for i := range all {
		all[i] = v
	}
	return all
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Whatever the bytes are, looking at them ends, and needs no more than they are.
func FuzzSizes(f *testing.F) {
	f.Add([]byte{})
	f.Add(repeated(3, 3))
	f.Add(bytes.Repeat([]byte{0x1b}, 100)) // groups that do not end
	sizes := Codec.(rpc.Sizer).Sizes(reflect.TypeFor[structpb.Struct]())
	f.Fuzz(func(t *testing.T, data []byte) {
		n := sizes(data)
		assert.GreaterOrEqual(t, n, int64(0))
		assert.LessOrEqual(t, n, 1000*int64(len(data)+1))
	})
}
