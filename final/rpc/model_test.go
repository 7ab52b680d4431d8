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
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestModel_RandomProgramsKeepThePromises runs random programs of calls, cancels,
// deadlines, handlers that hang, panic and end their goroutine, cuts, go-aways,
// shutdowns and pools that change, and compares what happens with a model of the
// promises: see model_check_test.go.
//
// The programs run in a child process, since a broken promise may be a panic on
// the package's goroutines or a clock that stands still. A program that fails is
// made shorter and printed with the line that runs it again. RPC_MODEL is:
//
//	30s          new programs for so long
//	17           program 17, in this process
//	17:0,3,5     of program 17 these operations
//	17-40        programs 17 to 40
//	17:0,3,5x10  ten times
//	tcp:17-40    over TCP, in real time
func TestModel_RandomProgramsKeepThePromises(t *testing.T) {
	todo := os.Getenv(modelVariable)
	limit, err := time.ParseDuration(todo)
	switch {
	case todo == "":
		for half, procs := range []string{"1", ""} {
			from := 1 + half*modelShort
			modelBatch(t, procs, from, from+modelShort-1)
		}
	case err != nil || todo == "0":
		modelHere(t, todo)
	default:
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		n := 0
		for from := int(time.Now().Unix() % 1e8 * 1000); ctx.Err() == nil; from += modelBatchSize {
			modelBatch(t, []string{"1", ""}[n%2], from, from+modelBatchSize-1)
			n++
		}
		t.Logf("%d programs", n*modelBatchSize)
	}
}

const (
	modelVariable  = "RPC_MODEL"
	modelShort     = 40 // programs for each number of processors
	modelBatchSize = 100
)

// Over TCP a program is judged by what its calls return, not by when.
func TestModel_RandomProgramsOverTCP(t *testing.T) {
	out, ok := modelChild(t, "", "tcp:1-5")
	if !ok {
		t.Fatalf("a program broke a promise over TCP. Run them again with %s=tcp:1-5\n%s", modelVariable, out[:min(len(out), 12_000)])
	}
	modelRan(t, out, 5)
}

// modelRan checks that a child process has run its last program: one that finds no
// test to run succeeds, too.
func modelRan(t *testing.T, out string, last int) {
	t.Helper()
	require.Contains(t, out, fmt.Sprintf("\nprogram %d begins\n", last))
}

// modelBatch runs programs in a child process. The first one that fails fails the test.
func modelBatch(t *testing.T, procs string, from, to int) {
	t.Helper()
	begun := time.Now()
	out, ok := modelChild(t, procs, fmt.Sprintf("%d-%d", from, to))
	if ok {
		modelRan(t, out, to)
		return
	}
	i := strings.LastIndex(out, "\nprogram ")
	if i < 0 {
		t.Fatalf("the child process failed:\n%s", out)
	}
	out = out[i+1:]
	seed, err := strconv.Atoi(strings.TrimSuffix(strings.Fields(out)[1], ":"))
	require.NoError(t, err)
	after := time.Since(begun).Round(time.Millisecond)
	shorter, shortOut := modelShrink(t, procs, seed)
	if shorter != "" {
		out = shortOut
	}
	t.Fatalf("program %d broke a promise after %v. Run it again, a hundred times, with GOMAXPROCS=%s %s=%sx100\n%s",
		seed, after, procs, modelVariable, cmp.Or(shorter, strconv.Itoa(seed)), out[:min(len(out), 12_000)])
}

// modelChild runs programs in a child process and returns what it prints.
func modelChild(t *testing.T, procs, todo string) (out string, ok bool) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestModel_RandomProgramsKeepThePromises$", "-test.count=1", "-test.timeout=120s")
	cmd.Env = append(os.Environ(), modelVariable+"="+todo)
	if procs != "" {
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+procs)
	}
	b, err := cmd.CombinedOutput()
	return "\n" + string(b), err == nil
}

// modelShrink leaves out operations for as long as the program fails without them,
// and returns what to run and its output; "" if the failure does not come again.
func modelShrink(t *testing.T, procs string, seed int) (todo, out string) {
	t.Helper()
	var keep []int
	for i := range newModelProgram(seed).ops {
		keep = append(keep, i)
	}
	end := time.Now().Add(15 * time.Second)
	fails := func(keep []int) bool {
		try := modelTodo(seed, keep)
		output, ok := modelChild(t, procs, try+"x10")
		if !ok {
			todo, out = try, output[strings.LastIndex(output, "\nprogram ")+1:]
		}
		return !ok
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

func modelTodo(seed int, keep []int) string {
	list := make([]string, len(keep))
	for i, index := range keep {
		list[i] = strconv.Itoa(index)
	}
	return strconv.Itoa(seed) + ":" + strings.Join(list, ",")
}

// modelHere runs in this process what RPC_MODEL says.
func modelHere(t *testing.T, todo string) {
	todo, real := strings.CutPrefix(todo, "tcp:")
	what, count, _ := strings.Cut(todo, "x")
	times, _ := strconv.Atoi(count)
	seeds, list, some := strings.Cut(what, ":")
	var keep []int
	for _, s := range strings.Split(list, ",") {
		if some {
			index, err := strconv.Atoi(s)
			require.NoError(t, err)
			keep = append(keep, index)
		}
	}
	first, last, isRange := strings.Cut(seeds, "-")
	from, err := strconv.Atoi(first)
	require.NoError(t, err, "%s=%q", modelVariable, todo)
	to := from
	if isRange {
		to, err = strconv.Atoi(last)
		require.NoError(t, err, "%s=%q", modelVariable, todo)
	}
	for range max(times, 1) {
		for seed := from; seed <= to; seed++ {
			p := newModelProgram(seed)
			p.only(keep)
			fmt.Printf("program %d begins\n", seed) // before it runs, for it may end the process
			if real {
				p.path, p.eject = "tcp", false // a pause of ejection is long
				p.run(t)
				continue
			}
			synctest.Test(t, func(t *testing.T) { p.run(t) })
		}
	}
}
