package check

import (
	"strings"

	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Why returns, by name, what went wrong with each test that failed.
func (r *Report) Why() map[string]progress.Why {
	why := map[string]progress.Why{}
	for _, result := range r.Results {
		if result.Status.failed() {
			text := []rune(cause(result))
			why[result.Test.Name] = progress.Why{Cause: string(text[:min(len(text), maxCause)]), Case: failingCase(result)}
		}
	}
	return why
}

// failingCase returns the first subtest that failed, with its blanks; "" if none did.
func failingCase(r Result) string { return strings.ReplaceAll(r.main().Test, "_", " ") }
