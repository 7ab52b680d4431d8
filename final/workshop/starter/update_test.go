package starter

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
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

// A folder that has just been made, or has just gone on, is as the course has it.
func TestUpdate_FindsNothingToDoAtAnyStation(t *testing.T) {
	seldom.Test(t)
	for _, s := range course.Stations {
		root, dir := started(t, s.Name)
		p, err := progress.Open(dir)
		require.NoError(t, err)
		m, err := Update(root, p)
		require.NoError(t, err)
		assert.Empty(t, m.Written(), s.Name)
		assert.Empty(t, m.Removed(), s.Name)
		assert.Empty(t, m.Kept, s.Name)
		require.NoError(t, Solve(root, s, dir))
		if next, ok := s.Next(); ok {
			m, err := Next(root, p)
			require.NoError(t, err)
			require.NoError(t, m.Do(p))
			m, err = Update(root, p)
			require.NoError(t, err)
			assert.Empty(t, m.Written(), next.Name)
			assert.Empty(t, m.Removed(), next.Name)
			assert.Empty(t, m.Kept, next.Name)
		}
	}
}

// What start and next ship is the course's, until the learner changes it.
func TestUpdate_RenewsWhatIsShipped(t *testing.T) {
	const old, mine = "package cmd\n\n// As it was.\n", "package cmd\n\n// Mine.\n"
	root, dir := started(t, "6a")
	shipped := filesIn(t, dir)
	give := func(files map[string]string) (*Move, *progress.Progress) {
		p, err := progress.Open(dir)
		require.NoError(t, err)
		for name, text := range files {
			p.Give(map[string][]byte{name: []byte(text)})
		}
		m, err := Update(root, p)
		require.NoError(t, err)
		return m, p
	}
	m, _ := give(nil)
	assert.Empty(t, m.Written())

	for _, name := range []string{"cmd/client.go", "rpc/unmarshal.go", "rpc/codec.go"} { // of stations before, and with stubs
		write(t, dir, name, old)
	}
	write(t, dir, "cmd/old.go", old)
	write(t, dir, "cmd/server.go", mine)
	write(t, dir, "rpc/server.go", mine)
	m, p := give(map[string]string{"cmd/client.go": old, "rpc/unmarshal.go": old, "rpc/codec.go": old, "cmd/old.go": old, "cmd/server.go": old, "rpc/server.go": old})
	assert.Equal(t, []string{"cmd/client.go", "rpc/codec.go", "rpc/unmarshal.go"}, m.Written())
	assert.Equal(t, []string{"cmd/old.go"}, m.Removed())
	assert.Equal(t, []string{"cmd/server.go"}, m.Kept)
	assert.Empty(t, m.Saved)
	require.NoError(t, m.Do(p))
	for _, name := range m.Written() {
		assert.Equal(t, string(shipped[name]), read(t, dir, name))
	}
	assert.Equal(t, mine, read(t, dir, "cmd/server.go"))
	assert.Equal(t, mine, read(t, dir, "rpc/server.go"), "which is the learner's")

	// What the course has not changed since it was given needs no word.
	m, _ = give(map[string]string{"cmd/server.go": string(shipped["cmd/server.go"])})
	assert.Empty(t, m.Kept)
	assert.Empty(t, m.Written())
}
