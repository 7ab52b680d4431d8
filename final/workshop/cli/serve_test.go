package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// A process is a server that a script has started.
type process struct {
	*exec.Cmd
	stdin io.Closer // closing it ends the program
	out   chan error
}

// serve NAME PROG ARGS... starts a program, waits until it says that it listens,
// and sets $NAME to the address. What it prints goes to $WORK/NAME.out.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: serve NAME PROG ARGS...")
	}
	addr, _, _ := strings.Cut(begin(ts, args[0], ts.Getenv("WORK"), "listening on ", args[1:]...), ",")
	ts.Setenv(args[0], addr)
}

// studio NAME starts the studio of the current folder, and waits until it says where it is.
func studio(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: studio NAME")
	}
	begin(ts, args[0], ts.MkAbs("."), "The studio of ", "workshop", "studio", "-until-eof", "-race=false")
}

// begin starts a program, and returns what follows the prefix on its first line.
func begin(ts *testscript.TestScript, name, dir, prefix string, args ...string) string {
	p := &process{Cmd: exec.Command(args[0], args[1:]...), out: make(chan error, 1)}
	p.Dir = dir
	p.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else it takes a second to end
	p.Stderr = os.Stderr
	var err error
	p.stdin, err = p.StdinPipe()
	ts.Check(err)
	stdout, err := p.StdoutPipe()
	ts.Check(err)
	file, err := os.Create(filepath.Join(ts.Getenv("WORK"), name+".out"))
	ts.Check(err)
	ts.Check(p.Start())
	ts.Defer(func() { p.Process.Kill(); p.end(); file.Close() })

	in := bufio.NewReader(stdout)
	line, err := in.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
	if err != nil || !ok {
		ts.Fatalf("%s printed %q, not its address: %v", args[0], line, err)
	}
	go func() {
		_, err := io.Copy(file, in)
		p.out <- err
	}()
	ts.Value("servers").(map[string]*process)[name] = p
	return addr
}

// crash is a server that ends when it is first connected to.
func crash() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		fmt.Println("listening on", ln.Addr())
		_, err = ln.Accept()
	}
	fmt.Fprintln(os.Stderr, "crasher:", err)
	os.Exit(3)
}

// end NAME... ends programs that serve started, by closing their standard input,
// and checks that they exit with status 0.
func end(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args {
		p := ts.Value("servers").(map[string]*process)[name]
		if neg || p == nil {
			ts.Fatalf("%s was not started by serve", name)
		}
		ts.Check(p.end())
	}
}

func (p *process) end() error {
	p.stdin.Close()
	if p.ProcessState != nil {
		return nil
	}
	if err := <-p.out; err != nil {
		return err
	}
	return p.Wait()
}
