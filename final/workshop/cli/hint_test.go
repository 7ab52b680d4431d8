package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/hint"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

func TestNextHint_TheLastNamesOurCode(t *testing.T) {
	const test = "TestClient_GetsTheResult"
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("03")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	target := check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p}
	found, _, err := hint.For(station, test)
	require.NoError(t, err)

	for i := range found {
		var out strings.Builder
		require.NoError(t, nextHint(&out, target, test))
		assert.Contains(t, out.String(), found[i])
		assert.Equal(t, i == len(found)-1, strings.Contains(out.String(), "workshop solution rpc/client.go"))
	}
	saved, err := progress.Open(p.Dir())
	require.NoError(t, err)
	assert.Equal(t, len(found), saved.Hints[test])

	var out strings.Builder
	require.NoError(t, nextHint(&out, target, "TestWithoutHints"))
	assert.Contains(t, out.String(), "There are no hints for TestWithoutHints")
}

func TestNear(t *testing.T) {
	names := []string{"cmd/client.go", "rpc/client.go", "rpc/errors.go", "rpc/server.go"}
	assert.Equal(t, []string{"cmd/client.go", "rpc/client.go", "rpc/server.go"}, near("rpc/clinet.go", names))
	for _, d := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"client", "clinet", 2}} {
		assert.Equal(t, d.want, distance(d.a, d.b), d)
	}
}

func TestCompilerHints_NameEachFileOnALineOfItsOwn(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("4a")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	p.Mistake = "rpc/helpers_test.go:101:9: undefined: newResponse\n" +
		"rpc/helpers_test.go:109:25: srv.RegisterService undefined (type *testServer has no field or method RegisterService)"
	hints, err := compilerHints(check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p})
	require.NoError(t, err)
	require.Len(t, hints, 3)
	assert.Contains(t, hints[1], "In rpc/server.go:\n    func (s *Server) RegisterService(")
	assert.Equal(t, "Our code for it:\n\n    go tool workshop solution rpc/protocol.go\n    go tool workshop solution rpc/server.go", hints[2])
}

func TestFirstMistakes_CountsTheOthers(t *testing.T) {
	assert.Equal(t, "  a\n  \thave\n  b\n  c\n  … and 2 more", firstMistakes("a\n\thave\nb\nc\nd\n\thave\ne"))
	assert.Equal(t, "  a", firstMistakes("a"))
}
