package rpccmd_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/rpc-from-scratch/final/internal/rpccmd"
)

// TestMain makes this test binary stand in for the program and for the servers
// that it talks to, so that scripts run them as real processes.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"rpc":        rpccmd.Main,
		"shopserver": shopServer,
		"peer":       peer,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// Else every program under -race takes a second to end.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve":     serve,
			"interrupt": interrupt,
			"exits":     exits,
			"converse":  converse,
		},
	})
}

// serve PROG ARGS... starts a program, waits until it says where it listens,
// and sets $ADDR. It ends with the script, when its standard input closes.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve PROG ARGS...")
	}
	cmd, stdin := command(ts, args)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	ts.Defer(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			ts.Fatalf("%s: %v", args[0], err)
		}
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		ts.Fatalf("%s printed %q, not its address: %v", args[0], line, err)
	}
	ts.Setenv("ADDR", addr)
}

// interrupt PROG ARGS... runs a program, sends it an interrupt as soon as it
// has said something on stderr, and checks that it exits with 0. Its standard
// output goes to the file PROG.out.
func interrupt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: interrupt PROG ARGS...")
	}
	cmd, _ := command(ts, args)
	out, err := os.Create(ts.MkAbs(args[0] + ".out"))
	ts.Check(err)
	defer out.Close()
	cmd.Stdout = out
	cmd.Stderr = nil
	stderr, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n')
	ts.Check(err)
	ts.Check(cmd.Process.Signal(os.Interrupt))
	rest, err := io.ReadAll(said)
	ts.Check(err)
	if err := cmd.Wait(); err != nil {
		ts.Fatalf("%s: %v\n%s%s", args[0], err, line, rest)
	}
}

// converse CODE SCRIPT PROG ARGS... runs a program as a terminal's user would. The lines of
// the file SCRIPT that begin with "> " are typed, those with "< " have to be printed before
// it goes on, one with "^C" is an interrupt. Standard input stays open until a line "^D", or
// the program's end, which must be with status CODE.
func converse(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: converse CODE SCRIPT PROG ARGS...")
	}
	cmd, stdin := command(ts, args[2:])
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	ts.Check(cmd.Start())
	printed := bufio.NewReader(stdout)
	for line := range strings.Lines(ts.ReadFile(args[1])) {
		line = strings.TrimRight(line, "\r\n")
		text, typed := strings.CutPrefix(line, "> ")
		want, awaited := strings.CutPrefix(line, "< ")
		switch {
		case typed:
			_, err := io.WriteString(stdin.(io.Writer), text+"\n")
			ts.Check(err)
		case awaited:
			got, err := printed.ReadString('\n')
			if got = strings.TrimRight(got, "\r\n"); got != want {
				ts.Fatalf("%s printed %q, not %q: %v\n%s", args[2], got, want, err, stderr.String())
			}
		case line == "^C":
			ts.Check(cmd.Process.Signal(os.Interrupt))
		case line == "^D":
			ts.Check(stdin.Close())
		default:
			ts.Fatalf("%s: line %q", args[1], line)
		}
	}
	rest, err := io.ReadAll(printed)
	ts.Check(err)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); strconv.Itoa(code) != args[0] || len(rest) > 0 {
		ts.Fatalf("%s ended with status %d, not %s, and printed %q\n%s", args[2], code, args[0], rest, stderr.String())
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[2]+".err"), []byte(stderr.String()), 0o666))
}

// exits CODE PROG ARGS... runs a program to its end, which must be with status
// CODE. Its outputs are for stdout and stderr to look at.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROG ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("%s ended with status %d, not %s", args[1], code, args[0])
	}
}

// command prepares a program in the script's folder.
func command(ts *testscript.TestScript, args []string) (*exec.Cmd, io.Closer) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	return cmd, stdin
}
