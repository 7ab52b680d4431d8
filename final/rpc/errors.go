package rpc

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
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

// String returns the code's name in lower case: "not_found".
func (c Code) String() string {
	if known := wire.Code(c); known.Known() {
		return known.String()
	}
	return fmt.Sprintf("code(%d)", uint8(c))
}

// Error makes a Code an error.
func (c Code) Error() string { return c.String() }

// Sentinel errors. They are found by errors.Is in what Serve and Call return.
var (
	// ErrServerClosed is returned by Serve after Shutdown or Close.
	ErrServerClosed = errors.New("rpc: server closed")
	// ErrClientClosed is in the error of every call after Close of a Client or
	// Pool. The error's code is Canceled.
	ErrClientClosed = errors.New("rpc: client closed")
)

// Error is what Call returns for every failure. A handler returns one to choose
// the code that its caller sees. It must not be changed once it is returned.
//
// Of any other error the caller gets the code (see [CodeOf]) and the whole
// text, so it must hold no secrets. If it wraps an Error, the caller gets that
// one alone: use [Errorf] to add text. The error of a handler's own call may be
// returned: its code, message and details go on to the caller, but not that it
// never ran.
type Error struct {
	Code    Code
	Message string // one line of UTF-8, at most 4096 bytes, once it has travelled

	// Details are more for programs; nil if there are none. Once they have
	// travelled, keys and values are one line of UTF-8, as Message is. They
	// travel with the error if together, with four bytes more for each pair,
	// they take at most 16 KiB, and leave room for the message in what the
	// client reads (see [WithMaxMessage]). Else all of them are left out: Code
	// and Message arrive without Details.
	Details map[string]string

	remote   bool  // the peer sent it
	neverRan bool  // the handler was certainly not started
	handed   bool  // to Write: it counts as an attempt, even if it never ran
	unpaid   bool  // sending the call again costs nothing: see [WithRetryBudget]
	cause    error // for Unwrap; does not travel
}

// Errorf returns an Error with a formatted message. errors.Is and errors.As
// find what %w wraps on this side of the wire; only code and text travel. With
// OK as its code, the Error counts as Unknown.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	cause := errors.Unwrap(err)
	if _, several := err.(interface{ Unwrap() []error }); several {
		cause = err
	}
	return &Error{Code: code, Message: withoutPrefix(err.Error(), cause), cause: cause}
}

// withoutPrefix returns text without the prefix "rpc: " of what it wraps: the Error that
// it becomes the message of begins with that already.
func withoutPrefix(text string, cause error) string {
	if joined, ok := cause.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			text = withoutPrefix(text, one)
		}
		return text
	}
	e, ok := cause.(*Error)
	if ok && e != nil || cause == ErrClientClosed || cause == ErrServerClosed || cause == errNotMade { // no user's, which may panic
		own := cause.Error()
		return strings.Replace(text, own, strings.TrimPrefix(own, prefix), 1)
	}
	return text
}

// prefix begins the texts of errors of this side.
const prefix = "rpc: "

// because returns an Error that says what went wrong, and why. The text of err gives up
// its prefix and its code, since the Error has its own.
func because(code Code, what string, err error) *Error {
	text := err.Error()
	if e, ok := err.(*Error); ok && e != nil {
		text = e.Message
	}
	return &Error{Code: code, Message: what + strings.TrimPrefix(text, prefix), cause: err}
}

// aboutPeer returns err with the peer's address, which may be a user's type, before its
// text, for callbacks.
func aboutPeer(addr net.Addr, err error) error {
	return &peerError{text: fmt.Sprintf("%s%v: %s", prefix, addr, strings.TrimPrefix(err.Error(), prefix)), err: err}
}

type peerError struct {
	text string
	err  error
}

func (e *peerError) Error() string { return e.text }
func (e *peerError) Unwrap() error { return e.err }

// WithDetail returns a copy of e with one more pair in its Details. It keeps the
// cause:
//
//	return rpc.Errorf(rpc.NotFound, "item %s: %w", id, err).WithDetail("item", id)
//
// A detail whose key e has already is replaced. Details above 16 KiB do not
// travel: see [Error]. e may be nil, as in all its methods: the copy then is an
// Internal error.
func (e *Error) WithDetail(key, value string) *Error {
	more := &Error{Code: Internal, Message: "a nil *rpc.Error"}
	if e != nil {
		more = e.clone()
	}
	more.Details = maps.Clone(more.Details)
	if more.Details == nil {
		more.Details = map[string]string{}
	}
	more.Details[key] = value
	return more
}

// code returns e's code. An error whose code is OK, or none of those above, is
// a mistake in a user's code, and must not count as success.
func (e *Error) code() Code {
	switch {
	case e == nil:
		return Internal
	case e.Code == OK || e.Code > lastCode:
		return Unknown
	}
	return e.Code
}

// Error reads "not_found: unknown item" for an error that the peer sent, and
// "rpc: unavailable: connection refused" for one that was made on this side.
func (e *Error) Error() string {
	if e == nil {
		return prefix + Internal.String() + ": a nil *rpc.Error"
	}
	text := e.code().String()
	if e.Message != "" {
		text += ": " + e.Message
	}
	if !e.remote {
		text = prefix + text
	}
	return text
}

// Unwrap returns the local cause, if there is one.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.cause
}

// Is reports whether target is e's Code, or the error of package context that
// belongs to it.
func (e *Error) Is(target error) bool {
	switch {
	case e == nil:
		return false
	case target == context.Canceled:
		return e.Code == Canceled
	case target == context.DeadlineExceeded:
		return e.Code == DeadlineExceeded
	}
	code, ok := target.(Code)
	return ok && code == e.code()
}

// Remote reports whether the peer sent this error. Other errors were made on
// this side: no connection, a deadline that passed, a value that cannot be
// encoded.
func (e *Error) Remote() bool { return e != nil && e.remote }

// NeverRan reports whether no server has started the call that failed with
// err, so that repeating it cannot do anything twice. It is false for nil, and
// when that is not known. Two examples: the server refused the call, or the
// connection was lost before the whole request was written.
func NeverRan(err error) bool {
	if err == nil {
		return false // without the allocation that e costs
	}
	return toError(err).neverRan
}

// RetryAfterDetail is the key in [Error.Details] for the pause that a server
// asks for, in milliseconds, as a decimal number: "1500". It goes with
// ResourceExhausted and Unavailable; with other codes the client does not wait.
// A server asks by
//
//	Errorf(Unavailable, "busy").WithDetail(RetryAfterDetail, "1500")
const RetryAfterDetail = "retry-after-ms"

// longestPause is as good as never, and leaves room to add to it.
const longestPause = 100 * 365 * 24 * time.Hour

// RetryAfter returns the pause that the server asks for before the call that
// failed with err is made again. It returns false if the server asks for none,
// or if what it sent is no decimal number.
func RetryAfter(err error) (time.Duration, bool) {
	if err == nil {
		return 0, false // without the allocation that e costs
	}
	text := toError(err).Details[RetryAfterDetail]
	ms, err := strconv.ParseUint(text, 10, 64)
	if err != nil && !causes.Is(err, strconv.ErrRange) {
		return 0, false
	}
	return time.Duration(min(ms, uint64(longestPause/time.Millisecond))) * time.Millisecond, true
}

// CodeOf returns the code of err: OK for nil, that of an Error or a Code
// anywhere in its chain, Canceled and DeadlineExceeded for the errors of
// package context, else Unknown. Only nil is OK: an Error without a code, and
// OK itself as an error, are Unknown. A nil *Error in an error, and an error
// whose methods panic, are Internal.
func CodeOf(err error) Code {
	if err == nil {
		return OK
	}
	return toError(err).Code
}

// toError finds the Error in what user code returned, or makes one. Its code is
// never OK. It does not panic, even if the methods of a user's error type do.
func toError(err error) *Error {
	e, _ := readError(err)
	return e
}

// A readPanic is what a method of a user's error type panicked with.
type readPanic struct {
	value any
	stack []byte
}

// readError is toError. It also returns the panic of a method of err.
func readError(err error) (e *Error, p *readPanic) {
	if e, ok := err.(*Error); ok && e != nil && e.code() == e.Code {
		return e, nil // without what follows, which allocates
	}
	defer func() {
		if v := recover(); v != nil {
			e = &Error{Code: Internal, Message: fmt.Sprintf("an error of type %T cannot be read: one of its methods panicked", err)}
			p = &readPanic{v, debug.Stack()}
		}
	}()
	if causes.MustAs(err, &e) {
		return e.checked(), nil
	}
	e = &Error{Code: codeIn(err), Message: textOf(err), cause: err}
	if causes.Endless(err) {
		e.cause = nil
	}
	return e, nil
}

// checked returns e, or another Error to return if e is nil or its code is none.
func (e *Error) checked() *Error {
	if e == nil {
		return &Error{Code: Internal, Message: "a nil *rpc.Error was returned as an error: return nil"}
	}
	if e.code() == e.Code {
		return e
	}
	c := e.clone()
	c.Code = e.code()
	return c
}

// codeIn returns the code of an error that has no Error in its chain.
func codeIn(err error) Code {
	var code Code
	switch {
	case causes.MustAs(err, &code) && code != OK && code <= lastCode:
		return code
	case causes.MustIs(err, errAny): // its Is returns true for any target
		return Unknown
	case causes.MustIs(err, context.Canceled):
		return Canceled
	case causes.MustIs(err, context.DeadlineExceeded):
		return DeadlineExceeded
	}
	return Unknown
}

// textOf returns the message for an error that has no Error in its chain.
func textOf(err error) string {
	if err == error(OK) {
		return "ok was returned as an error: return nil"
	}
	if text := err.Error(); text != "" {
		return text
	}
	return "unknown error"
}

// soundError returns err if it is nil or safe to use: its code is not OK, none of its
// methods panics, and its chain has an end. Otherwise it returns another Error, and
// the panic, if there was one.
func soundError(err error) (*readPanic, error) {
	if err == nil {
		return nil, nil
	}
	e, p := readError(err)
	switch {
	case p != nil || err == error(OK):
		return p, e
	case causes.Endless(err), !tellsItself(err):
		e = e.clone()
		e.cause = nil
		if causes.Any(err, hides) { // else nobody finds out that the text is not to be shown
			e.Message = hiddenText(err)
		}
		return nil, e
	case err == error(e):
		return nil, err
	}
	if found, ok := causes.Find[*Error](err); ok && found != e {
		return nil, e
	}
	return nil, err
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

// plainError returns err, or an error with its text alone if errors.Is and errors.As cannot
// be trusted with it: see tellsItself.
func plainError(err error) error {
	_, err = soundError(err)
	if !tellsItself(err) {
		return errors.New(err.Error())
	}
	return err
}

// errAny is wrapped by no error. An Is method that returns true for it returns true for any
// target, and tells nothing.
var errAny = errors.New("any error")

// tellsItself reports whether the methods Is, As and Timeout of a user's error can be
// trusted: they do not panic, and do not match everything.
func tellsItself(err error) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if timeout := net.Error(nil); causes.MustAs(err, &timeout) {
		timeout.Timeout()
	}
	var none *neverError
	return !causes.MustAs(err, &none) && !causes.MustIs(err, errAny)
}

// neverError is a type that no error has. An As method that finds one finds everything.
type neverError struct{ error }

// ran returns err without the mark neverRan. A handler may return the error of a call of its
// own, which never ran; the handler itself has run.
func ran(err error) error {
	if !NeverRan(err) {
		return err
	}
	e := toError(err).clone()
	e.neverRan = false
	return e
}

// onOneLine returns err with its message as it travels: it may hold what a peer has
// sent, and be logged.
func onOneLine(err error) error {
	e, ok := err.(*Error)
	if !ok {
		return err
	}
	text := cleanText(e.Message, wire.MaxErrorText)
	if text == e.Message {
		return err
	}
	e = e.clone()
	e.Message = text
	return e
}

// cleanBytes is cleanText for what a peer has sent: it copies no more than limit.
func cleanBytes(text []byte, limit int) string {
	return cleanText(string(text[:min(len(text), limit)]), limit)
}

// cleanText makes text safe to send, print and log: valid UTF-8 without control
// characters (a newline in an error text forges lines in a log) and marks of
// direction, at most limit bytes.
func cleanText(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit] // may cut a rune; ToValidUTF8 fixes that
	}
	if !utf8.ValidString(text) {
		text = strings.ToValidUTF8(text, "")
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return ' ' // it turns around what stands after it
		}
		return r
	}, text)
}
