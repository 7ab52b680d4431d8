package console

import (
	"bufio"
	"context"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	// patience is how long a program may take for a line that the lesson says
	// it prints.
	patience = 5 * time.Second
	// quiet is how long it prints nothing when it waits for more input.
	quiet = 300 * time.Millisecond
	// grace is for a line too much.
	grace = 30 * time.Millisecond
)

// A process is a command that runs.
type process struct {
	*exec.Cmd
	cancel context.CancelFunc
	stdin  io.WriteCloser
	lines  chan string // what it prints; closed after its last line
}

// start starts a command, its output and its errors in one stream as on a
// terminal.
func start(cmd *exec.Cmd, cancel context.CancelFunc) (*process, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.WaitDelay = time.Second // for a child of its own that holds the stream
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd, cancel, stdin, make(chan string, 1000)}
	go func() { w.CloseWithError(waited(cmd)) }()
	go p.read(r)
	return p, nil
}

// waited waits for the process to exit, and returns io.EOF.
func waited(cmd *exec.Cmd) error {
	cmd.Wait()
	return io.EOF
}

func (p *process) read(r io.Reader) {
	defer close(p.lines)
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadString('\n')
		if line != "" {
			p.lines <- strings.TrimRight(line, "\r\n")
		}
		if err != nil {
			return
		}
	}
}

// play types what the command's turns say, each when the program has printed
// what comes before, and returns what it printed. Unless it stays, its input ends
// after the last turn.
func (p *process) play(c *Command, stays bool) []Turn {
	var turns []Turn
	for i, turn := range c.Turns {
		if turn.Typed != "" {
			io.WriteString(p.stdin, turn.Input()+"\n")
		}
		last := i == len(c.Turns)-1
		var printed []string
		if i > 0 || !last || stays {
			printed = p.collect(expected(c, i))
		}
		if last && !stays {
			p.stdin.Close()
			printed = append(printed, p.rest()...)
		}
		turns = append(turns, Turn{turn.Typed, printed})
	}
	return turns
}

// What a block can say of a turn besides a number of lines.
const (
	unknown = -1 // it says nothing yet
	none    = -2 // the program waits for input from its start
)

// expected returns how many lines the block says the program prints in a turn.
func expected(c *Command, turn int) int {
	switch n := len(trim(c.Turns[turn].Output)); {
	case n == 0 && turn == 0 && len(c.Turns) > 1:
		return none
	case c.isBlank():
		return unknown
	default:
		return n
	}
}

// collect returns what the program prints until it has printed n lines; if n is
// 0 or unknown, until it is quiet; if none, what is there.
func (p *process) collect(n int) []string {
	var lines []string
	for {
		wait := patience
		switch {
		case n == none || n > 0 && len(lines) >= n:
			wait = grace
		case n == 0 || n == unknown && len(lines) > 0:
			wait = quiet
		}
		select {
		case line, ok := <-p.lines:
			if !ok {
				return lines
			}
			lines = append(lines, line)
		case <-time.After(wait):
			return lines
		}
	}
}

// rest returns what the program prints until it ends.
func (p *process) rest() []string {
	var lines []string
	for line := range p.lines {
		lines = append(lines, line)
	}
	return lines
}

// wait waits until the program has ended, and returns its exit status.
func (p *process) wait() int {
	p.rest()
	p.cancel()
	return p.ProcessState.ExitCode()
}

// end ends a program that stayed.
func (p *process) end() {
	p.stdin.Close()
	ended := make(chan struct{})
	go func() { p.rest(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(2 * time.Second):
	}
	p.cancel() // kills it
	<-ended
}
