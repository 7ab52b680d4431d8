// Command levers measures what each lever of the framework's speed brings: it builds the
// benchmark once as it is, and once without each lever, and lets them take turns.
//
//	go run ./final/bench/levers                        # from the workspace's root
//	go run ./final/bench/levers -o final/bench/latest  # also keeps the figures
//
// A lever is taken away by a change of a line or two, by go build -overlay: the files in
// the workspace stay as they are. All builds take a minute or two, and need 50 MiB each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(os.Stderr, "levers: %v\n", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("levers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	rounds := flags.Int("rounds", 15, "rounds of each build under each workload")
	duration := flags.Duration("d", 100*time.Millisecond, "length of a round, after a warm-up of a quarter of it")
	out := flags.String("o", "", "`folder` to write "+figuresFile+" to (default: none, the table is printed alone)")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *rounds < 1 || *duration <= 0 {
		return errors.New("usage: levers [-rounds N] [-d DURATION] [-o FOLDER], all above 0")
	}
	final, err := finalDir(ctx)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "rpc-levers-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	builds, err := buildAll(ctx, final, dir, stderr)
	if err != nil {
		return err
	}
	f := figures{RoundFor: *duration}
	for round := range *rounds {
		fmt.Fprintf(stderr, "round %d of %d\n", round+1, *rounds)
		for i, exe := range builds { // in turns: whatever else the machine does falls on all
			if err := f.measure(ctx, i, exe, dir); err != nil {
				return err
			}
		}
	}
	f.write(stdout)
	if *out == "" {
		return nil
	}
	text, err := json.MarshalIndent(f, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(*out, figuresFile), append(text, '\n'), 0o666)
}

// finalDir returns the folder of the framework's module.
func finalDir(ctx context.Context) (string, error) {
	text, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "example.com/rpc-from-scratch/final/bench").Output()
	if err != nil {
		return "", fmt.Errorf("run this in the workspace: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(text))), nil
}

// buildAll returns the program as it is, and then the one without each lever.
func buildAll(ctx context.Context, final, dir string, stderr io.Writer) (builds []string, err error) {
	for i := range len(levers) + 1 {
		var without []lever
		name := "as it is"
		if i > 0 {
			without, name = levers[i-1:i], "without: "+levers[i-1].name
		}
		fmt.Fprintf(stderr, "build %d of %d, %s\n", i+1, len(levers)+1, name)
		exe := filepath.Join(dir, fmt.Sprintf("bench%d.exe", i))
		if err := build(ctx, final, exe, without); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		builds = append(builds, exe)
	}
	return builds, nil
}

// build builds the benchmark without these levers.
func build(ctx context.Context, final, exe string, without []lever) error {
	overlay, err := takeAway(final, exe+".d", without)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-overlay", overlay, "-o", exe, ".")
	cmd.Dir = filepath.Join(final, "bench")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// takeAway writes the files of final without these levers into dir, and returns the
// overlay that puts them in the place of final's.
func takeAway(final, dir string, without []lever) (overlay string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	texts := map[string]string{}
	for _, l := range without {
		file := filepath.Join(final, filepath.FromSlash(l.file))
		if texts[file] == "" {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			texts[file] = strings.ReplaceAll(string(text), "\r\n", "\n")
		}
		if n := strings.Count(texts[file], l.old); n != 1 {
			return "", fmt.Errorf("%s: %d times in %s: %q", l.name, n, l.file, l.old)
		}
		texts[file] = strings.Replace(texts[file], l.old, l.new, 1)
	}
	replaced := map[string]string{}
	for file, text := range texts {
		replaced[file] = filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(replaced[file], []byte(text), 0o666); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	overlay = filepath.Join(dir, "overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o666)
}
