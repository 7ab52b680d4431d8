package rpccmd

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

// hinted is an error with a line on what might help.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func hint(err error, format string, args ...any) error {
	return &hinted{err, fmt.Sprintf(format, args...)}
}

// report prints err as "rpc: not_found: unknown item: item9", the details that
// came with it and what might help, and returns the exit code.
func report(w io.Writer, cmd *cobra.Command, err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(w, "rpc: %s\n", errorText(err))
	var coded *rpc.Error
	if errors.As(err, &coded) {
		for _, key := range slices.Sorted(maps.Keys(coded.Details)) {
			plaintext.Fprintf(w, "  %s: %s\n", key, coded.Details[key])
		}
	}
	var help *hinted
	if errors.As(err, &help) {
		plaintext.Fprintf(w, "  %s\n", help.hint)
	}
	if isUsage(err) {
		fmt.Fprintf(w, "Run '%s -h' for usage.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

// errorText is err on one line, since a server's words may be in it. Only what
// cobra says has more lines, and is the user's own.
func errorText(err error) string {
	text := strings.TrimPrefix(err.Error(), "rpc: ")
	if isOurs(err) {
		return plaintext.Line(text)
	}
	return plaintext.Lines(text)
}

// isUsage reports whether the command line is to blame. What cobra itself says
// (an unknown command) has no code and no type.
func isUsage(err error) bool {
	var usage *usageError
	return errors.As(err, &usage) || !isOurs(err)
}

// isOurs reports whether err is not cobra's.
func isOurs(err error) bool {
	var usage *usageError
	var failed *rpc.Error
	var local *localError
	return errors.As(err, &usage) || errors.As(err, &failed) || errors.As(err, &local)
}

// localError is a failure that no call brought about.
type localError struct{ error }

func (e *localError) Unwrap() error { return e.error }

func failf(format string, args ...any) error {
	return &localError{fmt.Errorf(format, args...)}
}
