package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

const figuresFile = "levers.json"

// The peer and the workloads of the benchmark that are measured.
const peer = "^final: protobuf$"

var workloads = []struct{ id, title string }{{"c1", "1 caller"}, {"c64", "64 callers"}, {"c512", "512 callers"}, {"echo64k", "64 KiB"}}

// figures are all rounds. The key of Rounds is a lever's name, "" for all levers, and
// then workload and cores.
type figures struct {
	Machine  string                          `json:"machine"`
	Started  time.Time                       `json:"started"`
	RoundFor time.Duration                   `json:"round_duration_ns"`
	Cores    []int                           `json:"cores"`
	Rounds   map[string]map[string][]float64 `json:"calls_per_sec"`
}

// measured is what is needed of the benchmark's medians.json.
type measured struct {
	Started time.Time `json:"started"`
	Machine struct {
		OS, Arch, CPU, Go string
		CPUs              int
	} `json:"machine"`
	Rounds []struct {
		Workload    string  `json:"workload"`
		Cores       int     `json:"gomaxprocs"`
		CallsPerSec float64 `json:"calls_per_sec"`
	} `json:"rounds"`
}

// measure runs one round of a build.
func (f *figures) measure(ctx context.Context, i int, exe, dir string) error {
	which := "^("
	for k, w := range workloads {
		if k > 0 {
			which += "|"
		}
		which += w.id
	}
	out := filepath.Join(dir, "out")
	cmd := exec.CommandContext(ctx, exe, "-rounds", "1", "-d", f.RoundFor.String(), "-only", peer, "-workloads", which+")$", "-o", out)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, text)
	}
	text, err := os.ReadFile(filepath.Join(out, "medians.json"))
	if err != nil {
		return err
	}
	var m measured
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	if f.Rounds == nil {
		f.Rounds = map[string]map[string][]float64{}
		f.Started = m.Started
		f.Machine = fmt.Sprintf("%d × %s, %s/%s, %s", m.Machine.CPUs, m.Machine.CPU, m.Machine.OS, m.Machine.Arch, m.Machine.Go)
	}
	name := ""
	if i > 0 {
		name = levers[i-1].name
	}
	if f.Rounds[name] == nil {
		f.Rounds[name] = map[string][]float64{}
	}
	for _, r := range m.Rounds {
		if !slices.Contains(f.Cores, r.Cores) {
			f.Cores = append(f.Cores, r.Cores)
			slices.Sort(f.Cores)
		}
		key := place(r.Workload, r.Cores)
		f.Rounds[name][key] = append(f.Rounds[name][key], r.CallsPerSec)
	}
	return nil
}

func place(workload string, cores int) string { return fmt.Sprintf("%s, %d cores", workload, cores) }

// write writes the table: the calls per second with a lever, against those without it.
func (f *figures) write(w io.Writer) {
	fmt.Fprintf(w, "Measured on %s, %s. ", f.Machine, f.Started.UTC().Format("2006-01-02"))
	fmt.Fprintf(w, "Medians of rounds of %v, taken in turns: calls per second with the lever, against those without it.\n\n", f.RoundFor)
	head, rule := "| lever, GOMAXPROCS= |", "|---|"
	for _, load := range workloads {
		for _, cores := range f.Cores {
			head += fmt.Sprintf(" %s, %d |", load.title, cores)
			rule += "--:|"
		}
	}
	fmt.Fprintf(w, "%s\n%s\n", head, rule)
	for _, l := range levers {
		fmt.Fprintf(w, "| %s |", l.title())
		for _, load := range workloads {
			for _, cores := range f.Cores {
				fmt.Fprintf(w, " %.2f |", f.ratio(l, place(load.id, cores)))
			}
		}
		fmt.Fprintln(w)
	}
}

func (l lever) title() string {
	switch {
	case l.leftAside:
		return "not kept: " + l.name
	case l.safety:
		return "for safety: " + l.name
	}
	return l.name
}

// ratio is what l brings, as a factor of the calls per second.
func (f *figures) ratio(l lever, key string) float64 {
	ratio := median(f.Rounds[""][key]) / median(f.Rounds[l.name][key])
	if l.leftAside {
		return 1 / ratio
	}
	return ratio
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	if len(sorted) == 0 {
		return 0
	}
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}
