package verify

import (
	"context"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

// fast are flags that spare a go command work: a copy of a package is not compiled
// anew because it is in another folder, and nothing is linked for a debugger.
var fast = []string{"-trimpath", "-ldflags=-w"}

// goTest runs "go test" in dir, and returns what it prints and whether it passes.
// What it prints for a package that has no tests is left out.
func goTest(ctx context.Context, dir string, env []string, args ...string) (out string, passed bool, err error) {
	cmd := exec.CommandContext(ctx, "go", slices.Concat([]string{"test", "-timeout", "120s"}, fast, args)...)
	cmd.Dir = dir
	cmd.Env = append(console.Env(), env...)
	text, err := cmd.CombinedOutput()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		err = ctx.Err()
	} else if err == nil {
		passed = true
	}
	return withoutEmpty(string(text)), passed, err
}

func withoutEmpty(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.HasSuffix(line, "[no test files]\n") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// short returns the beginning of a long output.
func short(out string) string {
	const most = 30
	lines := strings.SplitAfter(strings.TrimSpace(out), "\n")
	if len(lines) > most {
		lines = append(lines[:most], "…")
	}
	return strings.Join(lines, "")
}

// atOnce is how many pages, stations or exercises run at once.
const atOnce = 2

// eachAtOnce calls f for all items, as many at once as the machine can bear.
func eachAtOnce[T any](items []T, f func(T)) {
	var wg sync.WaitGroup
	room := make(chan struct{}, atOnce)
	for _, item := range items {
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			f(item)
		})
	}
	wg.Wait()
}
