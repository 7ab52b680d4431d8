package rpc_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What a child process did not end in time broke no promise by that: the machine may be
// slow. It goes on where it was. Only a seed that needs all the time by itself hangs.
func TestSeeded_ASlowMachineBreaksNoPromise(t *testing.T) {
	const once = "RPC_SEEDED_ONCE"
	s := seeded{
		name: "TestSeeded_ASlowMachineBreaksNoPromise", variable: "RPC_SEEDED", what: "seed", limit: time.Second,
		parts: func(int) int { return 1 },
		run: func(t *testing.T, seed int, _ []int, _ bool) {
			_, err := os.Stat(os.Getenv(once))
			if seed == 2 && err != nil {
				require.NoError(t, os.WriteFile(os.Getenv(once), nil, 0o600))
				select {}
			}
			if seed == 4 {
				select {}
			}
		},
	}
	if todo := os.Getenv(s.variable); todo != "" {
		s.here(t, todo)
		return
	}
	t.Setenv(once, filepath.Join(t.TempDir(), "once"))
	assert.Empty(t, s.tryRun(t, "", 1, 3))
	report := s.tryRun(t, "", 4, 5)
	assert.Contains(t, report, "seed 4 does not end within 1s. Run it again:\nRPC_SEEDED=4 go test ")
	assert.NotContains(t, report, "broke a promise")
	assert.Contains(t, report, "goroutine ", "where it hangs")
}
