package rpc_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stormPlantsVariable says how many of the faults are planted and looked for: one build
// for each. Any number from that of all faults on is all:
//
//	RPC_STORM_PLANTS=100 go test -v -count=1 -timeout 2h -run '^TestStorm_FindsPlantedFaults$' ./rpc
const stormPlantsVariable = "RPC_STORM_PLANTS"

// stormPlants are faults in this package. Storms find each of them.
var stormPlants = []struct {
	name, file, old, new string
}{
	{"NeverRan of what was written", "client_end.go", "e.neverRan = !e.handed ||", "e.neverRan = true ||"},
	{"NeverRan forgets earlier attempts", "client_retry.go", "if mayHaveRun {", "if false {"},
	{"what may have run is sent again", "client_retry.go", "return lost && mayRepeat(ctx, method)", "return lost"},
	{"one attempt too many", "client_retry.go", "t.written >= g.options.maxAttempts:", "t.written > g.options.maxAttempts:"},
	{"no retry budget", "client_retry.go", "if !g.budget.take() {", "if !g.budget.take() && t.paid < 0 {"},
	{"backoff is forgotten at once", "client_connect.go", "if well {", "if well || true {"},
	{"a slot is not given back", "client_reply.go", "delete(c.pending, id)\n\t\tc.releaseLocked(call.params)", "delete(c.pending, id)"},
	{"no tombstone", "client_call.go", "c.pending[call.id] = abandoned", "delete(c.pending, call.id)\n\tc.releaseLocked(call.params)"},
	{"a go-away drops the last call", "client_end.go", "if id > f.ID {", "if id >= f.ID {"},
	{"calls after a go-away are served", "server_admission.go", "case c.draining:", "case false:"},
	{"one address takes all places", "server_places.go", "return p.most - p.most/4", "return p.most"},
	{"a half-open connection is never given up", "keepalive.go", "if quiet && pinged {", "if quiet && pinged && k == nil {"},
	{"a hello is waited for without end", "client_conn.go", "if !c.helloDue.IsZero() {", "if false {"},
	{"params' memory is not given back", "server_params.go", "c.params.give(call.charge)", "c.params.give(0)"},
	{"room for params is not given back", "client_slots.go", "\tc.params.taken -= params\n", "\n"},
	{"one call too many waits", "client_queue.go", "q.limit.n.Add(1) > q.limit.most", "q.limit.n.Add(1) > q.limit.most+1"},
	{"one place too many", "server_places.go", "case p.taken-extra >= p.most:", "case p.taken-extra > p.most:"},
}

// A fault that is planted in this package is found by storms. Without the variable only
// the faults' places are looked for.
func TestStorm_FindsPlantedFaults(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv(stormPlantsVariable))
	for i, p := range stormPlants {
		data, err := os.ReadFile(p.file)
		require.NoError(t, err)
		text := strings.ReplaceAll(string(data), "\r\n", "\n")
		require.Equal(t, 1, strings.Count(text, p.old), "%s: %q", p.name, p.old)
		if n == 0 || i%max(len(stormPlants)/n, 1) != 0 {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			exe := plantedTest(t, p.file, strings.Replace(text, p.old, p.new, 1))
			cmd := exec.Command(exe, "-test.run=^"+stormSeeds.name+"$", "-test.timeout=10m")
			cmd.Env = append(os.Environ(), stormSeeds.variable+"=1-3000")
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "nothing is found")
			require.False(t, timedOut(string(out)), "%s", out)
			last := string(out[strings.LastIndex("\n"+string(out), "\nstorm "):])
			_, broken, found := strings.Cut(last, "BROKEN: ")
			if !found {
				assert.Regexp(t, "(?m)^(panic|fatal error): ", last)
				_, broken, _ = strings.Cut(last, "panic: ")
			}
			broken, _, _ = strings.Cut(broken, "\n")
			seeds := strings.Count("\n"+string(out), "\nstorm ") - strings.Count(string(out), "\nBROKEN: ")
			t.Logf("after %d storms: %s", seeds, broken)
		})
	}
}

// plantedTest builds this package's tests with another text of a file.
func plantedTest(t *testing.T, file, text string) (exe string) {
	t.Helper()
	dir := t.TempDir()
	path, err := filepath.Abs(file)
	require.NoError(t, err)
	planted, list := filepath.Join(dir, file), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(planted, []byte(text), 0o600))
	data, err := json.Marshal(map[string]map[string]string{"Replace": {path: planted}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(list, data, 0o600))
	exe = filepath.Join(dir, "rpc.test")
	out, err := exec.Command("go", "test", "-c", "-vet=off", "-overlay", list, "-o", exe, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return exe
}
