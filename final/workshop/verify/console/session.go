package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Session runs the console blocks of one lesson, in their order.
type Session struct {
	Dir   string            // where commands run
	Cache string            // where built programs are kept, a folder of the session's own
	Show  map[string]string // folders and what they are called in a lesson

	ports    portMap
	programs map[string]*program
	servers  []*process
}

// limit is how long one command may take: a lesson is for people who wait.
const limit = 5 * time.Minute

// Run runs a block's commands and returns it as they printed it. With stays, the
// last one goes on until End. It returns an error only for what cannot be run.
func (s *Session) Run(ctx context.Context, b *Block, stays bool) (*Block, error) {
	printed := &Block{}
	for i, c := range b.Commands {
		turns, err := s.run(ctx, c, stays && i == len(b.Commands)-1)
		if err != nil {
			return nil, fmt.Errorf("$ %s: %w", c.Line, err)
		}
		printed.Commands = append(printed.Commands, &Command{Line: c.Line, Words: c.Words, Turns: turns})
	}
	return printed, nil
}

// End ends the servers that stayed: by closing their standard input, or else by
// killing them.
func (s *Session) End() {
	for _, p := range s.servers {
		p.end()
	}
	s.servers = nil
}

func (s *Session) run(ctx context.Context, c *Command, stays bool) ([]Turn, error) {
	ctx, cancel := bounded(ctx, stays)
	cmd, isRun, err := s.command(ctx, c.Words, stays)
	if err != nil {
		cancel()
		return nil, err
	}
	p, err := start(cmd, cancel)
	if err != nil {
		cancel()
		return nil, err
	}
	turns := p.play(c, stays)
	if stays {
		s.servers = append(s.servers, p)
	} else if status := p.wait(); isRun && status != 0 {
		turns = append(turns, Turn{})
		last := &turns[len(turns)-1]
		last.Output = []string{fmt.Sprintf("exit status %d", status)} // as go run says it
	}
	for i := range turns {
		turns[i].Output = mapped(turns[i].Output, s.shown)
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return nil, fmt.Errorf("it has not ended after %v", limit)
	}
	return turns, nil
}

// bounded returns a context for one command.
func bounded(ctx context.Context, stays bool) (context.Context, context.CancelFunc) {
	if stays {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

// shown puts into a line what a lesson shows in place of what is real here.
func (s *Session) shown(line string) string {
	line = s.ports.toShown(line)
	if root := goRoot(); root != "" {
		line = strings.ReplaceAll(line, root, "/usr/local/go")
	}
	dirs := slices.Collect(maps.Keys(s.Show))
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) }) // the inner first
	for _, dir := range dirs {
		line = strings.ReplaceAll(line, dir, s.Show[dir])
	}
	return line
}

// goRoot is where Go is installed, as its tools print it.
var goRoot = sync.OnceValue(func() string {
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
})
