package check

import (
	"cmp"
	"slices"
	"strings"
)

// advice is the hint that a test's end gives, whatever the test is about; "" if it
// gives none. If instead is true, the test's own hints do not apply: they are about
// what it checks, and it did not get that far.
func advice(r Result) (text string, instead bool) {
	switch {
	case r.Stub != nil && r.Next != "" && r.Next != r.Stub.Name:
		return "The next piece of the lesson is " + r.Next + ". The test got as far as " + r.Stub.what() + ", which is still a stub.", true
	case r.Stub != nil:
		return "Write " + r.Stub.what() + " first: the test got no further.", true
	case r.Spins != "":
		return "Accept fails each time, as it does once the listener is closed, and the loop at " + r.Spins + " goes on. It has to return the error.", true
	case r.Stacks != nil && r.Status != Panicked && stuck(r.Stacks)[0].Panic != "":
		return "The panic is what is wrong. " + cmp.Or(panicAdvice(stuck(r.Stacks)[0].Panic), "Its text appears when no deferred call waits."), true
	case r.Status == Hung && slices.ContainsFunc(r.Stacks, Goroutine.waitsForLock):
		return "A goroutine holds this lock and never gives it back. Look for a return without Unlock, or for a wait while the lock is held.", true
	case r.Status == Deadlocked && !r.found() || r.Status == Hung:
		if text := waitGroupAdvice(r.Stacks); text != "" {
			return text, true
		}
	case r.Status == Raced:
		return "Both lines use the same variable. Which lock guards it, and which of the two does not take it?", true
	case r.Status == Panicked:
		text := panicAdvice(r.Panic)
		return text, text != ""
	case slices.ContainsFunc(r.Failures, saysThatServeIsBusy):
		return "Serve is not back in Accept: it serves another connection itself, or waits. Serve each connection in a goroutine of its own, with the keyword go.", true
	}
	if r.Status == Deadlocked && leaks(r.Panic) && !r.found() { // else the leak comes of the failure, and is not shown
		return "The answers may be right. What stays behind is shown above: who should have closed its connection, or its listener?", false
	}
	return "", false
}

// saysThatServeIsBusy reports whether a test could not connect.
func saysThatServeIsBusy(f Failure) bool {
	return slices.Contains(f.What, "the server accepts no connection")
}

// waitGroupAdvice says what a WaitGroup waits for, if a goroutine of the code does
// nothing else than wait for one: a goroutine that is still there, or a Done that
// does not come; "" if none does.
func waitGroupAdvice(all []Goroutine) string {
	waits := func(g Goroutine) bool { return strings.HasPrefix(g.State, "sync.WaitGroup.") }
	shown := stuck(all)
	if !slices.ContainsFunc(shown, waits) || slices.ContainsFunc(all, Goroutine.waitsForLock) {
		return ""
	}
	for _, g := range shown {
		if !waits(g) && slices.ContainsFunc(g.Own, isCodeFrame) {
			return "Wait waits for the goroutine at " + g.codeFrame() + ". What should end that one? If it reads, its connection has to be closed before Wait is called."
		}
	}
	return "Wait waits, and no other goroutine of your code is left. Each Add needs a Done when its goroutine ends: which path leaves it out?"
}

// leaks reports whether a bubble's test ended and a goroutine of it did not.
func leaks(panic string) bool { return strings.Contains(panic, "blocked goroutines remain") }

// panics are the runtime's panics that learners meet, and what to look for.
var panics = []struct{ text, help string }{
	{"assignment to entry in nil map", "The map on this line was never made. Make it with make(map[…]…) where the struct is created, or before the first write."},
	{"nil pointer dereference", "Something before a dot, or behind a *, is nil on this line: a pointer, an interface or a function that was never set. Which one, and who should have set it?"},
	{"index out of range", "The slice on this line is shorter than the index needs. Check its length before, or find out why it is so short."},
	{"slice bounds out of range", "The bounds on this line do not fit the slice. Check its length before: it may be empty."},
	{"send on closed channel", "Another goroutine has closed this channel. Only one goroutine may close it, after the last send: which lock, or which owner, makes sure of that?"},
	{"close of closed or nil channel", "The channel is closed twice, or was never made. Give the close to one owner, or remember under the lock that it was done."},
	{"close of closed channel", "The channel is closed twice. Give the close to one owner, or remember under the lock that it was done."},
	{"close of nil channel", "The channel was never made. Make it where the struct is created."},
	{"interface conversion", "The value has another type than this line says. Ask with a second result, v, ok := x.(T), and say what happens if ok is false."},
	{"negative WaitGroup counter", "Done is called more often than Add counted. Which path calls it twice, or without Add?"},
	{"unlock of unlocked mutex", "Unlock is called without the lock held. Which path unlocks twice, for example by defer and by hand?"},
	{"concurrent map", "Two goroutines use this map at once. Which lock guards it, and which of the two does not take it?"},
	{"stack overflow", "A function calls itself without end: its name repeats above."},
}

// panicAdvice returns what to look for after a panic; "" if there is nothing to say.
func panicAdvice(text string) string {
	for _, p := range panics {
		if strings.Contains(text, p.text) {
			return p.help
		}
	}
	return ""
}
