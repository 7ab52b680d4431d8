package check

import (
	"slices"
	"strings"
)

// advice is the hint that a test's status gives, whatever the test is about; ""
// if it gives none.
func advice(r Result) string {
	switch {
	case r.Spins != "":
		return "Accept fails each time, as it does once the listener is closed, and the loop at " + r.Spins + " goes on. It has to return the error."
	case r.Status == Hung && slices.ContainsFunc(r.Stacks, Goroutine.waitsForLock):
		return "A goroutine holds this lock and never gives it back. Look for a return without Unlock, or for a wait while the lock is held."
	case r.Status == Raced:
		return "Both lines use the same variable. Which lock guards it, and which of the two does not take it?"
	case r.Status == Deadlocked && leaks(r.Panic) && len(r.Failures) == 0: // else the leak comes of the failure, and is not shown
		return "The answers may be right. What stays behind is shown above: who should have closed its connection, or its listener?"
	}
	return ""
}

// leaks reports whether a bubble's test ended and a goroutine of it did not.
func leaks(panic string) bool { return strings.Contains(panic, "blocked goroutines remain") }
