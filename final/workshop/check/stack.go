package check

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Goroutine is what a stack trace says of one, or of several that are the same:
// what it waits for, and where it is in the learner's own code, innermost first.
type Goroutine struct {
	State string   // "chan receive"
	Own   []string // "rpc/client.go:40 in (*Client).Call"
	Calls string   // what Own[0] has called, outside the learner's code: "(*Reader).ReadSlice"; "" if nothing
	Count int

	// Panic is what is known of a panic that waits for a deferred call; "" if there is
	// none. Then Own begins where it happened, and State names the deferred call.
	Panic string
}

var (
	goroutineLine = regexp.MustCompile(`^goroutine \d+ .*\[(.*)\]:$`)
	frameLine     = regexp.MustCompile(`^\s+(.*\.go):(\d+)(?: \+0x[0-9a-f]+)?$`)
	funcArgs      = regexp.MustCompile(`\([^()]*\)$`)
)

// goroutines reads the stack traces in output, and counts those that are the
// same. Frames outside dir are left out, and goroutines that have none inside.
func goroutines(dir, output string) []Goroutine {
	var found []Goroutine
	lines := strings.Split(output, "\n")
	for i := 0; i < len(lines); i++ {
		m := goroutineLine.FindStringSubmatch(strings.TrimRight(lines[i], "\r"))
		if m == nil {
			continue
		}
		end := i + 1
		for end < len(lines) && strings.TrimSpace(lines[end]) != "" {
			end++
		}
		if g := goroutine(dir, m[1], lines[i+1:end]); len(g.Own) > 0 {
			found = foldStacks(found, g)
		}
		i = end
	}
	return found
}

// goroutine reads one: its state without how long it has waited, and its frames.
func goroutine(dir, state string, lines []string) Goroutine {
	state, _, _ = strings.Cut(state, ", ")
	trace := frames(dir, lines)
	g := Goroutine{State: strings.TrimSuffix(state, " (durable)"), Own: own(trace), Count: 1}
	if at := lastPanic(trace); at > 0 && at+1 < len(trace) && g.State != "running" && len(own(trace[at:])) > 0 {
		g.State, g.Panic = deferredState(own(trace[:at]), g.State), panicOf(dir, trace[at+1])
		g.Own = own(trace[at:])
		return g
	}
	if first := slices.IndexFunc(trace, frame.isOwn); first > 0 {
		g.Calls = funcName(trace[first-1].call)
	}
	return g
}

// lastPanic returns where the innermost panic of a trace is that its goroutine has not
// recovered from, -1 if there is none. Between it and the trace's beginning are the
// deferred calls.
func lastPanic(trace []frame) int {
	for i, f := range slices.Backward(trace) {
		if strings.HasPrefix(f.call, "panic(") {
			return i
		}
	}
	return -1
}

// runtimePanics are the functions of the runtime that panic, by how their names
// begin, and what they panic with.
var runtimePanics = []struct{ name, text string }{
	{"runtime.goPanicIndex", "index out of range"},
	{"runtime.panicIndex", "index out of range"},
	{"runtime.goPanicSlice", "slice bounds out of range"},
	{"runtime.panicSlice", "slice bounds out of range"},
	{"runtime.panicBounds", "index or slice bounds out of range"},
	{"runtime.panicmem", "nil pointer dereference"},
	{"runtime.sigpanic", "nil pointer dereference"},
	{"runtime.panicdottype", "interface conversion"},
	{"runtime.closechan", "close of closed channel"},
	{"runtime.chansend", "send on closed channel"},
	{"runtime.mapassign", "assignment to entry in nil map"},
}

// panicOf says what is known of a panic from the frame just below it. Its text is in
// no trace: the runtime prints it when the panic ends the program.
func panicOf(dir string, below frame) string {
	for _, p := range runtimePanics {
		if strings.HasPrefix(below.call, p.name) {
			return "a panic (" + p.text + ")"
		}
	}
	switch place, _, _ := strings.Cut(below.own, " "); {
	case callsClose.MatchString(sourceLine(dir, place)):
		return "a panic (close of closed or nil channel)" // the runtime's own frame for that is in no trace
	case below.isOwn():
		return "a panic"
	}
	name := funcArgs.ReplaceAllString(below.call, "")
	return "a panic in " + name[strings.LastIndexByte(name, '/')+1:]
}

var callsClose = regexp.MustCompile(`(^|[^.\w])close\(`)

// sourceLine returns the line at a place, "rpc/client.go:40"; "" if there is none.
func sourceLine(dir, place string) string {
	file, line, _ := strings.Cut(place, ":")
	text, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
	n, numErr := strconv.Atoi(line)
	lines := strings.Split(string(text), "\n")
	if err != nil || numErr != nil || n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// deferredState says where the deferred call of a panic waits.
func deferredState(own []string, state string) string {
	if len(own) > 0 {
		return "deferred call at " + own[0] + ": " + state
	}
	return "deferred call: " + state
}

// foldStacks adds g to all, or counts it with one that is the same.
func foldStacks(all []Goroutine, g Goroutine) []Goroutine {
	for i := range all {
		if all[i].State == g.State && all[i].Calls == g.Calls && all[i].Panic == g.Panic && slices.Equal(all[i].Own, g.Own) {
			all[i].Count += g.Count
			return all
		}
	}
	return append(all, g)
}

// A frame is a call in a trace.
type frame struct {
	call string // "example.com/x/rpc.(*Server).Serve(0xc000…)"
	own  string // "rpc/server.go:40 in (*Server).Serve"; "" if it is outside the folder
}

func (f frame) isOwn() bool { return f.own != "" }

// frames reads a trace, of which each frame is two lines: the function, then the file.
func frames(dir string, lines []string) []frame {
	var all []frame
	for i := 1; i < len(lines); i++ {
		m := frameLine.FindStringSubmatch(strings.TrimRight(lines[i], "\r"))
		if m == nil {
			continue
		}
		f := frame{call: strings.TrimSpace(lines[i-1])}
		if file, ok := below(dir, m[1]); ok {
			f.own = file + ":" + m[2] + " in " + funcName(f.call)
		}
		all = append(all, f)
	}
	return all
}

// own returns the frames that are in the folder.
func own(trace []frame) []string {
	var all []string
	for _, f := range trace {
		if f.isOwn() {
			all = append(all, f.own)
		}
	}
	return all
}

// funcName shortens "example.com/x/rpc.(*Server).Serve(0xc000…)" to
// "(*Server).Serve".
func funcName(line string) string {
	by := ""
	if rest, ok := strings.CutPrefix(line, "created by "); ok {
		line, _, _ = strings.Cut(rest, " in goroutine")
		by = ", where it was started"
	}
	line = funcArgs.ReplaceAllString(line, "")
	line = line[strings.LastIndexByte(line, '/')+1:]
	if _, name, ok := strings.Cut(line, "."); ok {
		line = name
	}
	return line + by
}

// below returns file, as a stack trace has it, relative to dir; false if it is
// not in it.
func below(dir, file string) (string, bool) {
	for _, d := range []string{dir, resolved(dir)} {
		if rel, ok := strings.CutPrefix(filepath.ToSlash(file), filepath.ToSlash(d)+"/"); ok {
			return rel, true
		}
	}
	return "", false
}

// resolved returns dir without symbolic links, which the compiler may have
// followed (a temporary folder of macOS is behind one).
func resolved(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		return real
	}
	return dir
}

// isTestFrame reports whether an own frame stands in a test's file.
func isTestFrame(frame string) bool {
	file, _, _ := strings.Cut(frame, ":")
	return strings.HasSuffix(file, "_test.go")
}

// stuck returns the goroutines to show for a test that waits for ever: those with
// a frame in the code under test. Those that wait for a lock, a channel send or a
// WaitGroup come first, since they are what is wrong; those that wait for a
// connection's bytes come last, since they are as they should be. If there are
// none, it is one that is in the test.
func stuck(all []Goroutine) []Goroutine {
	var inCode, inTest []Goroutine
	for _, g := range all {
		switch {
		case slices.ContainsFunc(g.Own, isCodeFrame):
			inCode = append(inCode, g)
		case g.State != "running": // the one that runs is that which ended the test
			inTest = append(inTest, g)
		}
	}
	if len(inCode) > 0 {
		slices.SortStableFunc(inCode, func(a, b Goroutine) int { return a.rank() - b.rank() })
		return inCode
	}
	if len(inTest) == 0 {
		inTest = all
	}
	return inTest[:min(len(inTest), 1)]
}

// rank is how late g is shown: what panics, what blocks others, what runs, what
// waits for others, what waits for bytes, what waits for connections.
func (g Goroutine) rank() int {
	lent := isTestFrame(g.Own[0]) // it is in what a test has lent the code, such as a listener
	switch {
	case g.Panic != "":
		return -1
	case g.accepts():
		return 5
	case g.waitsForLock(), g.State == "chan send", strings.HasPrefix(g.State, "sync.WaitGroup."), strings.HasPrefix(g.State, "sync.Cond."):
		return 0
	case g.works():
		return 1
	case g.State == "IO wait", idles(g.Calls), lent && idles(g.Own[0]):
		return 4
	case lent:
		return 3
	}
	return 2
}

// works reports whether g waits for nothing but a processor, the kernel, or the garbage
// collector.
func (g Goroutine) works() bool {
	switch g.State {
	case "running", "runnable", "preempted", "syscall", "copystack":
		return true
	}
	return strings.HasPrefix(g.State, "GC ")
}

// accepts reports whether g waits for the next connection, as servers always do.
func (g Goroutine) accepts() bool {
	return strings.HasSuffix(g.Calls, "Accept") || strings.HasSuffix(g.Own[0], "Accept")
}

// idles reports whether a function waits for what the other end of a connection
// does next.
func idles(function string) bool {
	name := function[strings.LastIndexByte(function, '.')+1:]
	return strings.HasPrefix(name, "Read") || strings.HasPrefix(name, "Accept") || name == "Scan" || name == "Decode" || name == "Peek" || name == "Discard" || name == "Copy"
}

// waitsForLock reports whether g waits for a sync.Mutex or a sync.RWMutex.
func (g Goroutine) waitsForLock() bool {
	return strings.HasPrefix(g.State, "sync.Mutex.") || strings.HasPrefix(g.State, "sync.RWMutex.")
}

func isCodeFrame(frame string) bool { return !isTestFrame(frame) }
