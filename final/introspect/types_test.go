package introspect_test

import (
	"encoding/json"
	"math/big"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"google.golang.org/protobuf/types/known/typepb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/rpc"
)

type (
	id    string
	base  struct{ Number int }
	Shown struct{ Kind id }
	line  struct {
		Item  id `json:"item"`
		Count uint16
	}
	order struct {
		base
		*Shown
		Named   base `json:"named,omitempty"`
		Lines   []line
		ByItem  map[id]*line
		Parent  *order `json:",omitzero"`
		Hash    [4]byte
		Body    []byte
		At      time.Time
		Big     int64  `json:"big,string"`
		Secret  string `json:"-"`
		Any     any
		private int
	}
	left  struct{ Right *right }
	right struct{ Left []left }
)

func TestDescribe_TellsEveryField(t *testing.T) {
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob, protobuf.Codec} {
		t.Run(codec.Name(), func(t *testing.T) {
			d := describe(t, codec, func(o *order) error { _ = o.private; return nil })
			assert.Equal(t, "introspect_test.order", d.GetMethod().GetParams())
			assert.Empty(t, d.GetMethod().GetReply())
			require.Equal(t, "introspect_test.order", d.GetTypes()[0].GetName())
			text, err := json.Marshal(d.GetTypes()[0].GetFields())
			require.NoError(t, err)
			assert.JSONEq(t, `[
				{"go_name":"base","type":"introspect_test.base","inline":true},
				{"go_name":"Shown","type":"*introspect_test.Shown","inline":true},
				{"name":"named","go_name":"Named","type":"introspect_test.base","omitempty":true},
				{"name":"Lines","go_name":"Lines","type":"[]introspect_test.line"},
				{"name":"ByItem","go_name":"ByItem","type":"map[introspect_test.id]*introspect_test.line"},
				{"name":"Parent","go_name":"Parent","type":"*introspect_test.order","omitempty":true},
				{"name":"Hash","go_name":"Hash","type":"[4]uint8"},
				{"name":"Body","go_name":"Body","type":"[]byte"},
				{"name":"At","go_name":"At","type":"time.Time"},
				{"name":"big","go_name":"Big","type":"int64","quoted":true},
				{"go_name":"Secret","type":"string"},
				{"name":"Any","go_name":"Any","type":"any"}]`, string(text))
		})
	}
}

func TestDescribe_NamesFieldsAsEncodingJSONDoes(t *testing.T) {
	type odd struct {
		//lint:ignore SA5008 what encoding/json makes of it
		A string `json:"it's"`
		//lint:ignore SA5008 what encoding/json makes of it
		B int `json:"a\\b,string"`
		//lint:ignore SA5008 what encoding/json makes of it
		C []int `json:"c d,string"`
		//lint:ignore SA5008 what encoding/json makes of it
		*Shown `json:"no\"name"`
	}
	d := describe(t, rpc.JSON, func(odd) error { return nil })
	text, err := json.Marshal(d.GetTypes()[0].GetFields())
	require.NoError(t, err)
	assert.JSONEq(t, `[
		{"name":"A","go_name":"A","type":"string"},
		{"name":"B","go_name":"B","type":"int","quoted":true},
		{"name":"c d","go_name":"C","type":"[]int"},
		{"go_name":"Shown","type":"*introspect_test.Shown","inline":true}]`, string(text))
}

func TestDescribe_NamesWhatATypeIsMadeOf(t *testing.T) {
	d := describe(t, rpc.JSON, func(order) error { return nil })
	for _, want := range []*introspect.Type{
		{Name: "[]introspect_test.line", Kind: "slice", Elem: "introspect_test.line"},
		{Name: "map[introspect_test.id]*introspect_test.line", Kind: "map", Key: "introspect_test.id", Elem: "*introspect_test.line"},
		{Name: "*introspect_test.order", Kind: "pointer", Elem: "introspect_test.order"},
		{Name: "[4]uint8", Kind: "array", Elem: "uint8", Len: 4},
		{Name: "[]byte", Kind: "bytes", Elem: "uint8"},
		{Name: "any", Kind: "interface"},
		{Name: "introspect_test.id", Kind: "string", Package: "example.com/rpc-from-scratch/final/introspect_test"},
		{Name: "time.Time", Kind: "struct", Package: "time", JsonEncoding: "own", GobEncoding: true},
	} {
		got := typeNamed(t, d, want.GetName())
		assert.True(t, proto.Equal(want, got), "want %v, got %v", want, got)
	}
}

func TestDescribe_ATypeInsideItselfEnds(t *testing.T) {
	d := describe(t, rpc.JSON, func(left) right { return right{} })
	var names []string
	for _, typ := range d.GetTypes() {
		names = append(names, typ.GetName())
	}
	assert.Equal(t, []string{
		"introspect_test.left", "*introspect_test.right", "introspect_test.right", "[]introspect_test.left",
	}, names)
	assert.Equal(t, "introspect_test.right", d.GetMethod().GetReply())
}

// Two types may have one name: those of two functions, or of two packages that
// are called alike.
func TestDescribe_TellsTypesOfOneNameApart(t *testing.T) {
	one := func() reflect.Type { type same struct{ First int }; return reflect.TypeFor[[]same]() }()
	other := func() reflect.Type { type same struct{ Second int }; return reflect.TypeFor[[]same]() }()
	fn := reflect.MakeFunc(reflect.FuncOf([]reflect.Type{one}, []reflect.Type{other}, false), func([]reflect.Value) []reflect.Value {
		return []reflect.Value{reflect.Zero(other)}
	})
	d := describe(t, rpc.JSON, fn.Interface())
	assert.Equal(t, "[]introspect_test.same", d.GetMethod().GetParams())
	assert.Equal(t, "[]introspect_test.same#2", d.GetMethod().GetReply())
	assert.Equal(t, "introspect_test.same#2", typeNamed(t, d, "[]introspect_test.same#2").GetElem())
	assert.Equal(t, "First", typeNamed(t, d, "introspect_test.same").GetFields()[0].GetName())
	assert.Equal(t, "Second", typeNamed(t, d, "introspect_test.same#2").GetFields()[0].GetName())
}

func TestDescribe_TellsWhoEncodesItself(t *testing.T) {
	d := describe(t, rpc.JSON, func(struct {
		Addr netip.Addr
		Int  *big.Int
	}) error {
		return nil
	})
	addr := typeNamed(t, d, "netip.Addr")
	assert.Equal(t, "text", addr.GetJsonEncoding())
	assert.True(t, addr.GetGobEncoding())
	assert.Equal(t, "own", typeNamed(t, d, "big.Int").GetJsonEncoding())
	assert.Empty(t, typeNamed(t, d, "*big.Int").GetJsonEncoding())
}

func TestDescribe_BuiltInTypesNeedNoEntry(t *testing.T) {
	d := describe(t, rpc.Gob, func(int) (string, error) { return "", nil })
	assert.Equal(t, "int", d.GetMethod().GetParams())
	assert.Equal(t, "string", d.GetMethod().GetReply())
	assert.Empty(t, d.GetTypes())
	assert.Empty(t, d.GetDescriptors())
}

// Who has the descriptors can make the messages: rpc call -codec protobuf does.
func TestDescribe_BringsWhatDescribesMessages(t *testing.T) {
	d := describe(t, protobuf.Codec, func(*typepb.Type) (*wrapperspb.StringValue, error) { return nil, nil })
	assert.Equal(t, "google.protobuf.Type", d.GetParamsMessage())
	assert.Equal(t, "google.protobuf.StringValue", d.GetReplyMessage())

	var set descriptorpb.FileDescriptorSet
	require.NoError(t, proto.Unmarshal(d.GetDescriptors(), &set))
	files, err := protodesc.NewFiles(&set)
	require.NoError(t, err)
	_, err = files.FindDescriptorByName("google.protobuf.Type")
	require.NoError(t, err)
	_, err = files.FindDescriptorByName("google.protobuf.SourceContext") // imported
	require.NoError(t, err)

	for _, f := range typeNamed(t, d, "typepb.Type").GetFields() {
		if f.GetGoName() == "Oneofs" {
			assert.EqualValues(t, 3, f.GetNumber())
			assert.Equal(t, "oneofs", f.GetName())
		}
	}
}

// Messages within Go types have protobuf's JSON, too: who writes it needs their fields.
func TestDescribe_BringsWhatDescribesMessagesWithinTypes(t *testing.T) {
	type parcel struct {
		Things map[string][]*testpb.Everything
		At     *timestamppb.Timestamp
	}
	d := describe(t, rpc.JSON, func(*parcel) *weight { return nil })
	assert.Empty(t, d.GetParamsMessage())
	assert.Equal(t, "rpcfromscratch.test.Everything", typeNamed(t, d, "testpb.Everything").GetMessage())
	assert.Equal(t, "google.protobuf.Timestamp", typeNamed(t, d, "timestamppb.Timestamp").GetMessage())
	assert.Empty(t, typeNamed(t, d, "introspect_test.parcel").GetMessage())
	assert.Empty(t, typeNamed(t, d, "introspect_test.weight").GetMessage(), "in JSON it is a Go type")

	var set descriptorpb.FileDescriptorSet
	require.NoError(t, proto.Unmarshal(d.GetDescriptors(), &set))
	files, err := protodesc.NewFiles(&set)
	require.NoError(t, err)
	_, err = files.FindDescriptorByName("rpcfromscratch.test.Everything")
	require.NoError(t, err)
}

// Go hides the members of a oneof behind an interface.
func TestDescribe_TellsTheMessagesInAOneof(t *testing.T) {
	d := describe(t, rpc.JSON, func(*structpb.Value) error { return nil })
	assert.Equal(t, "google.protobuf.Struct", typeNamed(t, d, "structpb.Struct").GetMessage())
	assert.Equal(t, "google.protobuf.ListValue", typeNamed(t, d, "structpb.ListValue").GetMessage())
}

// The type of a dynamic message tells nothing.
func TestDescribe_ADynamicMessageIsNoFailure(t *testing.T) {
	d := describe(t, rpc.JSON, func(*dynamicpb.Message) error { return nil })
	assert.Empty(t, d.GetParamsMessage())
	assert.Empty(t, typeNamed(t, d, "dynamicpb.Message").GetMessage())
}

// weight is a plain type that travels as a message.
type weight struct{ Grams float64 }

func (w *weight) ToProto() proto.Message { return wrapperspb.Double(w.Grams) }

func (w *weight) FromProto(m proto.Message) error {
	w.Grams = m.(*wrapperspb.DoubleValue).GetValue()
	return nil
}

// Each codec finds its own: the fields for JSON and gob, the message for protobuf.
func TestDescribe_PlainTypesThatTravelAsMessages(t *testing.T) {
	d := describe(t, protobuf.Codec, func(*weight) (*weight, error) { return nil, nil })
	assert.Equal(t, "introspect_test.weight", d.GetMethod().GetParams())
	assert.Equal(t, "google.protobuf.DoubleValue", d.GetParamsMessage())
	assert.Equal(t, "google.protobuf.DoubleValue", d.GetReplyMessage())
	assert.NotEmpty(t, d.GetDescriptors())
	fields := typeNamed(t, d, "introspect_test.weight").GetFields()
	require.Len(t, fields, 1)
	assert.Equal(t, "Grams", fields[0].GetName())
}

// A struct that embeds a message has its methods, and is none. JSON shows the message
// as a field.
func TestDescribe_AStructThatEmbedsAMessageIsNone(t *testing.T) {
	type embeds struct {
		*typepb.Option
		Extra int
	}
	type holds struct {
		proto.Message
		Extra int
	}
	d := describe(t, rpc.JSON, func(*embeds) *holds { return nil })
	assert.Empty(t, d.GetParamsMessage())
	assert.Empty(t, d.GetReplyMessage())
	for _, typ := range d.GetTypes() {
		if strings.HasSuffix(typ.GetName(), "embeds") || strings.HasSuffix(typ.GetName(), "holds") {
			assert.Equal(t, "struct", typ.GetKind())
			assert.Empty(t, typ.GetJsonEncoding())
			require.Len(t, typ.GetFields(), 2)
			assert.False(t, typ.GetFields()[0].GetInline())
		}
	}
}
