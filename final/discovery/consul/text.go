package consul

import (
	"fmt"
	"strings"

	"example.com/rpc-from-scratch/final/internal/plaintext"
)

// maxText bounds an error's text, in bytes, before what is not safe in it is escaped.
// An agent can answer with a text of any size.
const maxText = 4 << 10

// agentError is an error with an agent's words in it, on one line that is safe to print
// and to log.
type agentError struct {
	text  string
	cause error
}

// agentErrorf is [fmt.Errorf] for errors that may hold what an agent has said.
func agentErrorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	text := err.Error()
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "…"
	}
	return &agentError{plaintext.Line(text), err}
}

func (e *agentError) Error() string { return e.text }

// Unwrap returns the error as it was, whose own text is the agent's.
func (e *agentError) Unwrap() error { return e.cause }
