package check

import (
	"cmp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// hints returns what helps with how a test ended, whatever the test is about, each
// stronger than the one before; none if the test itself says what is wrong. The test's
// own hints are about what it checks, and it may not have got that far.
func (r *Report) hints(result Result) []string {
	text := advice(result)
	if text == "" {
		return r.programHints(result)
	}
	found := append(r.programHints(result), text)
	if more := r.whereToWrite(result); more != "" {
		found = append(found, more)
	}
	if more := whatIsThere(result); more != "" {
		found = append(found, more)
	}
	return found
}

// programHints says that a program cannot work yet, since a package that it uses has
// stubs.
func (r *Report) programHints(result Result) []string {
	if !result.Test.IsScript() || !result.Status.failed() || result.Stub != nil {
		return nil
	}
	for _, p := range r.Packages {
		if len(p.stubs) > 0 && p.Name != result.Test.Package {
			return []string{"The script runs programs, and they need " + cmp.Or(p.next, p.stubs[0].Name) + " in " + p.Name + ", which is yours to write. Scripts come last."}
		}
	}
	return nil
}

// whereToWrite names the place of the lesson that is about a stub.
func (r *Report) whereToWrite(result Result) string {
	if result.Stub == nil {
		return ""
	}
	name := cmp.Or(result.Next, result.Stub.Name)
	heading, err := course.HeadingOf(r.Target.Root, r.Target.Station, name)
	if err != nil || heading == "" {
		return ""
	}
	return "The lesson comes to " + name + " under \"" + heading + "\": first what it has to do, then its signature. " +
		"Try to write it from there: " + r.Target.Station.Page()
}

// whatIsThere shows where goroutines of the code were when a test ended.
func whatIsThere(r Result) string {
	if r.Stub != nil {
		return ""
	}
	switch r.Status {
	case Panicked:
		if len(r.Stacks) > 0 && len(r.Stacks[0].Own) > 1 {
			return "This is the way there, the last call first:\n\n" + indented(firstFrames(r.Stacks[0]))
		}
	case Hung, Deadlocked:
		shown := stuck(r.Stacks)
		if len(shown) == 0 || r.Status == Deadlocked && r.found() {
			return ""
		}
		text := "These goroutines were there at the end, and what each was doing:"
		for _, g := range shown[:min(len(shown), maxStacks)] {
			text += "\n\n" + indented(g.state()+"\n"+firstFrames(g))
		}
		return text
	case Raced:
		return "The two sides, and who called them:\n\n" + indented(strings.Join(sides(r), "\n"))
	}
	return ""
}

// indented returns text as code.
func indented(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// advice is the first hint that a test's end gives; "" if it gives none.
func advice(r Result) string {
	switch {
	case r.Stub != nil && r.Next != "" && r.Next != r.Stub.Name:
		return "The next piece of the lesson is " + r.Next + ". The test got as far as " + r.Stub.what() + ", which is still a stub."
	case r.Stub != nil:
		return "Write " + r.Stub.what() + " first: the test got no further."
	case r.Spins != "":
		return "Accept fails each time, as it does once the listener is closed, and the loop at " + r.Spins + " goes on. It has to return the error."
	case r.Stacks != nil && r.Status != Panicked && stuck(r.Stacks)[0].Panic != "":
		return "The panic is what is wrong. " + cmp.Or(panicAdvice(stuck(r.Stacks)[0].Panic), "Its text appears when no deferred call waits.")
	case r.Status == Hung && slices.ContainsFunc(r.Stacks, Goroutine.waitsForLock):
		return lockAdvice(r.Output)
	case r.Status == Deadlocked && leaks(r.Panic) && !r.found(): // else the leak comes of the failure, and is not shown
		return cmp.Or(waitGroupAdvice(r.Stacks), "The answers may be right, but a goroutine stays behind. Who should have closed its connection, or its listener?")
	case r.Status == Deadlocked && !r.found() || r.Status == Hung:
		return cmp.Or(waitGroupAdvice(r.Stacks), waitAdvice(r))
	case r.Status == Raced && !hasCodeSide(r.Race):
		return "No line of your code is in this race: a goroutine of the test was still at work when the test ended, most likely because it failed. Look first at the other tests that fail."
	case r.Status == Raced && onOneLine(r.Race):
		return "Both goroutines are on this line, and use the same value. Which lock has to be held around the call?"
	case r.Status == Raced:
		return "Both lines use the same variable. Which lock guards it, and which of the two does not take it?"
	case r.raceOfProgram():
		return "Two goroutines of a program use the same memory at once. If other tests have a data race, begin with them. Else run the program by hand with the race detector, such as `go run -race ./cmd/server`, and do what the script does."
	case r.Status == Panicked:
		return cmp.Or(panicAdvice(r.Panic), panicPlace(r))
	case slices.ContainsFunc(r.Failures, saysThatServeIsBusy):
		return "Serve is not back in Accept: it serves another connection itself, or waits. Serve each connection in a goroutine of its own, with the keyword go."
	}
	return ""
}

// panicPlace says what to look for after a panic of which no more is known than where
// it was.
func panicPlace(r Result) string {
	if len(r.Stacks) == 0 {
		return ""
	}
	frame := r.Stacks[0].codeFrame()
	if isTestFrame(frame) {
		return "The test itself panics, at " + frame + ". What has your code given to it that it did not expect?"
	}
	return "It panics at " + frame + ". Which value on that line is not as you thought, and where does it come from?"
}

// waitAdvice says what to ask about the goroutine that explains a hang.
func waitAdvice(r Result) string {
	shown := stuck(r.Stacks)
	switch {
	case r.Test.IsScript() && !hasCode(shown):
		return "The script waits for a program that does not end. Run the same commands by hand, in two terminals: what does the program wait for?"
	case len(shown) == 0:
		return "No goroutine of your code waits. Look for a loop that does not end."
	case !hasCode(shown):
		return "No goroutine of your code is left. The test waits at " + shown[0].codeFrame() + ": read there what it waits for, and which function of yours should bring it."
	}
	g, at := shown[0], shown[0].codeFrame()
	switch {
	case g.accepts():
		return "Your code waits for a connection at " + at + ", as a server does until its listener is closed. Who should close it?"
	case g.State == "IO wait", idles(g.Calls):
		return "Your code reads at " + at + ", and nothing arrives. Who should send something, or close the connection?"
	case g.works():
		return "Your code was still at work at " + at + " when the time was over. Is there a loop that does not end? If the machine is only busy, give each test more time: go tool workshop check -timeout 60s"
	case g.State == "chan send":
		return "Your code wants to send on a channel at " + at + ", and no goroutine receives. Has the receiver gone, or does the channel need room for one value?"
	case g.State == "chan receive":
		return "Your code waits for a channel at " + at + ". Which goroutine should send on it, or close it, and why does it not come to that?"
	case strings.HasPrefix(g.State, "select"):
		return "Your code waits in a select at " + at + ", and none of its cases happens. Which one should, and which goroutine brings it about?"
	}
	return "Your code waits at " + at + " (" + g.State + "). What should end the wait, and which goroutine brings it about?"
}

// hasCode reports whether one of some goroutines is in the code under test.
func hasCode(all []Goroutine) bool {
	return slices.ContainsFunc(all, func(g Goroutine) bool { return slices.ContainsFunc(g.Own, isCodeFrame) })
}

// hasCodeSide reports whether one side of a race is in the code under test, or in a
// goroutine that the code has started.
func hasCodeSide(sides []string) bool {
	return slices.ContainsFunc(sides, func(side string) bool {
		at := strings.LastIndex(side, " at ")
		return at >= 0 && isCodeFrame(side[at:])
	})
}

// onOneLine reports whether both sides of a race are at one place of the code.
func onOneLine(sides []string) bool {
	if len(sides) != 2 {
		return false
	}
	_, one, ok := strings.Cut(sides[0], " at ")
	_, other, _ := strings.Cut(sides[1], " at ")
	return ok && one == other && !strings.Contains(sides[0]+sides[1], "outside")
}

// lockAdvice says what to look for when a goroutine waits for a lock for ever.
func lockAdvice(output string) string {
	text := "A goroutine holds this lock and never gives it back. Look for a return without Unlock, or for a wait while the lock is held."
	if strings.Contains(output, ", synctest bubble") {
		text += " Or it waits for the bubble's clock, which stands still while a goroutine waits for a mutex: where others wait that long, take a channel with one slot as the lock."
	}
	return text
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
