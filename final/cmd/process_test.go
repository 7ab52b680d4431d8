package cmd_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// A process is a server that a test has started. It belongs to one goroutine.
type process struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer     // closing it ends the program
	out   *bufio.Reader // what it prints after its address
}

// startProcess starts a program in dir, on a free port unless args say otherwise,
// and waits until it listens.
func startProcess(dir string, stderr io.Writer, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, append([]string{"-addr", "127.0.0.1:0", "-until-eof"}, args...)...)}
	p.cmd.Dir = dir
	p.cmd.Stderr = stderr
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(stdout)
	line, err := p.out.ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		p.kill()
		return nil, fmt.Errorf("it printed %q, not its address: %w", line, err)
	}
	p.addr = addr
	return p, nil
}

// kill ends the process without warning and waits until it is gone.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	p.cmd.Process.Kill()
	p.cmd.Wait()
	p.stdin.Close()
}

// isEmpty reports whether dir is there and nothing is in it.
func isEmpty(dir string) bool {
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == 0
}
