package check

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
)

// writeFiles writes the files, by their names below dir.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
}

// find returns the station of that name.
func find(t *testing.T, name string) course.Station {
	t.Helper()
	s, err := course.Find(name)
	require.NoError(t, err)
	return s
}

// plant makes a small course, whose stations 01 and 02 have the files old and
// new, and a folder at 02 with the files mine.
func plant(t *testing.T, old, new, mine map[string]string) Target {
	t.Helper()
	t.Setenv("GOWORK", "off")
	root, dir := t.TempDir(), t.TempDir()
	for step, files := range map[string]map[string]string{"step01-tcp-server": old, "step02-json-protocol": new} {
		writeFiles(t, filepath.Join(root, step), files)
		writeFiles(t, filepath.Join(root, step), map[string]string{"README.md": "Begin with `TestFirst`."})
	}
	writeFiles(t, dir, mine)
	writeFiles(t, dir, map[string]string{"go.mod": "module example.com/mine\n\ngo 1.26.0\n"})
	return Target{Root: root, Dir: dir, Station: find(t, "02")}
}

// run checks the target.
func run(t *testing.T, target Target, o Options) *Report {
	t.Helper()
	report, err := Run(t.Context(), target, o)
	require.NoError(t, err)
	return report
}

// result returns that of one test.
func result(t *testing.T, r *Report, name string) Result {
	t.Helper()
	for _, result := range r.Results {
		if result.Test.Name == name {
			return result
		}
	}
	require.FailNow(t, "no result", name)
	return Result{}
}

const code = `package rpc

import "sync"

type Server struct {
	mu sync.Mutex
	n  int
}

func (s *Server) Wait(c chan int) int { return <-c }

func (s *Server) Lock() { s.mu.Lock() }

func (s *Server) Crash() {
	var none *Server
	none.n = 1
}

func (s *Server) Count() { s.n++ }

func (s *Server) Spin() {
	for {
		s.n++
	}
}

func (s *Server) Serve(l interface{ Accept() error }) {
	for {
		if l.Accept() != nil {
			continue
		}
	}
}

func (s *Server) CrashAndWait(c chan int) {
	defer func() { <-c }()
	s.Crash()
}
`

const planted = `package rpc

import (
	"fmt"
	"os"
	"testing"
	"testing/synctest"
)

func TestGood(t *testing.T) {}

func TestFirst(t *testing.T) {
	t.Errorf("got %d\nwant %d", 1, 2)
}

func TestPanic(t *testing.T) { new(Server).Crash() }

func TestPanicInACase(t *testing.T) {
	t.Run("well", func(t *testing.T) {})
	t.Run("the bad one", func(t *testing.T) { new(Server).Crash() })
	t.Run("never begun", func(t *testing.T) {})
}

func TestPanicElsewhere(t *testing.T) {
	go new(Server).Crash()
	select {} // the panic ends the process
}

func TestDeadlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { new(Server).Wait(make(chan int)) })
}

func TestPanicWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { new(Server).CrashAndWait(make(chan int)) })
}

func TestLogs(t *testing.T) {
	t.Log("first")
	t.Logf("%s", "second")
	t.Error("wrong")
}

func TestLogsAndWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Log("before")
		new(Server).Wait(make(chan int))
	})
}

func TestLeak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { go new(Server).Wait(make(chan int)) })
}

func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(Server)
		s.Lock()
		s.Lock()
	})
}

func TestSpin(t *testing.T) { new(Server).Spin() }

type closed struct{}

//go:noinline
func (closed) Accept() error { return os.ErrClosed }

func TestSpinAccept(t *testing.T) { new(Server).Serve(closed{}) }

func TestLimit_Gone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { t.Skip("lifted: 5c") })
}

func FuzzRead(f *testing.F) {
	f.Add("good")
	f.Add("bad")
	f.Fuzz(func(t *testing.T, s string) {
		if s == "bad" {
			t.Error("a bad seed")
		}
	})
}

func TestExit(t *testing.T) {
	fmt.Println("good bye")
	os.Exit(3)
}

func TestChatter(t *testing.T) {
	for range 1 << 16 {
		fmt.Println("0123456789")
	}
	t.Error("at last")
}

func TestRace(t *testing.T) {
	s, done := new(Server), make(chan int)
	go func() {
		s.Count()
		close(done)
	}()
	s.Count()
	<-done
}
`

func TestRun_NothingHidesAnythingElse(t *testing.T) {
	seldom.Test(t)
	_, race := CanRace(t.Context(), ".")
	target := plant(t,
		map[string]string{"rpc/a_test.go": "package rpc\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\n"},
		map[string]string{"rpc/a_test.go": planted},
		map[string]string{
			"rpc/server.go":     code,
			"rpc/a_test.go":     planted,
			"cmd/server.go":     "package cmd\n\nvar n int = \"text\"\n",
			"cmd/cmd_test.go":   "package cmd\n\nimport \"testing\"\n\nfunc TestCmd(t *testing.T) {}\n",
			"init/init.go":      "package init\n\nfunc init() { panic(\"too early\") }\n",
			"init/init_test.go": "package init\n\nimport \"testing\"\n\nfunc TestInit(t *testing.T) {}\n",
		})
	// Only those that hang have little time: any other may be slow on a busy machine.
	report := run(t, target, Options{Race: race, Timeout: time.Minute, Run: regexp.MustCompile("Good|First|Panic|Deadlock|Leak|Logs|Exit|Chatter|Race|Cmd|Init|Limit|Fuzz")})
	hanging := run(t, target, Options{Timeout: time.Second, Run: regexp.MustCompile("TestHang|TestSpin")})
	report.Results = append(report.Results, hanging.Results...)

	status := map[string]Status{}
	for _, r := range report.Results {
		status[r.Test.Name] = r.Status
	}
	want := map[string]Status{
		"TestFirst": Failed, "TestGood": Passed, "TestPanic": Panicked, "TestPanicInACase": Panicked, "TestPanicElsewhere": Panicked,
		"TestDeadlock": Deadlocked, "TestPanicWaits": Deadlocked, "TestLogs": Failed, "TestLogsAndWaits": Deadlocked, "TestLeak": Deadlocked, "TestHang": Hung, "TestSpin": Hung, "TestSpinAccept": Hung,
		"TestLimit_Gone": Undecided, "FuzzRead": Failed,
		"TestExit": Failed, "TestChatter": Failed, "TestRace": Passed,
		"TestCmd": NotCompiled, "TestInit": NotCompiled,
	}
	if race {
		want["TestRace"] = Raced
		sides := result(t, report, "TestRace").Race
		require.Len(t, sides, 2)
		for _, side := range sides {
			assert.Regexp(t, `^(read|write) at rpc/server\.go:19 in \(\*Server\)\.Count$`, side)
		}
	}
	assert.Equal(t, want, status)
	assert.Equal(t, "TestFirst", report.ToDo()[0], "the lesson names it first")
	assert.True(t, result(t, report, "TestFirst").New)
	assert.False(t, result(t, report, "TestGood").New, "station 01 has it")
	assert.False(t, report.Done())

	assert.Equal(t, []Failure{{Place: "rpc/a_test.go:13", What: []string{"got 1", "want 2"}}}, result(t, report, "TestFirst").Failures)
	assert.Equal(t, "rpc/server.go:16 in (*Server).Crash", result(t, report, "TestPanic").Stacks[0].Own[0])
	assert.Empty(t, result(t, report, "TestPanic").Case)
	assert.Equal(t, "the_bad_one", result(t, report, "TestPanicInACase").Case)
	assert.Equal(t, "the bad one", report.Why("")["TestPanicInACase"].Case)
	assert.Equal(t, "rpc/server.go:16 in (*Server).Crash", result(t, report, "TestPanicElsewhere").Stacks[0].Own[0])
	assert.Equal(t, "rpc/server.go:10 in (*Server).Wait", stuck(result(t, report, "TestDeadlock").Stacks)[0].Own[0])
	assert.Equal(t, "every goroutine waits, and nothing can wake one: a panic at rpc/server.go:16 in (*Server).Crash waits for a deferred call at rpc/server.go:36 in (*Server).CrashAndWait.func1: chan receive",
		cause(result(t, report, "TestPanicWaits")))
	assert.Equal(t, "rpc/server.go:10 in (*Server).Wait", stuck(result(t, report, "TestLeak").Stacks)[0].Own[0])
	assert.Equal(t, "rpc/server.go:12 in (*Server).Lock", stuck(result(t, report, "TestHang").Stacks)[0].Own[0])
	assert.Equal(t, "rpc/server.go:28", result(t, report, "TestSpinAccept").Spins)
	assert.Equal(t, "5c", result(t, report, "TestLimit_Gone").Lifted)
	logs := result(t, report, "TestLogs")
	assert.Equal(t, "wrong", cause(logs))
	assert.Len(t, report.ProblemsOf(logs), 1, "what it has logged is no problem")
	assert.Equal(t, "every goroutine waits, and nothing can wake one: chan receive at rpc/server.go:10 in (*Server).Wait", cause(result(t, report, "TestLogsAndWaits")))
	assert.Equal(t, "a bad seed", result(t, report, "FuzzRead").Failures[0].What[0])
	assert.Contains(t, result(t, report, "TestExit").Failures[0].What, "good bye")
	assert.Less(t, len(result(t, report, "TestChatter").Output), 3*boundedHalf)
	assert.Equal(t, []string{"at last"}, result(t, report, "TestChatter").Failures[0].What)

	errors := map[string]string{}
	for _, p := range report.Packages {
		errors[p.Name] = strings.Join(p.Errors, "\n")
	}
	assert.Contains(t, errors["cmd"], "cmd/server.go:3:13: cannot use")
	assert.Contains(t, errors["init"], "panic: too early")
	assert.Empty(t, errors["rpc"])
}

func TestRun_SaysWhereRedIsRight(t *testing.T) {
	const old = "package rpc\n\ntype Server struct{}\n\nfunc Dial(addr string) error { return nil }\n\nfunc (Server) inner() {}\n"
	const changed = "package rpc\n\ntype Server struct{ Handle func() }\n\nfunc Dial(addr string, n int) error { return nil }\n\nfunc (Server) inner(n int) {}\n"
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {\n\tDial(\"\", 1)\n\t_ = Server{Handle: nil}\n}\n"
	target := plant(t,
		map[string]string{"rpc/server.go": old},
		map[string]string{"rpc/server.go": changed, "rpc/a_test.go": test},
		map[string]string{"rpc/server.go": old, "rpc/a_test.go": test})
	report := run(t, target, Options{})
	assert.Equal(t, NotCompiled, result(t, report, "TestFirst").Status)
	assert.Equal(t, "Red is correct here: 02 changes the type of Dial, and adds Server.Handle; the tests use that already.", report.RedIsRight)
	assert.Contains(t, report.Explained()[0], "use that already. The lesson says how: step02-json-protocol/README.md")
	assert.Contains(t, report.Packages[0].Errors[0], "rpc/a_test.go:6:11: too many arguments in call to Dial\n\thave (string, number)\n\twant (string)")

	writeFiles(t, target.Dir, map[string]string{"rpc/server.go": changed + "\nfunc oops() { return 1 }\n"})
	report = run(t, target, Options{})
	assert.Empty(t, report.RedIsRight, "this mistake is the learner's own")
	assert.Contains(t, report.Packages[0].Errors[0], "rpc/server.go:9:22: too many return values")
}

func TestRun_ExplainsNamesThatTestsAndCodeShare(t *testing.T) {
	seldom.Test(t)
	const ours = "package rpc\n\nfunc readLine(text string, max int) (string, error) { return text, nil }\n"
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) { readLine(\"\", 1) }\n\nfunc connect() {}\n"
	for name, c := range map[string]struct {
		mine string
		want []string
	}{
		"missing": {"package rpc\n", []string{
			"The tests use these by name. Keep the names and signatures. Where you write a body or a value, it may differ from ours:\n  func readLine(text string, max int) (string, error)    (rpc/line.go)"}},
		"another signature": {"package rpc\n\nfunc readLine(s string) (string, error) { return s, nil }\n", []string{
			"The tests use these by name. Keep the names and signatures. Where you write a body or a value, it may differ from ours:\n  func readLine(text string, max int) (string, error)    (rpc/line.go)\n" +
				"  yours: func readLine(s string) (string, error)"}},
		"other names": {"package rpc\n\nfunc readLine(s string, n int) (_ string, _ error) { return s, nil }\n", nil},
		"a helper's name": {ours + "\nfunc connect() {}\n", []string{
			"connect is also a helper of the tests, rpc/a_test.go:7:6. Give yours, at rpc/line.go:5, another name."}},
		"a name that the lesson deletes": {ours + "\nfunc connect() {}\n\nfunc gone() {}\n", []string{
			"connect is also a helper of the tests, rpc/a_test.go:7:6. Give yours, at rpc/line.go:5, another name.\n" +
				"gone is a helper of the tests now, rpc/b_test.go:3:6. The lesson has you delete yours, at rpc/line.go:7."}},
	} {
		t.Run(name, func(t *testing.T) {
			target := plant(t, map[string]string{"rpc/line.go": ours + "\nfunc gone() {}\n"}, map[string]string{"rpc/line.go": ours, "rpc/a_test.go": test},
				map[string]string{"rpc/line.go": c.mine, "rpc/a_test.go": test, "rpc/b_test.go": "package rpc\n\nfunc gone() {}\n"})
			writeFiles(t, filepath.Join(target.Root, "step01-tcp-server"), map[string]string{"README.md": "# 01\n\n<!-- seams readLine -->\n<!-- end -->\n"})
			report := run(t, target, Options{})
			assert.Equal(t, c.want, report.Help)
		})
	}
}

func TestRun_ExplainsAVariableOfAnotherType(t *testing.T) {
	const ours = "package rpc\n\nvar makers = map[string]func(int){}\n"
	const mine = "package rpc\n\nvar makers = map[string]int{}\n"
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) { makers[\"a\"](1) }\n"
	target := plant(t, map[string]string{"rpc/line.go": ours}, map[string]string{"rpc/line.go": ours, "rpc/a_test.go": test}, map[string]string{"rpc/line.go": mine, "rpc/a_test.go": test})
	writeFiles(t, filepath.Join(target.Root, "step02-json-protocol"), map[string]string{"README.md": "# 02\n\n<!-- seams makers -->\n<!-- end -->\n"})
	assert.Equal(t, []string{
		"The tests use these by name. Keep the names and signatures. Where you write a body or a value, it may differ from ours:\n  var makers map[string]func(int)    (rpc/line.go)\n  yours: var makers map[string]int",
	}, run(t, target, Options{}).Help)
}

func TestRun_TakesAHelperForNoMethodOfItsName(t *testing.T) {
	const ours = "package rpc\n\ntype Server struct{ Do func(int) }\n\nfunc (s *Server) handle(n int) {}\n"
	const mine = "package rpc\n\ntype Server struct{ Do func() }\n\nfunc (s *Server) handle() {}\n"
	for test, want := range map[string]bool{
		"var s = Server{Do: handle()}\n\nfunc handle() func(int) { return nil }\n": false,
		"var s = new(Server).handle(1)\n":                                          true,
	} {
		test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {}\n\n" + test
		target := plant(t, map[string]string{"rpc/server.go": mine}, map[string]string{"rpc/server.go": ours, "rpc/a_test.go": test},
			map[string]string{"rpc/server.go": mine, "rpc/a_test.go": test})
		writeFiles(t, filepath.Join(target.Root, "step02-json-protocol"), map[string]string{"README.md": "# 02\n\n<!-- seams Server.handle -->\n<!-- end -->\n"})
		help := strings.Join(run(t, target, Options{}).Help, "\n")
		assert.Equal(t, want, strings.Contains(help, "func (s *Server) handle(n int)"), "%s\n%s", test, help)
	}
}

func TestRun_ExplainsAnImportForALaterPiece(t *testing.T) {
	const ours = "package rpc\n\nimport \"time\"\n\nvar second = time.Second\n"
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {}\n"
	for name, c := range map[string]struct{ mine, want string }{
		"a later piece uses it": {"package rpc\n\nimport \"time\"\n", `Red is right here if you have added "time" for a piece that you have not written yet. Go on with that piece: it uses the import.`},
		"no piece uses it":      {"package rpc\n\nimport \"os\"\n", ""},
	} {
		target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, map[string]string{"rpc/line.go": ours, "rpc/a_test.go": test},
			map[string]string{"rpc/line.go": c.mine, "rpc/a_test.go": test})
		assert.Equal(t, c.want, strings.Join(run(t, target, Options{}).Help, "\n"), name)
	}
}

func TestRun_TellsWhatIsLost(t *testing.T) {
	seldom.Test(t)
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {}\n"
	target := plant(t, map[string]string{"rpc/a_test.go": test}, map[string]string{"rpc/a_test.go": test, "rpc/b_test.go": strings.ReplaceAll(test, "First", "Second"),
		"rpc/naive_test.go": strings.ReplaceAll(test, "First", "Naive_X")},
		map[string]string{"rpc/a_test.go": test, "rpc/own_test.go": strings.ReplaceAll(test, "First", "OfMine"), "cmd/main.go": "package main\n\nfunc main() { missing() }\n"})

	report := run(t, target, Options{})
	assert.Equal(t, []string{"TestFirst", "TestOfMine"}, report.Passed())
	assert.Empty(t, report.ToDo(), "from the course's own folder nothing is lost")
	assert.False(t, report.Done(), "cmd does not compile")
	assert.Contains(t, strings.Join(report.Broken, "\n"), "cmd/main.go:3:15: undefined: missing")

	p := learner(t, target)
	report = run(t, p, Options{})
	assert.Equal(t, []string{"TestSecond"}, report.ToDo())
	assert.Equal(t, Missing, result(t, report, "TestSecond").Status)

	report = run(t, p, Options{Run: regexp.MustCompile("OfMine")})
	assert.Equal(t, []string{"TestOfMine"}, report.Passed())
	assert.Empty(t, report.ToDo())
}

func TestRun_EndsWithItsContext(t *testing.T) {
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) { select {} }\n"
	target := plant(t, map[string]string{"rpc/a_test.go": test}, map[string]string{"rpc/a_test.go": test}, map[string]string{"rpc/a_test.go": test})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, target, Options{Timeout: time.Hour})
		done <- err
	}()
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
}

func TestRun_WhatGoTestRefusesIsToDo(t *testing.T) {
	seldom.Test(t)
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {}\n"
	for body, want := range map[string]struct {
		doubt, printed string
		done           bool
	}{
		"fmt.Printf(\"%d\", \"text\")": {"rpc/server.go:5:24: fmt.Printf format %d has arg", "go vet objects, so that go test refuses to run", false},
		"return; fmt.Print()":          {"rpc/server.go:5:20: unreachable code", "go vet has doubts (go test runs all the same)", true},
	} {
		target := plant(t, map[string]string{"rpc/a_test.go": test}, map[string]string{"rpc/a_test.go": test},
			map[string]string{"rpc/a_test.go": test, "rpc/server.go": "package rpc\n\nimport \"fmt\"\n\nfunc f() { " + body + " }\n"})
		report := run(t, target, Options{})
		require.Len(t, report.Doubts, 1)
		assert.Contains(t, report.Doubts[0].Text, want.doubt)
		assert.Empty(t, report.ToDo())
		assert.Equal(t, want.done, report.Done())
		assert.Contains(t, printed(report, Printer{}), want.printed)
	}
}

func TestRun_NamesTheFolderToFix(t *testing.T) {
	const test = "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) { missing() }\n"
	files := map[string]string{"rpc/a_test.go": test}
	target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, files, map[string]string{
		"rpc/a_test.go":   test,
		"rpc/line.go":     "package rpc\n\nimport \"errors\"\n",
		"cmd/cmd.go":      "package cmd\n\nimport _ \"example.com/mine/rpc\"\n",
		"cmd/cmd_test.go": "package cmd\n\nimport \"testing\"\n\nfunc TestCmd(t *testing.T) {}\n",
	})
	const mistake = `rpc/line.go:3:8: "errors" imported and not used`
	report := run(t, target, Options{})
	require.Len(t, report.Mistakes(), 1)
	assert.Equal(t, "rpc does not compile: "+mistake, report.Mistakes()[0].String())
	text := printed(report, Printer{})
	assert.Contains(t, text, "rpc does not compile, so no test can run. Fix this first:\n  "+mistake+"\n")
	assert.NotContains(t, text, "missing", "that a test does not compile either may come of it")
	assert.NotContains(t, text, "TestFirst")
	assert.Contains(t, text, "New in 02\n  to do   1 test, not compiled\n")
}

// Of two packages that do not compile, the one comes first that the station's lesson
// begins with.
func TestRun_NamesThePackageOfTheLessonFirst(t *testing.T) {
	files := map[string]string{
		"cmd/cmd_test.go": "package cmd\n\nimport \"testing\"\n\nfunc TestCmd(t *testing.T) { missing() }\n",
		"rpc/rpc_test.go": "package rpc\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) { missing() }\n",
	}
	for first, lesson := range map[string]string{"rpc": "Begin with `TestFirst`, then `TestCmd`.", "cmd": "Begin with `TestCmd`, then `TestFirst`."} {
		target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, files, files)
		writeFiles(t, filepath.Join(target.Root, "step02-json-protocol"), map[string]string{"README.md": lesson})
		report := run(t, target, Options{})
		require.Len(t, report.Mistakes(), 2)
		assert.Equal(t, first, report.Mistakes()[0].Folder)
		problems := report.Problems(nil)
		assert.Contains(t, problems[len(problems)-1].Place, first+"/", "in a pipe, the first is where the eye is")
	}
}

func TestRun_TellsAnImportOfTheCoursesStep(t *testing.T) {
	const test = "package cmd\n\nimport \"testing\"\n\nfunc TestFirst(t *testing.T) {}\n"
	files := map[string]string{"rpc/rpc.go": "package rpc\n", "cmd/a_test.go": test}
	const code = "package %s\n\nimport _ \"example.com/rpc-from-scratch/step02-json-protocol/rpc\"\n"
	const want = `.go:3: this path is that of our step. Yours begins with your module's name: "example.com/mine/rpc". (go get does not help.)`
	target := plant(t, files, files, map[string]string{"rpc/rpc.go": "package rpc\n", "cmd/a_test.go": test, "cmd/a.go": fmt.Sprintf(code, "cmd")})
	report := run(t, target, Options{})
	assert.Equal(t, []string{"cmd/a" + want}, report.Packages[0].Errors)

	target = plant(t, files, files, map[string]string{"rpc/rpc.go": "package rpc\n", "cmd/a_test.go": test, "tool/a.go": fmt.Sprintf(code, "tool")})
	report = run(t, target, Options{})
	assert.Equal(t, []string{"tool/a" + want}, report.Broken, "where there are no tests, too")
	assert.False(t, report.Done())
}

// A test that takes long gives its place to the next: what hangs, hangs together.
func TestRun_ATestThatTakesLongDoesNotHoldUpTheNext(t *testing.T) {
	seldom.Test(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { // each waits until the third has come
		defer ln.Close()
		for range 3 {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	t.Setenv("WORKSHOP_TEST_ADDR", ln.Addr().String())
	test := "package rpc\n\nimport (\n\t\"net\"\n\t\"os\"\n\t\"testing\"\n)\n"
	for i := range 3 {
		test += fmt.Sprintf("\nfunc TestWaits%d(t *testing.T) {\n\tconn, err := net.Dial(\"tcp\", os.Getenv(\"WORKSHOP_TEST_ADDR\"))\n\tif err == nil {\n\t\tconn.Read(make([]byte, 1))\n\t}\n}\n", i)
	}
	target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, map[string]string{"rpc/a_test.go": test}, map[string]string{"rpc/a_test.go": test})
	var late []string
	report := run(t, target, Options{Timeout: time.Minute, atOnce: 1, Late: func(test string) { late = append(late, test) }})
	assert.Equal(t, []string{"TestWaits0", "TestWaits1", "TestWaits2"}, report.Passed())
	assert.Equal(t, []string{"TestWaits0", "TestWaits1"}, late)
}

// A program that a test has started, and left behind, ends with the test: it would keep its
// port, and perhaps a processor.
func TestRun_EndsWhatATestHasStarted(t *testing.T) {
	seldom.Test(t)
	if runtime.GOOS == "windows" {
		t.Skip("there are no groups of processes")
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	t.Setenv("WORKSHOP_TEST_ADDR", ln.Addr().String())
	files := map[string]string{"rpc/a_test.go": `package rpc

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"testing"
)

func TestParent(t *testing.T) {
	if os.Getenv("WORKSHOP_TEST_CHILD") == "" {
		cmd := exec.Command(os.Args[0], "-test.run=^TestParent$")
		cmd.Env = append(os.Environ(), "WORKSHOP_TEST_CHILD=1")
		out, _ := cmd.StdoutPipe()
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		out.Read(make([]byte, 1))
		return
	}
	conn, err := net.Dial("tcp", os.Getenv("WORKSHOP_TEST_ADDR"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("connected")
	conn.Read(make([]byte, 1))
	fmt.Fprint(conn, "still here")
}
`}
	target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, files, files)
	report := run(t, target, Options{Timeout: time.Minute})
	assert.Equal(t, []string{"TestParent"}, report.Passed())
	child, err := ln.Accept()
	require.NoError(t, err)
	defer child.Close()
	child.Write([]byte("?"))
	said, _ := io.ReadAll(child)
	assert.Empty(t, string(said))
}

// What hangs at first at a station are its new tests: they do not keep the others from
// being run.
func TestRun_NewTestsThatHangComeLast(t *testing.T) {
	seldom.Test(t)
	const good = "package rpc\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) {}\n"
	test := "package rpc\n\nimport \"testing\"\n"
	for i := range maxHung + 1 {
		test += fmt.Sprintf("\nfunc TestHang%d(t *testing.T) { select {} }\n", i)
	}
	files := map[string]string{"rpc/a_test.go": test, "rpc/b_test.go": good}
	report := run(t, plant(t, map[string]string{"rpc/b_test.go": good}, files, files), Options{Timeout: time.Second, atOnce: 1})
	assert.Equal(t, []string{"TestGood"}, report.Passed())
	assert.Equal(t, 1, report.count(LeftOut))
}

func TestRun_LeavesOutTestsAfterThreeThatHang(t *testing.T) {
	seldom.Test(t)
	count := maxHung + runtime.NumCPU() + 1 // two more than can hang
	test := "package rpc\n\nimport \"testing\"\n"
	for i := range count {
		test += fmt.Sprintf("\nfunc TestHang%d(t *testing.T) { select {} }\n", i)
	}
	target := plant(t, map[string]string{"rpc/rpc.go": "package rpc\n"}, map[string]string{"rpc/a_test.go": test}, map[string]string{"rpc/a_test.go": test})
	var last, all int
	report := run(t, target, Options{Timeout: time.Second, Progress: func(ended, of int) { last, all = ended, of }})
	hung, leftOut := 0, 0
	for _, r := range report.Results {
		switch r.Status {
		case Hung:
			hung++
		case LeftOut:
			leftOut++
		}
	}
	assert.GreaterOrEqual(t, hung, maxHung)
	assert.Equal(t, count, hung+leftOut)
	assert.Positive(t, leftOut)
	assert.Equal(t, hung, last)
	assert.Equal(t, count, all)
	assert.Len(t, report.ToDo(), count)
	text := printed(report, Printer{})
	assert.Contains(t, text, fmt.Sprintf("  to do   %d tests, not run\n", leftOut))
	assert.Contains(t, text, fmt.Sprintf("%d tests hang, probably for the same reason; %d others have not been run (\"go tool workshop check -run NAME\" runs one).", hung, leftOut))
}
