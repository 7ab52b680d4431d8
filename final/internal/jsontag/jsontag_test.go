package jsontag

import (
	"cmp"
	"encoding/json"
	"reflect"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encoding/json itself says what is right.
func TestOf_NamesAreThoseOfEncodingJSON(t *testing.T) {
	names := []string{"", "-", "a", "a b", " ", "é", "世", "٣", "it's", `a\b`, `q"x`, "`", "x;y", "a\tb", "a\u2028", "€", "!#$%&()*+-./:<=>?@[]^_{|}~"}
	for _, options := range []string{"", ",", ",omitempty", ",string", ",omitzero,string"} {
		for _, name := range names {
			f := reflect.StructField{Name: "F", Type: reflect.TypeFor[int](), Tag: reflect.StructTag("json:" + strconv.Quote(name+options))}
			v := reflect.New(reflect.StructOf([]reflect.StructField{f})).Elem()
			v.Field(0).SetInt(1)
			data, err := json.Marshal(v.Interface())
			require.NoError(t, err)
			var got map[string]any
			require.NoError(t, json.Unmarshal(data, &got))

			tag := Of(f)
			want := map[string]any{}
			if !tag.Skip {
				value := any(1.0)
				if tag.Quoted {
					value = "1"
				}
				want[cmp.Or(tag.Name, "F")] = value
			}
			assert.Equal(t, got, want, "%s", f.Tag)
		}
	}
}

func TestOf_OptionsAreThoseOfEncodingJSON(t *testing.T) {
	type named *int
	for _, zero := range []any{
		"", 0, uint8(0), 1.5, true, uintptr(1), new(int), new(string), named(new(int)), pointer(new(int)), []int{}, [1]int{}, map[string]int{}, struct{}{}, []byte("x"), json.Number("1"),
	} {
		f := reflect.StructField{Name: "F", Type: reflect.TypeOf(zero), Tag: `json:",string"`}
		v := reflect.New(reflect.StructOf([]reflect.StructField{f})).Elem()
		v.Field(0).Set(reflect.ValueOf(zero))
		plain, err := json.Marshal(map[string]any{"F": zero})
		require.NoError(t, err)
		quoted, err := json.Marshal(v.Interface())
		require.NoError(t, err)
		assert.Equal(t, string(plain) != string(quoted), Of(f).Quoted, "%T", zero)
	}
	f := reflect.StructField{Name: "F", Type: reflect.TypeFor[int](), Tag: `json:"x,omitempty,omitzero"`}
	assert.Equal(t, Tag{Name: "x", OmitEmpty: true, OmitZero: true}, Of(f))
	assert.Equal(t, Tag{}, Of(reflect.StructField{Name: "F", Type: reflect.TypeFor[int]()}))
}

func pointer[T any](v T) *T { return &v }
