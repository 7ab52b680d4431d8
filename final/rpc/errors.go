package rpc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Code says what kind of failure an [Error] is. Names and numbers are gRPC's
// (https://grpc.github.io/grpc/core/md_doc_statuscodes.html), so that they mean
// what they mean elsewhere. A Code is itself an error: handlers may return one
// bare, and errors.Is(err, rpc.NotFound) asks for one.
type Code uint8

// The codes. Canceled and DeadlineExceeded also match context.Canceled and
// context.DeadlineExceeded under errors.Is.
const (
	OK                 Code = iota // never the code of an Error
	Canceled                       // the caller no longer wants the result
	Unknown                        // a handler's error that carries no code
	InvalidArgument                // the request is wrong, whatever the state of the server
	DeadlineExceeded               // the time was up
	NotFound                       // what was asked for does not exist
	AlreadyExists                  // what was to be made exists
	PermissionDenied               // the caller is known and may not
	ResourceExhausted              // a limit: message size, calls in flight, rate
	FailedPrecondition             // the server's state forbids it until someone changes that
	Aborted                        // a conflict; the whole operation may be tried again
	OutOfRange                     // past the end
	Unimplemented                  // no such method
	Internal                       // a bug: a panic, a result that cannot be encoded
	Unavailable                    // no connection, or a server that is going away; try again
	DataLoss                       // what was stored is gone
	Unauthenticated                // the caller is not known
	lastCode           = Unauthenticated
)

var codeNames = [...]string{
	"ok", "canceled", "unknown", "invalid_argument", "deadline_exceeded", "not_found",
	"already_exists", "permission_denied", "resource_exhausted", "failed_precondition",
	"aborted", "out_of_range", "unimplemented", "internal", "unavailable", "data_loss",
	"unauthenticated",
}

// String returns the code's name in lower case: "not_found".
func (c Code) String() string {
	if int(c) < len(codeNames) {
		return codeNames[c]
	}
	return fmt.Sprintf("code(%d)", uint8(c))
}

// Error makes a Code an error.
func (c Code) Error() string { return c.String() }

// Sentinel errors. They are found by errors.Is in what Serve and Call return.
var (
	// ErrServerClosed is returned by Serve after Shutdown or Close.
	ErrServerClosed = errors.New("rpc: server closed")
	// ErrClientClosed is in the error of every call after Close of a Client or Pool.
	ErrClientClosed = errors.New("rpc: client closed")
)

// Error is what Call returns for every failure and what a handler returns to
// choose the code that its caller sees. It is immutable once returned.
type Error struct {
	Code    Code
	Message string            // one line of UTF-8
	Details map[string]string // more for programs, may be nil; travels with the error

	remote   bool  // the peer sent it
	neverRan bool  // the handler was certainly not started
	cause    error // for Unwrap; does not travel
}

// Errorf returns an Error with a formatted message. What %w wraps is found by
// errors.Is on this side of the wire only.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), cause: errors.Unwrap(err)}
}

// Error reads "not_found: unknown item" for an error that the peer sent, and
// "rpc: unavailable: connection refused" for one that was made on this side.
func (e *Error) Error() string {
	text := e.Code.String()
	if e.Message != "" {
		text += ": " + e.Message
	}
	if !e.remote {
		text = "rpc: " + text
	}
	return text
}

// Unwrap returns the local cause, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// Is matches a Code, and context's errors by theirs.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.Code == Canceled
	case context.DeadlineExceeded:
		return e.Code == DeadlineExceeded
	}
	code, ok := target.(Code)
	return ok && code == e.Code
}

// Remote reports whether the peer sent this error, rather than this side
// having made it (no connection, deadline passed, a value that cannot be encoded).
func (e *Error) Remote() bool { return e.remote }

// NeverRan reports whether the call that failed with err was certainly not
// started by any server, so that repeating it cannot do anything twice.
func NeverRan(err error) bool {
	if err == nil {
		return false // without the allocation that e costs
	}
	var e *Error
	return errors.As(err, &e) && e.neverRan
}

// RetryAfterDetail is the key in [Error.Details] under which a server says in how
// many milliseconds the call may succeed, as a decimal number: "1500". It goes
// with ResourceExhausted and Unavailable.
const RetryAfterDetail = "retry-after-ms"

// longestPause is as good as never, and leaves room to add to it.
const longestPause = 100 * 365 * 24 * time.Hour

// RetryAfter returns how long the server asks to wait before the call that
// failed with err is made again. It returns false if the server does not say.
func RetryAfter(err error) (time.Duration, bool) {
	if err == nil {
		return 0, false // without the allocation that e costs
	}
	var e *Error
	if !errors.As(err, &e) || e == nil {
		return 0, false
	}
	text := e.Details[RetryAfterDetail]
	ms, err := strconv.ParseUint(text, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(min(ms, uint64(longestPause/time.Millisecond))) * time.Millisecond, true
}

// CodeOf returns the code that err carries: OK for nil, that of an Error or a
// Code anywhere in its chain, Canceled and DeadlineExceeded for context's
// errors, else Unknown.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	return toError(err).Code
}

// toError finds the Error in what a handler or an interceptor returned, or makes one.
func toError(err error) *Error {
	var e *Error
	if errors.As(err, &e) && e != nil {
		return e
	}
	var code Code
	switch {
	case errors.As(err, &code) && code != OK:
	case errors.Is(err, context.Canceled):
		code = Canceled
	case errors.Is(err, context.DeadlineExceeded):
		code = DeadlineExceeded
	default:
		code = Unknown
	}
	text := err.Error()
	if text == "" {
		text = "unknown error"
	}
	return &Error{Code: code, Message: text, cause: err}
}

// clone returns a copy to mark: an error of a user's may be shared.
func (e *Error) clone() *Error {
	c := *e
	return &c
}

// unrun marks an error of this side: the call was never started.
func unrun(e *Error) *Error {
	e.neverRan = true
	return e
}

// ran returns err without the mark of a call that was never started. A handler
// may pass on the error of a call of its own, but has itself run.
func ran(err error) error {
	if !NeverRan(err) {
		return err
	}
	e := toError(err).clone()
	e.neverRan = false
	return e
}

// cleanText makes text safe to send, print and log: valid UTF-8 without control
// characters (a newline in an error text forges lines in a log), at most limit bytes.
func cleanText(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] // may cut a rune; ToValidUTF8 mends that
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "")
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, text)
}
