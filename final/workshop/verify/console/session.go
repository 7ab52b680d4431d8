package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Session runs the console blocks of one lesson, in their order.
type Session struct {
	Dir   string            // where commands run
	Cache string            // where built programs are kept, a folder of the session's own
	Show  map[string]string // folders and what they are called in a lesson

	ports   portMap
	built   map[string]*program
	servers []*process
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
	cmd, isProgram, err := s.command(ctx, c.Words, stays)
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
	} else if status := p.wait(); isProgram && status != 0 {
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
	dirs := slices.Collect(maps.Keys(s.Show))
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) }) // the inner first
	for _, dir := range dirs {
		line = strings.ReplaceAll(line, dir, s.Show[dir])
	}
	return strings.ReplaceAll(line, runtime.GOROOT(), "/usr/local/go")
}

// command makes a process of words. A program that "go run" is to run is built
// once and run itself, so that it can be told its ports, and ended.
func (s *Session) command(ctx context.Context, words []string, stays bool) (cmd *exec.Cmd, isProgram bool, err error) {
	flags, pkg, args, isProgram := goRun(words)
	if !isProgram {
		cmd = exec.CommandContext(ctx, words[0], words[1:]...)
	} else {
		prog, err := s.build(ctx, flags, pkg)
		if err != nil {
			return nil, false, err
		}
		given, err := prog.args(args, stays, &s.ports)
		if err != nil {
			return nil, false, err
		}
		cmd = exec.CommandContext(ctx, prog.file, given...)
	}
	cmd.Dir = s.Dir
	cmd.Env = Env()
	return cmd, isProgram, nil
}

// goRun takes apart "go run [flags] ./pkg [args]".
func goRun(words []string) (flags []string, pkg string, args []string, ok bool) {
	if len(words) < 3 || words[0] != "go" || words[1] != "run" {
		return nil, "", nil, false
	}
	for i, word := range words[2:] {
		if !strings.HasPrefix(word, "-") {
			return words[2 : 2+i], word, words[2+i+1:], true
		}
	}
	return nil, "", nil, false
}

// build builds a program, once a session.
func (s *Session) build(ctx context.Context, flags []string, pkg string) (*program, error) {
	key := strings.Join(append(flags, pkg), " ")
	if prog, ok := s.built[key]; ok {
		return prog, nil
	}
	dir, err := os.MkdirTemp(s.Cache, "program")
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, path.Base(pkg))
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	args := append([]string{"build", "-buildvcs=false", "-o", file}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir, cmd.Env = s.Dir, Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s does not build:\n%s", pkg, out)
	}
	prog := &program{file: file}
	prog.readFlags(ctx)
	if s.built == nil {
		s.built = make(map[string]*program)
	}
	s.built[key] = prog
	return prog, nil
}

// Env returns the environment that commands run in: the reader's, without what
// would change what they print.
func Env() []string {
	var env []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "GOFLAGS", "GOWORK", "GOTOOLCHAIN", "GORACE", "GOTRACEBACK", "GODEBUG":
			continue
		}
		env = append(env, pair)
	}
	return append(env, "GOTOOLCHAIN=local", "GORACE=atexit_sleep_ms=0", "NO_COLOR=1", "LC_ALL=C",
		"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
}
