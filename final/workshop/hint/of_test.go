package hint

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

func TestHintsOf_ATestThatTheStationTouchesNot(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	for name, want := range map[string]string{
		"02": "look at what 02 has you change: Server, Server.serveConn in rpc/server.go",
		"03": "look at your own last changes first: in rpc, 03 adds code and changes none.",
	} {
		station, err := course.Find(name)
		require.NoError(t, err)
		hints, err := Of(check.Target{Root: root, Dir: t.TempDir(), Station: station}, "TestServer_AnswersEachLine")
		require.NoError(t, err)
		assert.Contains(t, hints[0], want)
	}
}

// The first hint of a test that is carried over is about the learner's station, and not
// all that we have done there.
func TestHintsOf_ACarriedOverTestBeginsSmall(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("4a")
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "mine")
	require.NoError(t, starter.Write(root, station, dir))
	target := check.Target{Root: root, Dir: dir, Station: station}
	hints, err := Of(target, "TestServer_AnswersEachLine")
	require.NoError(t, err)
	assert.Equal(t, `This test is carried over from 01. In the lesson of 4a it is green after "What the tests need" at the latest; before that, red can be right. `+
		"Still as 03 had it, though 4a changes it: Server, Server.handle in rpc/server.go.", hints[0])
	assert.Contains(t, hints[len(hints)-1], "go tool workshop diff 03 4a")

	require.NoError(t, starter.Solve(root, station, dir))
	hints, err = Of(target, "TestServer_AnswersEachLine")
	require.NoError(t, err)
	assert.Contains(t, hints[0], " If it passed before, look at what 4a has you change: Server, Server.handle in rpc/server.go.")
}

// At a station that changes much, a hint names what the test is about, or else the files.
func TestEdited_IsShort(t *testing.T) {
	changes := []starter.Change{
		{File: "cmd/server.go", Edited: []string{"Server"}},
		{File: "rpc/client.go", Edited: []string{"a", "b", "c", "d", "e", "f"}},
		{File: "rpc/server.go", Edited: []string{"g", "h"}},
	}
	assert.Equal(t, "g, h in rpc/server.go", edited(changes, []string{"rpc/line.go", "rpc/server.go"}))
	assert.Equal(t, "8 declarations in rpc/client.go, rpc/server.go", edited(changes, []string{"rpc/line.go"}))
	assert.Empty(t, edited(changes[:1], nil))
}
