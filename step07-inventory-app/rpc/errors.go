package rpc

import "fmt"

// A Code says what kind of failure an Error is, for programs: a text is for
// people, and may change. The names are those of gRPC.
type Code string

// The codes of the shop. An Error without a code is one that the caller can do
// nothing about.
const (
	NotFound           Code = "not_found"           // what the request names does not exist
	FailedPrecondition Code = "failed_precondition" // the state of things does not allow it
	InvalidArgument    Code = "invalid_argument"    // the request makes no sense in any state
)

// Error makes a Code a target for errors.Is.
func (c Code) Error() string { return string(c) }

// An Error is a failure that the server reported: the request arrived, and this
// is the answer. Any other error of a call means that there was no answer, or
// none that could be used.
//
// A method returns an Error to give the caller a code that errors.Is finds:
//
//	errors.Is(err, rpc.NotFound)
type Error struct {
	Code    Code   // empty: none was given
	Message string // what the server said, never empty
}

// Errorf returns an *Error with a code and a text made as by fmt.Sprintf.
func Errorf(code Code, format string, args ...any) error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return e.Message }

// Is reports whether target is the error's code.
func (e *Error) Is(target error) bool { return e.Code != "" && target == e.Code }
