package rpc

import (
	"errors"
	"fmt"
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

// Register adds fn to the service under the name of method. fn may take a
// parameter, and may return a result, an error or both:
//
//	func(P) (R, error)
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
