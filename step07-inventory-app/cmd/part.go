package cmd

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// A part is a process of the shop.
type part struct {
	addr string // where it listens
	end  func() error
}

// startPart starts this program again as that part of the shop, on a free port,
// and waits until it listens. The part ends when ctx ends, when end is called, or
// when this process ends for any reason, since that closes the part's input.
func startPart(ctx context.Context, name string, args ...string) (*part, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{name, "-addr", "127.0.0.1:0", "-until-eof"}, args...)...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &part{end: sync.OnceValue(func() error {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	})}
	p.addr, err = readAddr(stdout)
	if err != nil {
		p.end()
		return nil, fmt.Errorf("%s did not start: %w", name, err)
	}
	return p, nil
}

// readAddr reads the line in which a server says where it listens.
func readAddr(r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		return "", err
	}
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if !ok {
		return "", fmt.Errorf("it says %q", line)
	}
	return addr, nil
}
