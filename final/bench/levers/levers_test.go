package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each lever stands in the code once, and without all of them that still compiles.
func TestLevers_CanBeTakenAway(t *testing.T) {
	final, err := finalDir(t.Context())
	require.NoError(t, err)
	overlay, err := takeAway(final, t.TempDir(), levers)
	require.NoError(t, err)
	cmd := exec.Command("go", "build", "-overlay", overlay, "./rpc", "./codec/protobuf")
	cmd.Dir = final
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err, string(out))
}

// The page of the tour shows the figures that were measured last. UPDATE=1 writes them anew.
func TestLevers_ThePageShowsWhatWasMeasured(t *testing.T) {
	const path = "../../workshop/tour/speed.md"
	text, err := os.ReadFile("../latest/" + figuresFile)
	require.NoError(t, err)
	var f figures
	require.NoError(t, json.Unmarshal(text, &f))
	var table bytes.Buffer
	f.write(&table)
	page, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, begins := strings.Cut(string(page), "<!-- bench: levers -->\n")
	_, after, ends := strings.Cut(rest, "<!-- bench: end -->\n")
	require.True(t, begins && ends, "no place for the table")
	want := before + "<!-- bench: levers -->\n\n" + table.String() + "\n<!-- bench: end -->\n" + after
	if os.Getenv("UPDATE") != "" {
		require.NoError(t, os.WriteFile(path, []byte(want), 0o666))
		return
	}
	assert.Equal(t, want, string(page), "UPDATE=1 go test ./final/bench/levers writes it anew")
}

func TestFigures_CompareMediansInTheirTurn(t *testing.T) {
	rounds := map[string]map[string][]float64{}
	for _, name := range append([]string{""}, names()...) {
		rounds[name] = map[string][]float64{}
		for _, w := range workloads {
			rounds[name][place(w.id, 2)] = []float64{100, 300, 200}
		}
	}
	rounds[levers[0].name][place("c64", 2)] = []float64{100, 100}
	last := levers[len(levers)-1]
	require.True(t, last.leftAside)
	rounds[last.name][place("c64", 2)] = []float64{100, 100, 100}
	f := figures{Machine: "2 × CPU", Started: time.Unix(0, 0), RoundFor: time.Second, Cores: []int{2}, Rounds: rounds}
	var out bytes.Buffer
	f.write(&out)
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	assert.Equal(t, "| "+levers[0].name+" | 1.00 | 2.00 | 1.00 | 1.00 |", lines[4], "twice as many with it")
	assert.Equal(t, "| not kept: "+last.name+" | 1.00 | 0.50 | 1.00 | 1.00 |", lines[len(lines)-1], "half as many with it")
}

func names() []string {
	var all []string
	for _, l := range levers {
		all = append(all, l.name)
	}
	return all
}

func TestRun_RefusesWhatMakesNoSense(t *testing.T) {
	for _, args := range [][]string{{"-rounds", "0"}, {"-d", "0s"}, {"-d", "-1s"}, {"more"}, {"-x"}} {
		assert.Error(t, run(t.Context(), args, new(bytes.Buffer), new(bytes.Buffer)), args)
	}
}
