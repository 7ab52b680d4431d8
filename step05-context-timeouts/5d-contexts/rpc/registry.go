package rpc

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// A Service is a set of functions that clients call by name. Fill it, then give
// it to Server.RegisterService; it is not for concurrent use.
type Service struct {
	name    string
	methods map[string]*method // by full name: "SERVICE.METHOD"
}

// NewService returns a service without methods.
func NewService(name string) *Service {
	return &Service{name, make(map[string]*method)}
}

// Register adds fn to the service under the name of method. It may take a
// context, a parameter or both, and may return a result, an error or both:
//
//	func(context.Context, P) (R, error)
//
// The context ends with the connection, and when the server closes.
//
// The error says what is wrong with fn or its name, and what would be right.
func (s *Service) Register(method string, fn any) error {
	m, err := newMethod(fn)
	full := s.name + "." + method
	switch {
	case s.name == "" || method == "" || strings.Contains(method, "."):
		err = errors.New("want a service name, and a method name without dots")
	case s.methods[full] != nil:
		err = errTaken
	}
	if err != nil {
		return fmt.Errorf("rpc: register %q: %w", full, err)
	}
	s.methods[full] = m
	return nil
}

var errTaken = errors.New("name is already registered: give each function a name of its own")

// registerMethods adds the suitable methods of receiver.
func (s *Service) registerMethods(receiver any) error {
	names := suitableMethods(reflect.ValueOf(receiver))
	for _, name := range names {
		if err := s.Register(name, reflect.ValueOf(receiver).MethodByName(name).Interface()); err != nil {
			return err
		}
	}
	if len(names) > 0 {
		return nil
	}
	hint := "want an exported method with a parameter and a result"
	if t := reflect.TypeOf(receiver); t != nil && len(suitableMethods(reflect.New(t))) > 0 {
		hint = "pass a pointer to it, which has one"
	}
	return fmt.Errorf("rpc: register %q: %T has no suitable method: %s", s.name, receiver, hint)
}

// suitableMethods returns the names of the methods of v that Server.Register
// publishes. They have a parameter and a result, and are not promoted: the methods
// of an embedded field are not meant for the network.
func suitableMethods(v reflect.Value) []string {
	var names []string
	for i := 0; v.IsValid() && i < v.NumMethod(); i++ {
		t, name := v.Method(i).Type(), v.Type().Method(i).Name
		if checkFunc(t) == nil && t.NumIn() > 0 && t.NumOut() > 0 && !isPromoted(v.Type(), name) {
			names = append(names, name)
		}
	}
	return names
}

// isPromoted reports whether t, or what t points to, is a struct with an embedded
// field that has a method of that name.
func isPromoted(t reflect.Type, method string) bool {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	for i := 0; t.Kind() == reflect.Struct && i < t.NumField(); i++ {
		f := t.Field(i)
		_, ok := f.Type.MethodByName(method)
		_, okPointer := reflect.PointerTo(f.Type).MethodByName(method)
		if f.Anonymous && (ok || okPointer) {
			return true
		}
	}
	return false
}
