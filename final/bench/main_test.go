package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// runMain runs the program and returns its exit code and output.
func runMain(ctx context.Context, args ...string) (exit int, stdout, stderr string) {
	var out, errs bytes.Buffer
	exit = benchmark(ctx, args, &out, &errs)
	return exit, out.String(), errs.String()
}

func TestMain_MeasuresAndWrites(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "folder")
	exit, stdout, stderr := runMain(t.Context(),
		"-rounds", "2", "-d", "5ms", "-only", "^(NET/RPC|raw.*)$", "-workloads", "^(c1|idle)$", "-idle", "10", "-o", folder)
	require.Equal(t, exitOK, exit, stderr)
	assert.Contains(t, stdout, "| net/rpc (m) ")
	assert.Contains(t, stdout, "Memory per idle connection")
	assert.Contains(t, stdout, "Written to "+folder)
	assert.Equal(t, `round 1 of 2: 1 caller
round 2 of 2: 1 caller
bytes on the wire: 1 caller
10 idle connections: raw TCP ping-pong
10 idle connections: net/rpc
`, stderr)
	assert.Contains(t, stdout, "1 core: calls/s")
	assert.FileExists(t, filepath.Join(folder, "results.json"))
}

// Both numbers of cores have their turn within each round, one right after the other.
func TestRun_TakesTurnsWithOneCoreAndAll(t *testing.T) {
	all := runtime.GOMAXPROCS(0)
	r := &run{
		options:  options{rounds: 2, duration: time.Millisecond, cores: []int{1, 3}, peers: []peer{rawTCP, netRPC}, workloads: workloads[:1]},
		progress: plainLines{io.Discard},
	}
	require.NoError(t, r.measureAll(t.Context()))
	var turns []string
	for _, one := range r.results.Rounds {
		turns = append(turns, fmt.Sprint(one.Peer, one.Cores))
	}
	assert.Equal(t, []string{
		rawTCP.name + "1", rawTCP.name + "3", netRPC.name + "1", netRPC.name + "3",
		netRPC.name + "1", netRPC.name + "3", rawTCP.name + "1", rawTCP.name + "3",
	}, turns)
	assert.Equal(t, all, runtime.GOMAXPROCS(0))
}

func TestMain_RefusesWhatMakesNoSense(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-nope"}, "flag provided but not defined: -nope"},
		{[]string{"extra"}, "unexpected argument: extra"},
		{[]string{"-rounds", "0"}, "-rounds 0: at least 1 is needed"},
		{[]string{"-rounds", "many"}, `invalid value "many"`},
		{[]string{"-d", "-1s"}, "-d -1s: must be above 0"},
		{[]string{"-idle", "0"}, "-idle 0: at least 1 is needed"},
		{[]string{"-cores", "3"}, "-cores 3: there are 1, all and both"},
		{[]string{"-only", "("}, "-only: error parsing regexp"},
		{[]string{"-only", "corba"}, "-only corba: matches no peer; there are "},
		{[]string{"-workloads", "("}, "-workloads: error parsing regexp"},
		{[]string{"-workloads", "c65"}, "-workloads c65: matches none; there are"},
	} {
		exit, stdout, stderr := runMain(t.Context(), c.args...)
		assert.Equal(t, exitUsage, exit, c.args)
		assert.Contains(t, stderr, c.want)
		assert.Contains(t, stderr, "Usage: bench")
		assert.Empty(t, stdout)
	}
}

func TestMain_HelpIsNoError(t *testing.T) {
	exit, _, stderr := runMain(t.Context(), "-h")
	assert.Equal(t, exitOK, exit)
	for _, want := range []string{"-rounds", "-only", "-workloads", "echo64k", "-o folder"} {
		assert.Contains(t, stderr, want)
	}
}

func TestMain_FailsBeforeMeasuringWithoutAPlaceToWrite(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	exit, stdout, stderr := runMain(t.Context(), "-o", filepath.Join(file, "folder"))
	assert.Equal(t, exitFailed, exit)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "bench: mkdir")

	exit, stdout, stderr = runMain(t.Context(), "-o", t.TempDir(), "-cpuprofile", filepath.Join(file, "profile"))
	assert.Equal(t, exitFailed, exit)
	assert.Empty(t, stdout)
	assert.Contains(t, stderr, "bench: open")
}

func TestMain_WritesAProfile(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "cpu.pprof")
	exit, _, stderr := runMain(t.Context(), "-rounds", "1", "-d", "5ms", "-only", "raw", "-workloads", "^c1$", "-cores", "1",
		"-o", t.TempDir(), "-cpuprofile", profile)
	require.Equal(t, exitOK, exit, stderr)
	assert.FileExists(t, profile)
}

func TestMain_InterruptedWritesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	folder := t.TempDir()
	exit, stdout, stderr := runMain(ctx, "-o", folder)
	assert.Equal(t, exitInterrupted, exit)
	assert.Empty(t, stdout)
	assert.Equal(t, "bench: interrupted, nothing written\n", stderr)
	assert.NoFileExists(t, filepath.Join(folder, "report.md"))
}

func TestRun_GoesOnWhenAPeerFails(t *testing.T) {
	broken := brokenClient{quantity: -1}.peer()
	r := &run{options: options{rounds: 1, duration: 1, cores: []int{1}, peers: []peer{broken, rawTCP}, workloads: workloads[:1]}, progress: plainLines{&bytes.Buffer{}}}
	require.NoError(t, r.measureAll(t.Context()))
	assert.Equal(t, []string{"broken, 1 caller: wrong reply", "broken, 1 caller: wrong reply"}, r.results.Failures)
	require.Len(t, r.results.Rounds, 1)
	assert.Equal(t, rawTCP.name, r.results.Rounds[0].Peer)

	var stdout, stderr bytes.Buffer
	assert.Equal(t, exitFailed, finish(&r.results, t.TempDir(), &stdout, &stderr))
	assert.Contains(t, stdout.String(), "- broken, 1 caller: wrong reply")
	assert.Contains(t, stderr.String(), "bench: broken, 1 caller: wrong reply")
}
