package inventory

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/inventory/inventorypb"
)

// travelling are all types that a method takes or returns.
var travelling = []protobuf.Convertible{
	new(CheckStockRequest), new(CheckStockReply),
	new(ReserveRequest), new(ReserveReply),
	new(ReleaseRequest), new(ReleaseReply),
	new(ListRequest), new(ListReply),
	new(WatchRequest), new(Item),
}

// fill sets every field in v to something of its own. n counts them.
func fill(v reflect.Value, n *int) {
	*n++
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Int:
		v.SetInt(int64(*n))
	default:
		panic("fill does not know " + v.Kind().String())
	}
}

// A field that is added to a type and forgotten in its message would get lost.
func TestProto_EveryFieldTravels(t *testing.T) {
	for _, v := range travelling {
		t.Run(reflect.TypeOf(v).Elem().Name(), func(t *testing.T) {
			n := 0
			fill(reflect.ValueOf(v).Elem(), &n)
			data, err := protobuf.Codec.Append(nil, v)
			require.NoError(t, err)
			got := reflect.New(reflect.TypeOf(v).Elem()).Interface().(protobuf.Convertible)
			fill(reflect.ValueOf(got).Elem(), new(int)) // what was there before must go
			require.NoError(t, protobuf.Codec.Decode(data, got))
			assert.Equal(t, v, got)

			require.NoError(t, protobuf.Codec.Decode(nil, got))
			assert.Zero(t, reflect.ValueOf(got).Elem().Interface())
		})
	}
}

// Whoever knows the JSON knows the messages.
func TestProto_NamesAreThoseOfTheJSON(t *testing.T) {
	for _, v := range travelling {
		fill(reflect.ValueOf(v).Elem(), new(int))
		text, err := json.Marshal(v)
		require.NoError(t, err)
		var members map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &members))

		message := v.ToProto().ProtoReflect().Descriptor()
		assert.Equal(t, reflect.TypeOf(v).Elem().Name(), string(message.Name()))
		assert.Len(t, members, message.Fields().Len(), message.Name())
		for i := range message.Fields().Len() {
			assert.Contains(t, members, string(message.Fields().Get(i).Name()), message.Name())
		}
	}
}

// An int has 32 bits on some systems. A number that it cannot hold is an error
// there, and never another number.
func TestProto_NumbersStayWhatTheyAre(t *testing.T) {
	for _, n := range []int64{0, -1, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt64} {
		for _, into := range []struct {
			message proto.Message
			v       protobuf.Convertible
			got     func(v any) int
		}{
			{&inventorypb.CheckStockReply{Left: n}, new(CheckStockReply), func(v any) int { return v.(*CheckStockReply).Left }},
			{&inventorypb.ReserveReply{Units: n}, new(ReserveReply), func(v any) int { return v.(*ReserveReply).Units }},
			{&inventorypb.ReleaseReply{Units: n}, new(ReleaseReply), func(v any) int { return v.(*ReleaseReply).Units }},
			{&inventorypb.ReserveRequest{Lines: []*inventorypb.Line{{Quantity: n}}}, new(ReserveRequest),
				func(v any) int { return v.(*ReserveRequest).Lines[0].Quantity }},
			{&inventorypb.ListReply{Items: []*inventorypb.Item{{Left: n}}}, new(ListReply),
				func(v any) int { return v.(*ListReply).Items[0].Left }},
			{&inventorypb.ListReply{Items: []*inventorypb.Item{{Reserved: n}}}, new(ListReply),
				func(v any) int { return v.(*ListReply).Items[0].Reserved }},
		} {
			err := into.v.FromProto(into.message)
			if strconv.IntSize == 32 && int64(int32(n)) != n {
				assert.EqualError(t, err, fmt.Sprint("number out of range: ", n))
				continue
			}
			require.NoError(t, err)
			assert.EqualValues(t, n, into.got(into.v))
		}
	}
}
