package check

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// unwritten is a server of which Close and note are stubs, as start writes them.
const unwritten = `package rpc

import "errors"

type Server struct{ done chan int }

func (s *Server) Close() error {
	return errors.New("rpc: Server.Close is yours to write (step 02)")
}

func note() bool {
	// Yours to write (step 02).
	return false
}

func Double(n int) int { return n + n + 1 }
`

const unwrittenTest = `package rpc

import (
	"testing"
	"testing/synctest"
)

func TestLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{make(chan int)}
		t.Cleanup(func() { s.Close() })
		go func() { <-s.done }()
	})
}

func TestNote(t *testing.T) {
	if !note() {
		t.Error("nothing noted")
	}
}

func TestDouble(t *testing.T) {
	t.Cleanup(func() { new(Server).Close() })
	if Double(2) != 4 {
		t.Fatal("not 4")
	}
}

func TestFirst(t *testing.T) { new(Server).Close() }
`

// A test that a stub has stopped says so, in place of what the stub left undone. A
// failure from before the stub was called is the code's own.
func TestRun_TellsAStubFromAMistake(t *testing.T) {
	files := map[string]string{"rpc/server.go": unwritten, "rpc/a_test.go": unwrittenTest}
	report := run(t, plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, files, files), Options{})

	leak := result(t, report, "TestLeak")
	assert.Equal(t, Deadlocked, leak.Status)
	assert.Equal(t, &Stub{"Server.Close", "rpc/server.go:7"}, leak.Stub)
	assert.Equal(t, "Server.Close is yours to write", cause(leak))
	assert.Equal(t, "nothing noted (note is yours to write, at rpc/server.go:11)", strings.TrimPrefix(report.ProblemsOf(result(t, report, "TestNote"))[0].Message, "TestNote: "))
	assert.Equal(t, "not 4", cause(result(t, report, "TestDouble")), "this failed before Close was called")
	assert.Nil(t, result(t, report, "TestFirst").Stub, "it passes")
	for _, r := range report.Results {
		assert.NotContains(t, r.Output, stubMark)
	}

	text := printed(report, Printer{Hint: func(string) string { return "Where do you keep the bytes?" }})
	assert.Contains(t, text, "Begin with TestLeak\n  stub      Server.Close is yours to write, at rpc/server.go:7\n"+
		"  hint      Write Server.Close in rpc/server.go first: the test got no further.\n")
	assert.NotContains(t, text, "Where do you keep the bytes?", "that is about what the test checks")
	assert.NotContains(t, text, "waits for ever")
}

// A test may call first what the lesson has the reader write last.
func TestRun_NamesTheNextPieceOfTheLesson(t *testing.T) {
	files := map[string]string{"rpc/server.go": unwritten, "rpc/a_test.go": unwrittenTest,
		"README.md": "```go type rpc/server.go note\n```\n\n```go type rpc/server.go Server.Close\n```\n"}
	target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, map[string]string{}, files)
	writeFiles(t, filepath.Join(target.Root, "step02-json-protocol"), files)
	assert.Equal(t, "The next piece of the lesson is note. The test got as far as Server.Close in rpc/server.go, which is still a stub.",
		advice(result(t, run(t, target, Options{}), "TestLeak")))
}

// Scripts compare what programs print, so their stubs are not marked.
func TestRun_ProgramsThatAreStubsPrintNothing(t *testing.T) {
	files := map[string]string{
		"rpc/rpc.go":    "package rpc\n",
		"cmd/raw.go":    "package cmd\n\nfunc Raw() {\n\t// Yours to write (step 02).\n}\n",
		"cmd/a_test.go": "package cmd\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {\n\tRaw()\n\tt.Fatal(\"nothing printed\")\n}\n",
	}
	report := run(t, plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, files, files), Options{})
	assert.Equal(t, "cmd/raw.go is yours to write", cause(result(t, report, "TestFirst")))
	assert.Contains(t, printed(report, Printer{}), "hint      Write cmd/raw.go first: the test got no further.\n")
}

// An answer that is not the limit's may be no answer at all.
func TestJudgePins_APinIsLiftedByCodeThatWorks(t *testing.T) {
	pin, other, cmd := test("TestLimit_Gone"), test("TestA"), course.Test{Name: "TestScripts/echo", Package: "cmd", File: "testdata/script/echo.txtar"}
	all := []course.Test{pin, other, cmd}
	for name, c := range map[string]struct {
		results []Result
		todo    []string // of the last check
		want    Status
	}{
		"another fails":                  {[]Result{{Test: pin, Status: Lifted}, {Test: other, Status: Failed}}, nil, Undecided},
		"another does not compile":       {[]Result{{Test: pin, Status: Lifted}, {Test: other, Status: NotCompiled}}, nil, Undecided},
		"it alone called a stub":         {[]Result{{Test: pin, Status: Lifted, Stub: &Stub{}}, {Test: other, Status: Passed}}, nil, Failed},
		"it called a stub, as others do": {[]Result{{Test: pin, Status: Lifted, Stub: &Stub{}}, {Test: other, Status: Failed}}, nil, Undecided},
		"another failed, and is not run": {[]Result{{Test: pin, Status: Lifted}}, []string{"TestA"}, Undecided},
		"all others pass":                {[]Result{{Test: pin, Status: Lifted}, {Test: other, Status: Passed}}, []string{"TestA"}, Lifted},
		"a program fails":                {[]Result{{Test: pin, Status: Lifted}, {Test: other, Status: Passed}, {Test: cmd, Status: Failed}}, nil, Lifted},
		"the weakness is there":          {[]Result{{Test: pin, Status: Passed}, {Test: other, Status: Failed}}, nil, Passed},
	} {
		r := &Report{Target: Target{Station: find(t, "02"), Progress: &progress.Progress{ToDo: c.todo}}, Results: c.results, all: all}
		r.judgePins()
		assert.Equal(t, c.want, r.Results[0].Status, name)
		if c.want == Undecided { // which is no trouble, so nothing is red
			assert.NotContains(t, r.ToDo(), "TestLimit_Gone", name)
			assert.Contains(t, printed(r, Printer{}), "  skips   TestLimit_Gone: whether your code has lifted its limit shows when the other tests pass\n", name)
			assert.Empty(t, r.ProblemsOf(r.Results[0]), name)
		}
	}
}
