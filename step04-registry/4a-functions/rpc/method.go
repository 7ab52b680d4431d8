package rpc

import (
	"errors"
	"fmt"
	"reflect"
)

// A method is a function whose type was checked once, not at each call.
type method struct {
	fn    reflect.Value
	param reflect.Type // the type of the function's parameter; nil if it has none
}

func newMethod(fn any) (*method, error) {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func || v.IsNil() {
		return nil, fmt.Errorf("%T is nil or not a function: want func(P) (R, error)", fn)
	}
	m := &method{fn: v}
	if v.Type().NumIn() > 0 {
		m.param = v.Type().In(0)
	}
	return m, nil
}

var errorType = reflect.TypeFor[error]()

// errNoParams is what decode returns for a request without params.
var errNoParams = errors.New("missing")

// call calls the function. The params are decoded into a new value of the
// function's own parameter type: ints stay ints, and structs are structs.
func (m *method) call(decode func(any) error) (result any, err error) {
	var args []reflect.Value
	if m.param == nil {
		if err := decode(&struct{}{}); err != nil && err != errNoParams {
			return nil, fmt.Errorf("invalid params: %w", err)
		}
	} else {
		param := reflect.New(m.param)
		if err := decode(param.Interface()); err != nil {
			return nil, fmt.Errorf("invalid params: %w", err)
		}
		args = append(args, param.Elem())
	}
	return results(m.fn.Call(args))
}

// results sorts out what a function returned: nothing, R, error or (R, error).
func results(out []reflect.Value) (result any, err error) {
	if n := len(out); n > 0 && out[n-1].Type() == errorType {
		err, _ = out[n-1].Interface().(error)
		out = out[:n-1]
	}
	if len(out) > 0 {
		result = out[0].Interface()
	}
	return result, err
}
