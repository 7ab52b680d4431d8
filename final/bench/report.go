package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// The files of a run, in the folder that it writes to. There is no plot where there were no timed rounds.
const (
	reportFile  = "report.md"
	resultsFile = "results.json"
	plotFile    = "plot.svg"
)

// writeFiles writes the report, the raw rounds and the plot to folder.
func (r *results) writeFiles(folder string) error {
	var report strings.Builder
	r.writeReport(&report)
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, reportFile), []byte(report.String()), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, resultsFile), append(raw, '\n'), 0o644); err != nil {
		return err
	}
	if len(r.Rounds) == 0 {
		return nil
	}
	return r.writePlot(filepath.Join(folder, plotFile))
}

// writeReport writes the tables in Markdown that also reads well on a terminal.
func (r *results) writeReport(w io.Writer) {
	fmt.Fprintf(w, "# RPC systems side by side\n\n%s, %s.\n", r.Machine, r.Started.UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(w, "Rounds of %v, taken in turns; medians. Client and server share one process, over loopback.\n", r.RoundFor)
	fmt.Fprintf(w, "`CheckStock(\"item1\")` where nothing else is said. A peer without (m) gets a connection per caller.\n")
	for _, note := range append(r.Notes, r.Failures...) {
		fmt.Fprintf(w, "\n- %s\n", note)
	}
	r.writeMeasures(w)
	r.writeSweep(w)
	r.writeIdle(w)
	if slices.ContainsFunc(r.Targets, verdict.known) {
		r.writeTargets(w)
	}
	r.writeSetups(w)
}

// The columns of the large tables: all workloads that every peer runs.
func commonWorkloads() []workload {
	var common []workload
	for _, w := range workloads {
		if !w.oursOnly {
			common = append(common, w)
		}
	}
	return common
}

func (r *results) writeMeasures(w io.Writer) {
	r.writeByWorkload(w, "Calls per second", func(s summary, _ wireCount) string { return showCount(s.callsPerSec) })
	r.writeByWorkload(w, "Latency, half of the calls (p50)", func(s summary, _ wireCount) string { return showDuration(s.p50) })
	r.writeByWorkload(w, "Latency, 99 of 100 calls (p99)", func(s summary, _ wireCount) string { return showDuration(s.p99) })
	r.writeByWorkload(w, "Allocations per call, both sides together",
		func(s summary, _ wireCount) string { return fmt.Sprintf("%.1f", s.allocsPerCall) })
	r.writeByWorkload(w, "Processor time per call, both sides together",
		func(s summary, _ wireCount) string { return showDuration(s.cpuPerCall) })
	r.writeByWorkload(w, "Bytes per call on the wire, request and reply",
		func(_ summary, b wireCount) string { return showCount(b.total()) })
}

// writeByWorkload writes one table, a row per peer and a column per workload.
func (r *results) writeByWorkload(w io.Writer, title string, show func(summary, wireCount) string) {
	t := table{head: []string{""}}
	for _, load := range commonWorkloads() {
		t.head = append(t.head, load.title)
	}
	for _, p := range peers {
		row, some := []string{p.label()}, false
		for _, load := range commonWorkloads() {
			s, measured := r.summarize(p.name, load.id)
			b, _ := r.wireOf(p.name, load.id)
			if !measured {
				row = append(row, "—")
				continue
			}
			row, some = append(row, show(s, b)), true
		}
		if some {
			t.rows = append(t.rows, row)
		}
	}
	t.write(w, title)
}

func (r *results) writeSweep(w io.Writer) {
	t := table{head: []string{""}}
	for _, p := range peers {
		row, some := []string{p.name}, false
		for _, load := range workloads {
			if !load.oursOnly {
				continue
			}
			if len(t.rows) == 0 && p.ours {
				t.head = append(t.head, fmt.Sprintf("%s callers", showCount(float64(load.callers))))
			}
			s, measured := r.summarize(p.name, load.id)
			row, some = append(row, showCount(s.callsPerSec)), some || measured
		}
		if some {
			t.rows = append(t.rows, row)
		}
	}
	t.write(w, "Calls per second, ever more callers on 8 connections")
}

func (r *results) writeIdle(w io.Writer) {
	t := table{head: []string{"", "connections", "server", "client", "both", "as Go counts"}}
	for _, p := range peers {
		if c, ok := r.idleOf(p.name); ok {
			t.rows = append(t.rows, []string{p.name, showCount(float64(c.Connections)), showKiB(c.Server.seen()),
				showKiB(c.Client.seen()), showKiB(c.total()), showKiB(c.Server.Go + c.Client.Go)})
		}
	}
	t.write(w, "Memory per idle connection, two processes")
}

func (r *results) writeTargets(w io.Writer) {
	t := table{head: []string{"target", "workload", "wanted", "measured", "verdict"}, textColumns: 2}
	beyond := len(targets())
	for i, v := range r.Targets {
		if i >= beyond {
			v.What = "aim beyond: " + v.What
		}
		t.rows = append(t.rows, []string{v.What, v.Where, v.Wanted, v.Measured, v.Reached})
	}
	t.write(w, "Targets")
}

func (r *results) writeSetups(w io.Writer) {
	t := table{head: []string{"peer", "version", "deadline travels", "configuration"}, textColumns: 4}
	for _, p := range peers {
		if !r.measured(p.name) {
			continue
		}
		travels := "no"
		if p.deadline {
			travels = "yes"
		}
		t.rows = append(t.rows, []string{p.label(), r.versionOf(p), travels, p.setup})
	}
	t.write(w, "Peers")
}

func (r *results) versionOf(p peer) string {
	switch {
	case p.ours:
		return "this workspace"
	case p.module == "":
		return r.Machine.Go
	default:
		return r.Machine.Modules[p.module]
	}
}

// label marks the peers that carry many calls on one connection.
func (p peer) label() string {
	if p.multiplexes {
		return p.name + " (m)"
	}
	return p.name
}

// showCount writes a number with commas between thousands.
func showCount(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// showDuration writes three digits, as many as the histogram is good for.
func showDuration(d time.Duration) string {
	switch {
	case d < 100*time.Microsecond:
		return fmt.Sprintf("%.1f µs", d.Seconds()*1e6)
	case d < time.Millisecond:
		return fmt.Sprintf("%.0f µs", d.Seconds()*1e6)
	default:
		return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
	}
}

func showKiB(n float64) string { return fmt.Sprintf("%.1f KiB", n/1024) }
