package wire

import "fmt"

// Error is what is wrong with a message. The parsers return no other type of error;
// [ReadHello] also returns those of the reader that it is given.
type Error struct {
	// For the peer: "protocol: truncated request 1".
	Code Code
	Text string

	// For those who write an implementation: where in the message the fault is, and more
	// exactly what, such as "method of 9 bytes, but only 3 are left".
	Offset int
	Detail string
}

func (e *Error) Error() string { return e.Text }

// malformed is the error of a peer that does not keep to the protocol.
func malformed(offset int, format string, args ...any) *Error {
	detail := fmt.Sprintf(format, args...)
	return &Error{Code: InvalidArgument, Text: "protocol: " + detail, Offset: offset, Detail: detail}
}

// tooLarge is the error of a message above a limit.
func tooLarge(format string, args ...any) *Error {
	text := fmt.Sprintf(format, args...)
	return &Error{Code: ResourceExhausted, Text: text, Detail: text}
}
