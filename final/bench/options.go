package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Options are what the command line asked for.
type options struct {
	rounds    int
	duration  time.Duration // of one round
	peers     []peer
	workloads []workload
	cores     []int // GOMAXPROCS, each in its turn
	idle      int   // connections; 0 leaves them out
	streams   int   // idle ones; 0 leaves them out
	out       string
	profile   string // file for a profile of the processor's time; empty for none
}

const usageHead = `Usage: bench [flags]

Measures the framework beside other RPC systems, client and server in one process on loopback: rounds of all peers take turns,
with one core and with all, and the tables hold medians. Tables (report.md), medians (medians.json), raw rounds (results.json)
and a plot (plot.svg) are written to a folder.

Flags:
`

// parseOptions reads the command line. Its error is flag.ErrHelp after -h; else it has been reported with the usage.
func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	var only, which, cores string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&o.rounds, "rounds", 5, "rounds of every peer under every workload")
	flags.DurationVar(&o.duration, "d", 500*time.Millisecond, "length of a round, after a warm-up of a quarter of it")
	flags.StringVar(&only, "only", "", "measure only peers whose name matches this `regexp`, in any case")
	flags.StringVar(&which, "workloads", "", "run only workloads whose name matches this `regexp`:\n"+workloadNames())
	flags.StringVar(&cores, "cores", "both", "run rounds at GOMAXPROCS `1, all`, or both")
	flags.IntVar(&o.idle, "idle", 10_000, "idle connections, and then streams, to open for the memory that each takes")
	flags.StringVar(&o.out, "o", "", "`folder` to write to, made if it is not there (default: a new one for temporary files)")
	flags.StringVar(&o.profile, "cpuprofile", "", "write a profile of the timed rounds to `file`, for go tool pprof: -only and -workloads choose of what")
	flags.Usage = func() {
		fmt.Fprint(stderr, usageHead)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	err := errors.Join(o.check(flags.Args()), o.choosePeers(only), o.chooseWorkloads(which), o.chooseCores(cores))
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n\n", err)
		flags.Usage()
	}
	return o, err
}

func (o *options) check(rest []string) error {
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument: %s", rest[0])
	case o.rounds < 1:
		return fmt.Errorf("-rounds %d: at least 1 is needed", o.rounds)
	case o.duration <= 0:
		return fmt.Errorf("-d %v: must be above 0", o.duration)
	case o.idle < 1:
		return fmt.Errorf("-idle %d: at least 1 is needed", o.idle)
	}
	return nil
}

func (o *options) choosePeers(only string) error {
	matches, err := regexp.Compile("(?i)" + only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	for _, p := range peers {
		if matches.MatchString(p.name) {
			o.peers = append(o.peers, p)
		}
	}
	if len(o.peers) == 0 {
		return fmt.Errorf("-only %s: matches no peer; there are %s", only, peerNames())
	}
	return nil
}

func (o *options) chooseWorkloads(which string) error {
	matches, err := regexp.Compile(which)
	if err != nil {
		return fmt.Errorf("-workloads: %w", err)
	}
	for _, w := range workloads {
		if matches.MatchString(w.id) {
			o.workloads = append(o.workloads, w)
		}
	}
	o.streams = o.idle
	if !matches.MatchString(idleWorkload) {
		o.idle = 0
	}
	if !matches.MatchString(idleStreamWorkload) {
		o.streams = 0
	}
	if len(o.workloads) == 0 && o.idle+o.streams == 0 {
		return fmt.Errorf("-workloads %s: matches none; there are\n%s", which, workloadNames())
	}
	return nil
}

func (o *options) chooseCores(cores string) error {
	all := runtime.GOMAXPROCS(0)
	choices := map[string][]int{"1": {1}, "all": {all}, "both": {1, all}}
	if o.cores = choices[cores]; o.cores == nil {
		return fmt.Errorf("-cores %s: there are 1, all and both", cores)
	}
	o.cores = slices.Compact(o.cores) // a machine may have one only
	return nil
}

func peerNames() string {
	var names []string
	for _, p := range peers {
		names = append(names, p.name)
	}
	return strings.Join(names, ", ")
}

func workloadNames() string {
	var b strings.Builder
	for _, w := range workloads {
		fmt.Fprintf(&b, "  %-10s %s", w.id, w.title)
		if w.oursOnly {
			b.WriteString(" (final only)")
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "  %-10s memory of idle connections\n  %-10s memory of idle streams", idleWorkload, idleStreamWorkload)
	return b.String()
}
