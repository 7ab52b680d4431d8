package rpc_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seeded is a test that runs what seeds make: as many as its variable says, in child
// processes, since a broken promise may be a panic on the package's goroutines or a
// clock that stands still.
type seeded struct {
	name, variable string
	what           string        // a seed makes
	short          int           // seeds for each number of processors, without the variable
	batch          int           // seeds in one process
	limit          time.Duration // of one process; 0: five minutes
	parts          func(seed int) int
	run            func(t *testing.T, seed int, keep []int, real bool)
}

// seededProcs is the numbers of processors; "" is all.
var seededProcs = []string{"1", ""}

func (s *seeded) test(t *testing.T) {
	todo := os.Getenv(s.variable)
	limit, err := time.ParseDuration(todo)
	switch {
	case todo == "":
		for half, procs := range seededProcs {
			from := 1 + half*s.short
			s.mustRun(t, procs, from, from+s.short-1)
		}
	case err != nil || todo == "0":
		s.here(t, todo)
	default:
		s.forTime(t, limit)
	}
}

// forTime runs new seeds for so long, with one processor and with all at the same time.
func (s *seeded) forTime(t *testing.T, limit time.Duration) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex
	next, ran, failed := int(time.Now().Unix()%1e8*1000), 0, ""
	for _, procs := range seededProcs {
		all.Go(func() {
			for ctx.Err() == nil {
				mu.Lock()
				from := next
				next += s.batch
				mu.Unlock()
				report := s.tryRun(t, procs, from, from+s.batch-1)
				mu.Lock()
				if ran += s.batch; report != "" {
					failed = report
					cancel()
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if failed != "" {
		t.Fatal(failed)
	}
	t.Logf("%d %ss, %.0f a minute", ran, s.what, float64(ran)/time.Since(begun).Minutes())
}

// ran checks that a child process has run its last seed: one that finds no test to run
// succeeds, too.
func (s *seeded) ran(t *testing.T, out string, last int) {
	t.Helper()
	require.Contains(t, out, fmt.Sprintf("\n%s %d begins\n", s.what, last))
}

// mustRun runs seeds in a child process. The first one that fails fails the test.
func (s *seeded) mustRun(t *testing.T, procs string, from, to int) {
	t.Helper()
	if report := s.tryRun(t, procs, from, to); report != "" {
		t.Fatal(report)
	}
}

// tryRun returns what there is to say of the first seed that fails, "" for nothing.
func (s *seeded) tryRun(t *testing.T, procs string, from, to int) (report string) {
	for {
		begun := time.Now()
		out, ok := s.child(t, procs, fmt.Sprintf("%d-%d", from, to))
		switch i := strings.LastIndex(out, "\n"+s.what+" "); {
		case ok && strings.Contains(out, fmt.Sprintf("\n%s %d begins\n", s.what, to)):
			return ""
		case i < 0:
			return "the child process has run nothing:\n" + out
		default:
			out = out[i+1:]
		}
		seed, err := strconv.Atoi(strings.TrimSuffix(strings.Fields(out)[1], ":"))
		switch {
		case err != nil:
			return out
		case !timedOut(out):
			return s.broken(t, procs, seed, time.Since(begun), out)
		case seed == from:
			return fmt.Sprintf("%s %d does not end within %v. Run it again:\n%s\n%s",
				s.what, seed, s.timeLimit(), s.command(procs, strconv.Itoa(seed)), out[:min(len(out), 30_000)])
		}
		from = seed // the machine is slow: the seeds before have ended
	}
}

// timedOut reports whether a child process had no time left: that is no broken promise.
func timedOut(out string) bool { return strings.Contains(out, "panic: test timed out after ") }

// broken makes a seed that has failed shorter, and says how to run it again.
func (s *seeded) broken(t *testing.T, procs string, seed int, after time.Duration, out string) string {
	shorter, shortOut := s.shrink(t, procs, seed)
	if shorter != "" {
		out = shortOut
	}
	return fmt.Sprintf("%s %d broke a promise after %v. Run it again, a thousand times:\n%s\n%s",
		s.what, seed, after.Round(time.Millisecond), s.command(procs, cmp.Or(shorter, strconv.Itoa(seed))+"x1000"), out[:min(len(out), 30_000)])
}

// command returns the command that runs seeds.
func (s *seeded) command(procs, todo string) string {
	if procs != "" {
		procs = "GOMAXPROCS=" + procs + " "
	}
	return fmt.Sprintf("%s%s=%s go test -count=1 -run '^%s$' ./rpc", procs, s.variable, todo, s.name)
}

func (s *seeded) timeLimit() time.Duration { return cmp.Or(s.limit, 5*time.Minute) }

// child runs seeds in a child process and returns what it prints.
func (s *seeded) child(t *testing.T, procs, todo string) (out string, ok bool) {
	self, err := os.Executable()
	if err != nil {
		return err.Error(), false
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+s.name+"$", "-test.count=1", "-test.timeout="+s.timeLimit().String())
	cmd.Env = append(os.Environ(), s.variable+"="+todo)
	if procs != "" {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+procs)
	}
	b, err := cmd.CombinedOutput()
	return "\n" + string(b), err == nil
}

// shrink leaves out parts for as long as the seed fails without them, and returns what
// to run and its output; "" if the failure does not come again.
func (s *seeded) shrink(t *testing.T, procs string, seed int) (todo, out string) {
	var keep []int
	for i := range s.parts(seed) {
		keep = append(keep, i)
	}
	end := time.Now().Add(15 * time.Second)
	fails := func(keep []int) bool {
		try := seededTodo(seed, keep)
		output, ok := s.child(t, procs, try+"x10")
		failed := !ok && !timedOut(output)
		if failed {
			todo, out = try, output[strings.LastIndex(output, "\n"+s.what+" ")+1:]
		}
		return failed
	}
	if !fails(keep) {
		return "", ""
	}
	for size := len(keep) / 2; size > 0; size /= 2 {
		for at := 0; at < len(keep) && time.Now().Before(end); {
			without := slices.Delete(slices.Clone(keep), at, min(at+size, len(keep)))
			if len(without) > 0 && fails(without) {
				keep = without
			} else {
				at += size
			}
		}
	}
	return todo, out
}

func seededTodo(seed int, keep []int) string {
	list := make([]string, len(keep))
	for i, index := range keep {
		list[i] = strconv.Itoa(index)
	}
	return strconv.Itoa(seed) + ":" + strings.Join(list, ",")
}

// here runs in this process what the variable says.
func (s *seeded) here(t *testing.T, todo string) {
	todo, real := strings.CutPrefix(todo, "tcp:")
	what, count, _ := strings.Cut(todo, "x")
	times, _ := strconv.Atoi(count)
	seeds, list, some := strings.Cut(what, ":")
	var keep []int
	for _, part := range strings.Split(list, ",") {
		if some {
			index, err := strconv.Atoi(part)
			require.NoError(t, err)
			keep = append(keep, index)
		}
	}
	first, last, isRange := strings.Cut(seeds, "-")
	from, err := strconv.Atoi(first)
	require.NoError(t, err, "%s=%q", s.variable, todo)
	to := from
	if isRange {
		to, err = strconv.Atoi(last)
		require.NoError(t, err, "%s=%q", s.variable, todo)
	}
	for range max(times, 1) {
		for seed := from; seed <= to; seed++ {
			fmt.Printf("%s %d begins\n", s.what, seed) // before it runs, for it may end the process
			s.run(t, seed, keep, real)
		}
	}
}
