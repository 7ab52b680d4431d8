package rpc_test

import (
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
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
	modelSeeds.test(t)
}

const modelVariable = "RPC_MODEL"

var modelSeeds = seeded{
	name: "TestModel_RandomProgramsKeepThePromises", variable: modelVariable, what: "program", short: 40, batch: 100,
	parts: func(seed int) int { return len(newModelProgram(seed).ops) },
	run:   runModelProgram,
}

func runModelProgram(t *testing.T, seed int, keep []int, real bool) {
	p := newModelProgram(seed)
	p.only(keep)
	if real {
		p.path, p.eject = "tcp", false // a pause of ejection is long
		p.run(t)
		return
	}
	synctest.Test(t, func(t *testing.T) { p.run(t) })
}

// Over TCP a program is judged by what its calls return, not by when.
func TestModel_RandomProgramsOverTCP(t *testing.T) {
	out, ok := modelSeeds.child(t, "", "tcp:1-5")
	if !ok {
		t.Fatalf("a program broke a promise over TCP. Run them again with %s=tcp:1-5\n%s", modelVariable, out[:min(len(out), 12_000)])
	}
	modelSeeds.ran(t, out, 5)
}

// What runs for the garbage collector was once taken for a goroutine that a program had
// left behind.
func TestModel_CountsNoGoroutineOfTheGarbageCollector(t *testing.T) {
	before, _ := goroutinesBut(0)
	for name, clean := range map[string]func(*[64]byte, func()){
		"cleanup":   func(v *[64]byte, f func()) { runtime.AddCleanup(v, func(int) { f() }, 0) },
		"finalizer": func(v *[64]byte, f func()) { runtime.SetFinalizer(v, func(*[64]byte) { f() }) },
	} {
		t.Run(name, func(t *testing.T) {
			runs, ends := make(chan struct{}), make(chan struct{})
			defer close(ends)
			clean(new([64]byte), func() { close(runs); <-ends })
			runtime.GC()
			<-runs
			n, stacks := goroutinesBut(before + 1) // the subtest is one more
			assert.LessOrEqual(t, n, 0, stacks)
		})
	}
}
