package starter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/progress"
)

// Wherever an update is killed, the next one finishes it: the course's files are as they
// should be, and what the learner had is there.
func TestUpdate_GoesOnAfterItWasKilled(t *testing.T) {
	root, dir := started(t, "01")
	shipped := filesIn(t, dir)
	plan := func() (*Move, *progress.Progress) {
		p, err := progress.Open(dir)
		require.NoError(t, err)
		m, err := Update(root, p)
		require.NoError(t, err)
		return m, p
	}
	const mine = "package rpc\n\n// Mine.\n"
	for killed := 0; ; killed++ {
		write(t, dir, "rpc/server_test.go", mine)
		write(t, dir, "rpc/server.go", mine)
		require.NoError(t, removed(dir+"/rpc/server_test.go.mine"))
		require.NoError(t, removed(dir+"/rpc/limits_test.go"))
		m, _ := plan()
		steps := m.steps()
		for _, step := range steps[:min(killed, len(steps))] {
			_, err := step()
			require.NoError(t, err)
		}
		m, p := plan()
		require.NoError(t, m.Do(p))
		for _, name := range []string{"rpc/server_test.go", "rpc/limits_test.go"} {
			assert.Equal(t, string(shipped[name]), read(t, dir, name), "killed after %d", killed)
		}
		assert.Equal(t, mine, read(t, dir, "rpc/server_test.go.mine"), "killed after %d", killed)
		assert.Equal(t, mine, read(t, dir, "rpc/server.go"))
		m, _ = plan()
		assert.Empty(t, m.Written())
		assert.Empty(t, m.Saved)
		if killed == len(steps) {
			return
		}
	}
}

// Line ends that Git or an editor has changed are no change, and what was given when is
// no matter for folders that were made before that was noted.
func TestUpdate_KnowsTheCoursesFiles(t *testing.T) {
	root, dir := started(t, "02")
	write(t, dir, "rpc/server_test.go", strings.ReplaceAll(read(t, dir, "rpc/server_test.go"), "\n", "\r\n"))
	p, err := progress.Open(dir)
	require.NoError(t, err)
	p.Given = nil
	m, err := Update(root, p)
	require.NoError(t, err)
	assert.Empty(t, m.Written())
	assert.Empty(t, m.Saved)
	assert.Empty(t, m.Removed())
}
