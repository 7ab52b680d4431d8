package check

import "strings"

// advice is the hint that a test's status gives, whatever the test is about; ""
// if it gives none.
func advice(r Result) string {
	switch {
	case r.Status == Hung && waitsForLock(r.Stacks):
		return "Somebody holds this lock and never gives it back: look for a way out without Unlock, or for a wait with the lock held."
	case r.Status == Raced:
		return "Both lines use the same variable. Which lock guards it, and which of the two does not take it?"
	case r.Status == Deadlocked && leaks(r.Panic) && len(r.Failures) == 0: // else the leak comes of the failure, and is not shown
		return "The answers may be right. What stays behind is shown above: who should have closed its connection, or its listener?"
	}
	return ""
}

// waitsForLock reports whether a goroutine that is shown as stuck waits for a
// sync.Mutex or a sync.RWMutex.
func waitsForLock(all []Goroutine) bool {
	shown := stuck(all)
	for _, g := range shown[:min(len(shown), maxStacks)] {
		if strings.HasPrefix(g.State, "sync.Mutex.") || strings.HasPrefix(g.State, "sync.RWMutex.") {
			return true
		}
	}
	return false
}

// leaks reports whether a bubble's test ended and a goroutine of it did not.
func leaks(panic string) bool { return strings.Contains(panic, "blocked goroutines remain") }
