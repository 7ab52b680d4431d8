package check

import (
	"cmp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Why returns, by name, what went wrong with each test that failed. Of the test called
// explained the learner has seen already where its goroutines were: its hints leave that
// out.
func (r *Report) Why(explained string) map[string]progress.Why {
	why := map[string]progress.Why{}
	for _, result := range r.Results {
		if result.Status.failed() {
			text, hints := []rune(cause(result)), r.hints(result)
			if result.Test.Name == explained {
				hints = slices.DeleteFunc(hints, func(h string) bool { return h == whatIsThere(result) })
			}
			file, _, _ := strings.Cut(guilty(result), ":")
			why[result.Test.Name] = progress.Why{
				Cause: string(text[:min(len(text), maxCause)]),
				Case:  failingCase(result),
				How:   how(result),
				Hints: hints,
				File:  file,
			}
		}
	}
	return why
}

// failingCase returns the first subtest that failed, or else the one that panicked,
// with its blanks; "" if none did.
func failingCase(r Result) string { return strings.ReplaceAll(cmp.Or(r.main().Test, r.Case), "_", " ") }

// how is the same for failures that one climb of hints is about.
func how(r Result) string {
	if r.Stub != nil {
		return r.Stub.String()
	}
	return string(r.Status)
}
