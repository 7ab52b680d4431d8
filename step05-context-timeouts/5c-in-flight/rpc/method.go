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
	if err := checkFunc(v.Type()); err != nil {
		return nil, fmt.Errorf("%T %w", fn, err)
	}
	m := &method{fn: v}
	if v.Type().NumIn() > 0 {
		m.param = v.Type().In(0)
	}
	return m, nil
}

// checkFunc returns an error that says why clients cannot call a function of
// type t, or nil if they can.
func checkFunc(t reflect.Type) error {
	switch in, out := t.NumIn(), t.NumOut(); {
	case in > 1 || t.IsVariadic():
		return errors.New("has too many parameters: want at most one, such as a struct")
	case out > 2:
		return errors.New("has too many results: want a result and an error")
	case out == 2 && t.Out(1) != errorType:
		return fmt.Errorf("has %v as second result: want error", t.Out(1))
	case in == 1 && !isData(t.In(0)):
		return fmt.Errorf("has a parameter of type %v, which cannot be sent", t.In(0))
	case out > 0 && !isData(t.Out(0)) && (out == 2 || t.Out(0) != errorType):
		return fmt.Errorf("has a result of type %v, which cannot be sent", t.Out(0))
	}
	return nil
}

var errorType = reflect.TypeFor[error]()

// isData reports whether values of type t can be sent. Nothing can be decoded into
// an interface with methods, since JSON does not say which type to make.
func isData(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Chan, reflect.Func:
		return false
	case reflect.Interface:
		return t.NumMethod() == 0
	}
	return true
}

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
