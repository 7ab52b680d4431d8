package console

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/procgroup"
)

// command makes a process of words, and says whether it is a program that "go run"
// is to run: that is built once and run itself, so that it can be told its ports,
// and ended.
func (s *Session) command(ctx context.Context, words []string, stays bool) (cmd *exec.Cmd, isRun bool, err error) {
	var prog *program
	var given []string
	dir := s.Dir
	run := goRun(words)
	switch {
	case run != nil:
		dir, given = filepath.Join(s.Dir, run.dir), run.args
		prog, err = s.build(ctx, run)
	case isTool(words):
		given = words[4:]
		prog = s.tool(ctx, words[:4])
	}
	argv := words
	if err == nil && prog != nil {
		argv, err = prog.command(given, stays, &s.ports)
	}
	if err != nil {
		return nil, false, err
	}
	cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	procgroup.Set(cmd)
	cmd.Dir, cmd.Env = dir, Env()
	return cmd, run != nil, nil
}

// isTool reports whether words are a command of the course's tool, which may have
// ports, too.
func isTool(words []string) bool {
	return len(words) > 3 && slices.Equal(words[:3], []string{"go", "tool", "workshop"})
}

// A runCommand is "go [-C dir] run [flags] ./pkg [args]".
type runCommand struct {
	dir   string // below the session's
	flags []string
	pkg   string
	args  []string
}

// goRun takes such a command apart; it returns nil for another.
func goRun(words []string) *runCommand {
	r := &runCommand{}
	if words[0] != "go" {
		return nil
	}
	words = words[1:]
	if len(words) > 2 && words[0] == "-C" {
		r.dir, words = words[1], words[2:]
	}
	if len(words) < 2 || words[0] != "run" {
		return nil
	}
	for i, word := range words[1:] {
		if !strings.HasPrefix(word, "-") {
			r.flags, r.pkg, r.args = words[1:1+i], word, words[1+i+1:]
			return r
		}
	}
	return nil
}

// build builds a program, once a session.
func (s *Session) build(ctx context.Context, r *runCommand) (*program, error) {
	key := strings.Join(slices.Concat([]string{r.dir}, r.flags, []string{r.pkg}), " ")
	if prog, ok := s.programs[key]; ok {
		return prog, nil
	}
	dir, err := os.MkdirTemp(s.Cache, "program")
	if err != nil {
		return nil, err
	}
	in := filepath.Join(s.Dir, r.dir)
	file := filepath.Join(dir, filepath.Base(filepath.Join(in, r.pkg)))
	if runtime.GOOS == "windows" {
		file += ".exe"
	}
	args := slices.Concat([]string{"build", "-buildvcs=false", "-ldflags=-w", "-o", file}, r.flags, []string{r.pkg})
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = in, Env()
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s does not build:\n%s", r.pkg, out)
	}
	return s.learn(ctx, key, []string{file}), nil
}

// tool returns a command of the course's tool.
func (s *Session) tool(ctx context.Context, argv []string) *program {
	key := strings.Join(argv, " ")
	if prog, ok := s.programs[key]; ok {
		return prog
	}
	return s.learn(ctx, key, argv)
}

// learn notes how a program is called, and what flags it has.
func (s *Session) learn(ctx context.Context, key string, argv []string) *program {
	prog := &program{argv: argv}
	prog.readFlags(ctx, s.Dir)
	if s.programs == nil {
		s.programs = make(map[string]*program)
	}
	s.programs[key] = prog
	return prog
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
