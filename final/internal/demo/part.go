package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/internal/shop"
)

// A role is what the demo's program can be told, by its first argument, to play. So there
// is nothing to build or install before it runs.
type role func(args []string, discover program.Discover) (shop.Seen, error)

func roleOf(name string) role {
	switch name {
	case "inventory":
		return shop.RunInventory
	case "orders":
		return shop.RunOrders
	}
	return nil
}

// playRole is the whole program if it was started by startPart; otherwise it
// returns. A role ends when its standard input does, not by an interrupt:
// a terminal sends that to all its processes, and the demo ends its parts itself.
func playRole(discover program.Discover) {
	if len(os.Args) < 2 {
		return
	}
	name := os.Args[1]
	play := roleOf(name)
	if play == nil {
		return
	}
	signal.Ignore(os.Interrupt)
	saw, err := play(os.Args[2:], discover)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(saw)
	}
	program.Exit(name, err)
}

// A part is a process of the shop. It belongs to one goroutine.
type part struct {
	role   string
	addr   string // where it listens
	page   string // the URL of its metrics; empty without
	cmd    *exec.Cmd
	stdin  io.Closer // closing it ends the process, as the end of ours does
	stdout *bufio.Reader
	over   bool
}

// startPart starts this program again to play a role at addr, and waits until it
// listens. Its standard error is ours.
func startPart(role, addr string, args ...string) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	p := &part{role: role, cmd: exec.Command(self, append([]string{role, "-until-eof", "-addr", addr}, args...)...)}
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.stdout = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	if p.addr, err = p.readWord("listening on "); err == nil && slices.Contains(args, "-metrics") {
		p.page, err = p.readWord("metrics on ")
	}
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("%s did not start: %w", role, err)
	}
	return p, nil
}

// readWord reads the line in which a server says, after prefix, where something is.
func (p *part) readWord(prefix string) (string, error) {
	line, err := p.stdout.ReadString('\n')
	if err != nil {
		return "", err
	}
	word, ok := strings.CutPrefix(strings.TrimSpace(line), prefix)
	if !ok {
		return "", fmt.Errorf("it says %q", line)
	}
	return word, nil
}

// end tells the process to end, waits until it has, and returns what it saw.
func (p *part) end() (saw shop.Seen, err error) {
	p.over = true
	p.stdin.Close()
	line, readErr := io.ReadAll(p.stdout) // before Wait, which closes it
	if err := p.cmd.Wait(); err != nil {
		return saw, fmt.Errorf("%s: %w", p.role, err)
	}
	if readErr == nil {
		readErr = json.Unmarshal(line, &saw)
	}
	if readErr != nil {
		return saw, fmt.Errorf("%s: what it saw: %w", p.role, readErr)
	}
	return saw, nil
}

// kill ends the process without warning and waits until the system has removed
// it. It does nothing if the process has ended already.
func (p *part) kill() {
	if p.over {
		return
	}
	p.over = true
	p.cmd.Process.Kill()
	p.cmd.Wait() // an error that says that it was killed
	p.stdin.Close()
}
