package engine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/check/watch"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A running engine checks the tests of a package own, in a learner's folder, and puts
// its events on a channel.
type running struct {
	dir    string
	events chan Event
	told   chan *check.Report
	end    func()
}

func (r *running) Report(c *check.Report) { r.told <- c }

// folder makes a learner's folder with no tests but those of the package own.
func folder(t *testing.T) string {
	t.Helper()
	t.Setenv("GOPROXY", "off")
	root, err := course.Root(".")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, starter.Write(root, course.Stations[0], dir))
	return dir
}

// save writes the one test of the package own. The engine sees all of it or nothing: one that
// looked between two writes would check half a file, too.
func save(t *testing.T, dir, body string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "own"), 0o777))
	text := "package own\n\nimport (\n\t\"fmt\"\n\t\"testing\"\n)\n\nvar _ = fmt.Sprint\n\nfunc TestOwn(t *testing.T) {\n" + body + "\n}\n"
	file := filepath.Join(dir, "own", "own_test.go")
	require.NoError(t, os.WriteFile(file+".tmp", []byte(text), 0o666)) // which is ignored
	require.NoError(t, os.Rename(file+".tmp", file))
}

func start(t *testing.T, dir string, options check.Options) *running {
	t.Helper()
	r := &running{dir: dir, events: make(chan Event, 1000), told: make(chan *check.Report, 10)}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	e := &Engine{Dir: dir, Quick: true, Watch: watch.Options{Settle: time.Millisecond}, Reporters: []Reporter{r},
		Options: func(context.Context, check.Target) (check.Options, error) { return options, nil }}
	go func() { ended <- e.Run(ctx, func(e Event) { r.events <- e }) }()
	r.end = func() {
		cancel()
		require.NoError(t, <-ended)
	}
	t.Cleanup(r.end)
	return r
}

// until returns the events up to the first of that kind.
func (r *running) until(t *testing.T, kind Kind) (before []Event, last Event) {
	t.Helper()
	for {
		select {
		case e := <-r.events:
			require.NoError(t, e.Err)
			if e.Kind == kind {
				return before, e
			}
			before = append(before, e)
		case <-time.After(3 * time.Minute):
			require.FailNow(t, "no such event", kind)
		}
	}
}

// Whatever happens in the code, the engine says it, and goes on.
func TestEngine_SaysWhatHappens(t *testing.T) {
	seldom.Test(t)
	dir := folder(t)
	save(t, dir, "\tt.Error(\"planted\")")
	p, err := progress.Open(dir)
	require.NoError(t, err)
	p.Record(nil, []string{"TestOwn"}, false)
	require.NoError(t, p.Save())
	r := start(t, dir, check.Options{Run: own, Timeout: 3 * time.Minute, NoVet: true})

	before, last := r.until(t, Checked)
	assert.Equal(t, Saved, before[0].Kind)
	assert.Equal(t, []Kind{Saved, Tested, Tested}, kinds(before), "the quick look, then the check")
	assert.Equal(t, check.Failed, before[1].Result.Status)
	assert.Equal(t, "planted", last.Report.Explain(last.Report.Results[0]).Cause)

	for _, c := range []struct {
		name, body string
		status     check.Status
	}{
		{"a panic", "\tpanic(\"planted\")", check.Panicked},
		{"a flood", "\tfor range 200_000 {\n\t\tfmt.Println(\"flood\")\n\t}\n\tt.Error(\"flooded\")", check.Failed},
		{"all well", "", check.Passed},
	} {
		save(t, dir, c.body)
		before, last := r.until(t, Checked)
		tested := slices.DeleteFunc(slices.Clone(before), func(e Event) bool { return e.Kind != Tested })
		require.NotEmpty(t, tested, c.name)
		result := tested[len(tested)-1].Result
		assert.Equal(t, c.status, result.Status, c.name)
		if c.name == "a flood" {
			assert.Positive(t, result.Cut)
			assert.Equal(t, result.Cut, last.Report.Explain(result).Cut)
		}
	}

	save(t, dir, "\tnothing(")
	before, last = r.until(t, Checked)
	assert.Contains(t, kinds(before), NotCompiled, "told at once")
	assert.Contains(t, last.Report.Mistakes()[0].String(), "own does not compile")
}

// A test that hangs is late first. No test of this engine has to end within the short time
// that it gives them.
func TestEngine_SaysWhatHangs(t *testing.T) {
	dir := folder(t)
	save(t, dir, "\tselect {}")
	r := start(t, dir, check.Options{Run: own, Timeout: 5 * time.Second, NoVet: true})
	before, last := r.until(t, Checked)
	assert.Equal(t, []Kind{Saved, Late, Tested}, kinds(before))
	assert.Equal(t, "TestOwn", before[1].Test)
	assert.Equal(t, check.Hung, before[2].Result.Status)
	waiting := last.Report.Explain(before[2].Result).Waiting
	require.NotEmpty(t, waiting)
	assert.Contains(t, waiting[0].Own[0], "own/own_test.go:11")
}

var own = check.Only("TestOwn")

func kinds(events []Event) (all []Kind) {
	for _, e := range events {
		all = append(all, e.Kind)
	}
	return all
}

func TestEngine_TellsReporters(t *testing.T) {
	r := &running{told: make(chan *check.Report, 1)}
	e := &Engine{Reporters: []Reporter{r}}
	report := &check.Report{Results: []check.Result{{Test: course.Test{Name: "A"}, Status: check.Passed}}}
	e.tell(Event{Kind: Checked, Report: report})
	assert.Empty(t, r.told, "a check of some tests")
	e.tell(Event{Kind: Checked, Report: report, All: true})
	assert.Equal(t, []string{"A"}, (<-r.told).Passed())
}

// TestMain makes this test binary stand in for a program that holds a folder's lock.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HOLD"); dir != "" {
		_, err := Hold(dir, Holder{Command: "studio", PID: os.Getpid(), URL: "http://127.0.0.1:1/?token=x"})
		if err != nil {
			os.Stdout.WriteString(err.Error())
		} else {
			os.Stdout.WriteString("held")
		}
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// hold starts a process that takes a folder's lock, and returns what it says. end ends it.
func hold(t *testing.T, dir string) (says string, end func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HOLD="+dir)
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	end = func() { stdin.Close(); cmd.Wait() }
	t.Cleanup(end)
	text := make([]byte, 1000)
	n, err := stdout.Read(text)
	require.NoError(t, err)
	return string(text[:n]), end
}

func TestHold_OneProcessPerFolder(t *testing.T) {
	dir := t.TempDir()
	first, end := hold(t, dir)
	require.Equal(t, "held", first)
	second, _ := hold(t, dir)
	assert.Contains(t, second, "running already: http://127.0.0.1:1/?token=x", "it says where the first one is")

	end() // without giving it back, as a process that is killed
	l, err := Hold(dir, Holder{Command: "watch", PID: 7})
	require.NoError(t, err)
	_, err = Hold(dir, Holder{Command: "watch"})
	var held *HeldError
	require.ErrorAs(t, err, &held)
	assert.Equal(t, Holder{Command: "watch", PID: 7}, held.Holder)
	assert.Equal(t, "watch is running already in "+dir+" (process 7): end it with Ctrl-C first", err.Error())
	require.NoError(t, l.Release())
	assert.NoFileExists(t, filepath.Join(dir, lockName))
	l, err = Hold(dir, Holder{})
	require.NoError(t, err)
	require.NoError(t, l.Release())
	assert.True(t, strings.HasPrefix(lockName, "."), "watch does not look at it")

	l, err = Hold(filepath.Join(dir, "nothing"), Holder{})
	require.NoError(t, err, "where nothing can be written, there is no lock")
	require.NoError(t, l.Release())
}
