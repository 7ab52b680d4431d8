package main

import (
	"bytes"
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
	mediansFile = "medians.json"
	plotFile    = "plot.svg"
)

// writeFiles writes the report, the raw rounds, their medians and the plot to folder.
func (r *results) writeFiles(folder string) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	medians, err := json.Marshal(r.medians())
	if err != nil {
		return err
	}
	medians = bytes.ReplaceAll(medians, []byte("},{"), []byte("},\n{")) // one line per round
	var report bytes.Buffer
	r.writeReport(&report)
	for name, text := range map[string][]byte{reportFile: report.Bytes(), resultsFile: append(raw, '\n'), mediansFile: append(medians, '\n')} {
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o644); err != nil {
			return err
		}
	}
	if len(r.Rounds) == 0 {
		return nil
	}
	return r.writePlot(filepath.Join(folder, plotFile))
}

// writeReport writes the tables in Markdown that also reads well on a terminal.
func (r *results) writeReport(w io.Writer) {
	fmt.Fprintf(w, "# RPC systems side by side\n\n")
	r.writeSummary(w)
	for _, load := range commonWorkloads() {
		r.writeWorkload(w, load)
	}
	allocs := func(s round, _ wireCount) string { return fmt.Sprintf("%.1f", s.AllocsPerCall) }
	r.writeByWorkload(w, "Allocations per call, both sides together", callWorkloads(), allocs)
	r.writeByWorkload(w, "Allocations per message or round trip of streams, both sides together", streamWorkloads(), allocs)
	r.writeByWorkload(w, "Bytes per call on the wire, request and reply", callWorkloads(),
		func(_ round, b wireCount) string { return showCount(b.total()) })
	r.writeSweep(w)
	r.writeIdle(w)
	r.writeIdleStreams(w)
	r.writeSetups(w)
}

// writeSummary writes the part of the report that final/README.md shows as well.
func (r *results) writeSummary(w io.Writer) {
	fmt.Fprintf(w, "Measured on %s, %s.\n", r.Machine, r.Started.UTC().Format("2006-01-02 15:04 UTC"))
	fmt.Fprintf(w, "Rounds of %v, taken in turns; the figures are medians. Client and server share one process, over loopback.\n", r.RoundFor)
	fmt.Fprintf(w, "Small calls are `CheckStock(\"item1\")`. A peer without (m) gets a connection per caller. CPU/call is the processor time of\n"+
		"both sides per call, and busy is how many cores worked on average.\n")
	for _, note := range append(r.Notes, r.Failures...) {
		fmt.Fprintf(w, "\n- %s\n", note)
	}
	rate := func(s round, _ wireCount) string { return showCount(s.CallsPerSec) }
	r.writeByWorkload(w, "Calls per second, "+countCores(r.most()), callWorkloads(), rate)
	r.writeByWorkload(w, "Streams: messages per second, or round trips, "+countCores(r.most()), streamWorkloads(), rate)
	r.writeTargets(w)
}

// writeTargets writes tables of those that belong to a column, then the others as a list.
func (r *results) writeTargets(w io.Writer) {
	verdicts := slices.DeleteFunc(judge(r, targets()), func(v verdict) bool { return v.reached == notMeasured })
	if len(verdicts) == 0 {
		return
	}
	missed := 0
	var others strings.Builder
	for _, v := range verdicts {
		if v.reached == notReached {
			missed++
		}
		if v.where == "" {
			fmt.Fprintf(&others, "\n- %s: %v", v.what, v)
		}
	}
	fmt.Fprintf(w, "\n### Targets: %d of %d reached\n", len(verdicts)-missed, len(verdicts))
	targetTable(verdicts, targetColumns).write(w, "")
	targetTable(verdicts, streamColumns).write(w, "")
	fmt.Fprintf(w, "\nRatios are of calls per second, or of CPU time where the row says so. In brackets is the target; figures in bold type miss it.\n%s\n", &others)
}

// targetTable has the verdicts on these columns.
func targetTable(verdicts []verdict, columns []string) table {
	t := table{head: make([]string, len(columns)+1)}
	for i, id := range columns {
		t.head[i+1] = workloadNamed(id).short
	}
	for _, v := range verdicts {
		column := slices.Index(columns, v.where) + 1
		if column == 0 {
			continue
		}
		if len(t.rows) == 0 || t.rows[len(t.rows)-1][0] != v.what {
			t.rows = append(t.rows, make([]string, len(columns)+1))
			t.rows[len(t.rows)-1][0] = v.what
		}
		t.rows[len(t.rows)-1][column] = v.String()
	}
	return t
}

// writeWorkload writes what the peers did under one workload, with all cores and with one.
func (r *results) writeWorkload(w io.Writer, load workload) {
	t := table{head: []string{""}}
	for i, cores := range r.cores() {
		t.head = append(t.head, fmt.Sprintf("%s: %ss/s", countCores(cores), load.counted()), "CPU/"+load.counted(), "busy")
		if i == 0 && load.messages <= 1 {
			t.head = append(t.head, "p50", "p99")
		}
	}
	for _, p := range peers {
		row, some := []string{p.label()}, false
		for i, cores := range r.cores() {
			s, measured := r.summarize(p.name, load.id, cores)
			cells := []string{showCount(s.CallsPerSec), showDuration(s.CPUPerCall), fmt.Sprintf("%.2f", s.Busy)}
			if i == 0 && load.messages <= 1 {
				cells = append(cells, showDuration(s.P50), showDuration(s.P99))
			}
			if !measured {
				cells = slices.Repeat([]string{"—"}, len(cells))
			}
			row, some = append(row, cells...), some || measured
		}
		if some {
			t.rows = append(t.rows, row)
		}
	}
	t.write(w, load.title)
}

func countCores(n int) string {
	if n == 1 {
		return "1 core"
	}
	return fmt.Sprintf("%d cores", n)
}

// commonWorkloads are those that are no one's own. The large tables have a column for each.
func commonWorkloads() []workload {
	var common []workload
	for _, w := range workloads {
		if !w.oursOnly {
			common = append(common, w)
		}
	}
	return common
}

func callWorkloads() []workload {
	return slices.DeleteFunc(commonWorkloads(), func(w workload) bool { return w.stream != noStream })
}

func streamWorkloads() []workload {
	return slices.DeleteFunc(commonWorkloads(), func(w workload) bool { return w.stream == noStream })
}

// writeByWorkload writes one table, a row per peer and a column per workload.
func (r *results) writeByWorkload(w io.Writer, title string, loads []workload, show func(round, wireCount) string) {
	t := table{head: []string{""}}
	for _, load := range loads {
		t.head = append(t.head, load.short)
	}
	for _, p := range peers {
		row, some := []string{p.label()}, false
		for _, load := range loads {
			s, measured := r.summarize(p.name, load.id, r.most())
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
	sweep := slices.DeleteFunc(slices.Clone(workloads), func(w workload) bool { return !w.oursOnly })
	t := table{head: []string{""}}
	for _, load := range sweep {
		t.head = append(t.head, fmt.Sprintf("%s callers", showCount(float64(load.callers))))
	}
	for _, p := range peers {
		row, some := []string{p.name}, false
		for _, load := range sweep {
			s, measured := r.summarize(p.name, load.id, r.most())
			row, some = append(row, showCount(s.CallsPerSec)), some || measured
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

func (r *results) writeIdleStreams(w io.Writer) {
	t := table{head: []string{"", "streams", "server", "client", "both", "of that, heap"}}
	for _, p := range peers {
		if c, ok := r.idleStreamsOf(p.name); ok {
			t.rows = append(t.rows, []string{p.name, showCount(float64(c.Connections)), showKiB(c.Server.seen()),
				showKiB(c.Client.seen()), showKiB(c.total()), showKiB(c.Server.Heap + c.Client.Heap)})
		}
	}
	t.write(w, "Memory per idle stream, two processes")
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
