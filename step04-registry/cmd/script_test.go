package cmd_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/rpc-from-scratch/step04-registry/cmd"
)

// TestMain makes this test binary stand in for the step's programs, so that
// scripts run them as real processes without building anything.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"server": cmd.Server,
		"raw":    cmd.Raw,
		"client": cmd.Client,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "../testdata/script",
		Setup: func(env *testscript.Env) error {
			// Else every program under -race takes a second to end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values["servers"] = map[string]*process{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":  serve,
			"end":    end,
			"trim":   trim,
			"status": status,
		},
	})
}

// A process is a server that a script has started.
type process struct {
	*exec.Cmd
	stdin  io.Closer // closing it ends the program
	stderr *os.File
}

// serve PROG ARGS... starts a program on a free port, waits until it says that
// it listens, and sets $ADDR. Its standard error goes to the file PROG.log.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve PROG ARGS...")
	}
	p := &process{Cmd: exec.Command(args[0], append([]string{"-addr", "127.0.0.1:0", "-until-eof"}, args[1:]...)...)}
	p.Dir = ts.Getenv("WORK")
	p.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var err error
	p.stderr, err = os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	p.Stderr = p.stderr
	p.stdin, err = p.StdinPipe()
	ts.Check(err)
	stdout, err := p.StdoutPipe()
	ts.Check(err)
	ts.Check(p.Start())
	ts.Defer(func() { p.Process.Kill(); p.wait() })

	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		ts.Fatalf("%s printed %q, not its address: %v", args[0], line, err)
	}
	ts.Setenv("ADDR", addr)
	ts.Value("servers").(map[string]*process)[args[0]] = p
}

// end PROG [INT|TERM] ends a program that serve started, by a signal or by
// closing its standard input, and checks that it exits with status 0.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: end PROG [INT|TERM]")
	}
	p := ts.Value("servers").(map[string]*process)[args[0]]
	if p == nil {
		ts.Fatalf("%s was not started by serve", args[0])
	}
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}
	if len(args) == 2 {
		ts.Check(p.Process.Signal(signals[args[1]]))
		ts.Check(p.Wait()) // its standard input is still open
	}
	ts.Check(p.wait())
}

// wait closes the program's standard input and waits for it to exit.
func (p *process) wait() error {
	defer p.stderr.Close()
	p.stdin.Close()
	if p.ProcessState != nil {
		return nil
	}
	return p.Wait()
}

// trim FILE takes the newline off the file's end: an archive cannot hold a file
// without one.
func trim(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: trim FILE")
	}
	text := strings.TrimSuffix(ts.ReadFile(args[0]), "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
}

// status N PROG ARGS... runs a program and checks that it exits with status N.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROG ARGS...")
	}
	got := 0
	if exit := new(exec.ExitError); errors.As(ts.Exec(args[1], args[2:]...), &exit) {
		got = exit.ExitCode()
	}
	if fmt.Sprint(got) != args[0] {
		ts.Fatalf("exit status %d, want %s", got, args[0])
	}
}
