package conform

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"time"
)

const (
	startTime = time.Minute     // for a program to say that it listens: it may have to be compiled
	endTime   = 5 * time.Second // for it to end after its standard input has
)

// A program is a server that was started from here.
type program struct {
	addr   string
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr *tail
	done   chan struct{} // closed when it has ended
}

// start runs a command and waits until it says where it listens. What it writes to
// standard error goes to stderr.
func start(ctx context.Context, command []string, stderr *tail) (*program, error) {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stderr = stderr
	cmd.WaitDelay = time.Second // a child of its own may hold its output open
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, out := io.Pipe()
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &program{cmd: cmd, stdin: stdin, stderr: stderr, done: make(chan struct{})}
	addr := make(chan string, 1)
	go follow(stdout, addr)
	go func() {
		defer close(p.done)
		cmd.Wait()
		out.Close()
	}()
	select {
	case p.addr = <-addr:
	case <-time.After(startTime):
	}
	if p.addr == "" {
		p.kill()
		return nil, fmt.Errorf("%s did not print \"listening on ADDR\"%s", command[0], stderr.said())
	}
	return p, nil
}

// follow reads what the program prints until it ends: its address, "" if it says none.
func follow(stdout io.Reader, addr chan<- string) {
	lines := bufio.NewScanner(stdout)
	said := false
	for lines.Scan() {
		if _, at, ok := strings.Cut(lines.Text(), "listening on "); ok && !said {
			said = true
			at, _, _ = strings.Cut(at, " ")
			addr <- strings.TrimRight(at, ",")
		}
	}
	if !said {
		addr <- ""
	}
	io.Copy(io.Discard, stdout) // a line may have been too long
}

// early reports that the program has ended though nobody told it to.
func (p *program) early(timeout time.Duration) error {
	conn, err := net.DialTimeout("tcp", p.addr, timeout)
	if err == nil {
		return conn.Close()
	}
	select {
	case <-p.done:
		return fmt.Errorf("the server ended while it was tested: %s%s", p.cmd.ProcessState, p.stderr.said())
	case <-time.After(endTime):
		return fmt.Errorf("the server does not listen any more: %w", err)
	}
}

// end ends the program's standard input, waits for its end, and kills it if that
// does not come. It may be called again.
func (p *program) end() error {
	p.stdin.Close()
	select {
	case <-p.done:
		return nil
	case <-time.After(endTime):
	}
	p.kill()
	return errors.New("the server does not end when its standard input does")
}

func (p *program) kill() {
	p.cmd.Process.Kill()
	<-p.done
}
