package rpc

import (
	"encoding/json"
	"reflect"
)

// unmarshalNew is json.Unmarshal into a new variable, which then takes the place
// of what v points to. json.Unmarshal alone would keep the fields and the map
// entries of *v that the JSON does not name, and change half of *v on an error.
// A type with its own UnmarshalJSON has to clear its old value itself.
func unmarshalNew(data []byte, v any) error {
	pointer := reflect.ValueOf(v)
	_, itself := v.(json.Unmarshaler)
	if itself || pointer.Kind() != reflect.Pointer || pointer.IsNil() {
		return json.Unmarshal(data, v) // if v is not a pointer, json.Unmarshal says so
	}
	fresh := reflect.New(pointer.Type().Elem())
	if err := json.Unmarshal(data, fresh.Interface()); err != nil {
		return err
	}
	pointer.Elem().Set(fresh.Elem())
	return nil
}
