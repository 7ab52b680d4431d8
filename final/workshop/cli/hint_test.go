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
	"example.com/rpc-from-scratch/final/workshop/wrap"
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
}

func TestCompilerHints_NameEachFileOnALineOfItsOwn(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("4a")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	p.Mistake = "rpc/helpers_test.go:100:6: echo redeclared in this block\n\trpc/server.go:108:6: other declaration of echo\n" +
		"rpc/helpers_test.go:101:9: undefined: newResponse\n" +
		"rpc/helpers_test.go:109:25: srv.RegisterService undefined (type *testServer has no field or method RegisterService)"
	hints, err := compilerHints(check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p})
	require.NoError(t, err)
	require.Len(t, hints, 3)
	assert.Contains(t, hints[1], "In rpc/server.go:\n    func (s *Server) RegisterService(")
	assert.Contains(t, hints[1], "\n\nThe tests have their own now, so delete yours: echo in rpc/server.go")
	assert.Equal(t, "Our code for it:\n\n    go tool workshop solution rpc/protocol.go\n    go tool workshop solution rpc/server.go", hints[2])
}

// What the tests call has to have their name; the file to look at is the learner's.
func TestCompilerHints_NameWhatTheTestsCall(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("01")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	p.Record(nil, []string{"TestServer_AnswersEachLine"}, false)
	p.RecordMistake("rpc/seams_test.go:21:16: undefined: readLine", []string{"TestReadLine_StopsAtTheLimit"})
	target := check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p}
	hints, err := compilerHints(target)
	require.NoError(t, err)
	assert.Equal(t, []string{
		"The tests call this, so your code needs it with the same name and types. Is yours misspelt, or not yet written?\n\n    func readLine(r *bufio.Reader) ([]byte, error)    (rpc/line.go)",
		"How your file and ours differ:\n\n    go tool workshop solution -diff rpc/line.go",
	}, hints)

	test, err := testFor(target, nil)
	require.NoError(t, err)
	assert.Equal(t, "TestReadLine_StopsAtTheLimit", test, "what does not compile comes first")
}

// A check of some tests is the last check, too: its first failure is what the learner has
// before their eyes. Once they pass, the rest is next.
func TestTestFor_FollowsACheckOfSomeTests(t *testing.T) {
	const first, other = "TestClient_GetsTheResult", "TestClient_SendsParamsAsJSON"
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("03")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	target := check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p}
	next := func() string {
		test, err := testFor(target, nil)
		require.NoError(t, err)
		return test
	}
	p.RecordSome([]string{other})
	assert.Equal(t, other, next(), "before the first check of all")
	p.Record(nil, []string{first, other}, false)
	assert.Equal(t, first, next())
	p.RecordSome([]string{other})
	assert.Equal(t, other, next())
	p.RecordSome(nil)
	assert.Equal(t, first, next())
}

// A command that a narrow terminal breaks cannot be copied.
func TestHints_HaveACommandOnALineOfItsOwn(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("02")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	p.Mistake = "rpc/server.go:9:2: declared and not used: x"
	target := check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p}
	hints, err := compilerHints(target)
	require.NoError(t, err)
	carried, err := hint.Of(target, "TestServer_AnswersEachLine")
	require.NoError(t, err)
	all := wrap.Text(strings.Join(append(hints, carried[len(carried)-1]), "\n"), 60)
	assert.Contains(t, all, "\n    go tool workshop solution -diff rpc/server.go\n")
	assert.Regexp(t, `\n    go tool workshop diff 01 02$`, all)
}

// What a stub, a panic or a hang needs is said before what the test is about.
func TestNextHint_BeginsWithHowTheTestEnded(t *testing.T) {
	const test = "TestClient_GetsTheResult"
	root, err := course.Root(".")
	require.NoError(t, err)
	station, err := course.Find("03")
	require.NoError(t, err)
	p, err := progress.Create(t.TempDir(), station.Name)
	require.NoError(t, err)
	p.RecordWhy(map[string]progress.Why{test: {Cause: "panics: at rpc/errors.go:3", How: "panicked", File: "rpc/errors.go", Hints: []string{"Look there.", "And there."}}})
	target := check.Target{Root: root, Dir: p.Dir(), Station: station, Progress: p}
	own, _, err := hint.For(station, test)
	require.NoError(t, err)
	show := func() string {
		var out strings.Builder
		require.NoError(t, nextHint(&out, target, test))
		return out.String()
	}
	first, second, third := show(), show(), show()
	assert.Contains(t, first, "At the last check: panics: at rpc/errors.go:3\n")
	assert.Contains(t, first, "\n\nLook there.\n")
	assert.Contains(t, second, "\n\nAnd there.\n")
	assert.Contains(t, third, "\n\nAbout what the test checks: "+own[0]+"\n")
	for range len(own) - 1 {
		third = show()
	}
	assert.Contains(t, third, "workshop solution rpc/errors.go\n", "it panics there")

	// Another end has hints of its own, from the first.
	p.RecordWhy(map[string]progress.Why{test: {Cause: "hangs", How: "hung", Hints: []string{"Who sends?"}}})
	assert.Contains(t, show(), "\n\nWho sends?\n")
}

func TestFirstMistakes_CountsTheOthers(t *testing.T) {
	assert.Equal(t, "  a\n  \thave\n  b\n  c\n  … and 2 more", firstMistakes("a\n\thave\nb\nc\nd\n\thave\ne"))
	assert.Equal(t, "  a", firstMistakes("a"))
}
