// The programs are tested here as real processes. What they are made of has its tests in
// internal/program, internal/shop, internal/demo and internal/rpccmd.
package cmd_test

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"example.com/rpc-from-scratch/final/internal/demo"
	"example.com/rpc-from-scratch/final/internal/rpccmd"
	"example.com/rpc-from-scratch/final/internal/shop"
)

// TestMain makes this test binary stand in for the programs, so that scripts and
// tests run them as real processes without building anything.
func TestMain(m *testing.M) {
	// Else every program under -race takes a second to end.
	os.Setenv("GORACE", "atexit_sleep_ms=0")
	testscript.Main(m, map[string]func(){
		"inventory": shop.Inventory,
		"orders":    shop.Orders,
		"demo":      func() { demo.Main(nil) },
		"rpc":       rpccmd.Main,
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "../testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Values["servers"] = map[string]*process{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"certificate": certificate,

			"serve":  serve,
			"end":    end,
			"crash":  crash,
			"junk":   junk,
			"scrape": scrape,
			"post":   post,
			"get":    get,
		},
	})
}

// serve PROG ARGS... starts a program, on a free port unless ARGS say otherwise,
// waits until it listens, and sets $PROG to its address. Its standard error goes
// to the file PROG.log.
func serve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve PROG ARGS...")
	}
	log, err := os.Create(ts.MkAbs(args[0] + ".log"))
	ts.Check(err)
	p, err := startProcess(ts.Getenv("WORK"), log, args[0], args[1:]...)
	if err != nil {
		ts.Fatalf("%s: %v\n%s", args[0], err, ts.ReadFile(args[0]+".log"))
	}
	ts.Defer(func() {
		p.kill()
		log.Close()
	})
	ts.Setenv(args[0], p.addr)
	ts.Value("servers").(map[string]*process)[args[0]] = p
}

// end PROG [INT|TERM] ends a program that serve started, by a signal or by
// closing its standard input, and checks that it exits with status 0.
func end(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: end PROG [INT|TERM]")
	}
	p := started(ts, args[0])
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM}
	if len(args) == 2 {
		ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	} else {
		ts.Check(p.stdin.Close())
	}
	ts.Check(p.cmd.Wait())
}

// crash PROG kills a program that serve started, without warning.
func crash(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: crash PROG")
	}
	started(ts, args[0]).kill()
}

func started(ts *testscript.TestScript, program string) *process {
	p := ts.Value("servers").(map[string]*process)[program]
	if p == nil {
		ts.Fatalf("%s was not started by serve", program)
	}
	return p
}

// junk FILE overwrites a file's second half with something else.
func junk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: junk FILE")
	}
	data := []byte(ts.ReadFile(args[0]))
	half := len(data) / 2
	text := string(data[:half]) + strings.Repeat("x", len(data)-half)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o666))
}
