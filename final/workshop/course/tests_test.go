package course

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeFiles writes the files, by their names below dir.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
	}
}

func TestTestsIn_FindsWhatGoWouldRun(t *testing.T) {
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"rpc/server.go": "package rpc\nfunc TestNot(t *testing.T) {}\n",
		"rpc/server_test.go": `package rpc
func TestServer_A(t *testing.T) {}
func Testament(t *testing.T) {}
func TestMain(m *testing.M) {}
func helper(t *testing.T) {}
func (s suite) TestMethod(t *testing.T) {}
func TestServer_B(t *testing.T) {}
`,
		"rpc/broken_test.go":         "package rpc\nfunc TestBroken_A(t *testing.T) {}\nfunc TestBroken_B(t *testing.T) {\n",
		"rpc/_old_test.go":           "package rpc\nfunc TestOld(t *testing.T) {}\n",
		"rpc/testdata/x_test.go":     "package rpc\nfunc TestData(t *testing.T) {}\n",
		"cmd/script_test.go":         "package cmd\nfunc TestScripts(t *testing.T) {}\n",
		"testdata/script/echo.txtar": "", "testdata/script/notes.txt": "",
	})
	tests, err := TestsIn(dir)
	require.NoError(t, err)
	assert.Subset(t, tests, []Test{
		{"TestScripts/echo", "cmd", "testdata/script/echo.txtar"},
		{"TestBroken_A", "rpc", "rpc/broken_test.go"},
		{"TestServer_A", "rpc", "rpc/server_test.go"},
		{"TestServer_B", "rpc", "rpc/server_test.go"},
	})
	for _, test := range tests {
		assert.NotContains(t, []string{"TestNot", "Testament", "TestMain", "TestMethod", "TestOld", "TestData", "TestScripts/notes", "TestScripts"}, test.Name)
	}
}

func TestTests_FollowTheLesson(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, filepath.Join(root, "step01-tcp-server"), map[string]string{
		"README.md":          "```console\n--- FAIL: TestLimit_L\n--- FAIL: TestB\n```\n\nNot `TestBC`. First `TestC`, not `TestA_B`, then `TestA`. Again: `TestC`.\n\n## Checkpoint\n\n`TestD` notices.\n",
		"rpc/limits_test.go": "package rpc\nfunc TestLimit_L(t *testing.T) {}\n",
		"rpc/server_test.go": "package rpc\nfunc TestA(t *testing.T) {}\nfunc TestB(t *testing.T) {}\nfunc TestC(t *testing.T) {}\nfunc TestD(t *testing.T) {}\n",
	})
	tests, err := Tests(root, Stations[0])
	require.NoError(t, err)
	assert.Equal(t, []string{"TestC", "TestA", "TestB", "TestD", "TestLimit_L"}, names(tests), "nor as go sorts them, nor as they are named when all is green")
}

// The order is that in which the pieces turn tests green, not that in which the page
// shows tests or the output of a run.
func TestTests_FollowThePieces(t *testing.T) {
	root := t.TempDir()
	writeFiles(t, filepath.Join(root, "step01-tcp-server"), map[string]string{
		"README.md": "First read `TestServer_B`. Red is correct here: TestLimit_L.\n\n" +
			"```go type rpc/line.go readLine\n```\n\n<!-- now: TestReadLine_* green; TestServer_B red -->\n\n" +
			"```go type rpc/server.go Server.Close\n```\n\n<!-- now: all green but TestServer_A -->\n\n" +
			"```go type cmd/server.go\n```\n\n<!-- now: compiles; cmd all green -->\n",
		"cmd/cmd_test.go":    "package cmd\nfunc TestAdded(t *testing.T) {}\n",
		"rpc/limits_test.go": "package rpc\nfunc TestLimit_L(t *testing.T) {}\n",
		"rpc/seams_test.go":  "package rpc\nfunc TestReadLine_A(t *testing.T) {}\nfunc TestReadLine_B(t *testing.T) {}\n",
		"rpc/server_test.go": "package rpc\nfunc TestServer_A(t *testing.T) {}\nfunc TestServer_B(t *testing.T) {}\nfunc TestServer_C(t *testing.T) {}\n",
	})
	tests, err := Tests(root, Stations[0])
	require.NoError(t, err)
	assert.Equal(t, []string{"TestReadLine_A", "TestReadLine_B", "TestServer_B", "TestServer_C", "TestLimit_L", "TestAdded", "TestServer_A"}, names(tests))
}

func TestTurns_HaveEachTestOnceAtMost(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	for _, s := range Stations {
		all, err := Turns(root, s)
		require.NoError(t, err)
		known := map[Test]bool{}
		for i, p := range all {
			assert.NotEmpty(t, p.Tests, "%s, turn %d", s.Name, i+1)
			for _, test := range p.Tests {
				assert.False(t, known[test], test)
				known[test] = true
			}
		}
		assert.GreaterOrEqual(t, len(all), 2, s.Name)
	}
	all, err := Turns(root, Stations[0])
	require.NoError(t, err)
	assert.Equal(t, "A line", all[0].Heading)
	assert.Contains(t, names(all[0].Tests), "TestReadLine_StopsAtTheLimit")
}

func TestFilesFor_AreThoseOfTheTestsPiece(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	for _, c := range []struct {
		station, test string
		want          []string
	}{
		{"01", "TestReadLine_StopsAtTheLimit", []string{"rpc/line.go"}},
		{"01", "TestServer_AnswersEachLine", []string{"rpc/server.go"}},
		{"02", "TestMarshalLine_MakesOneLine", []string{"rpc/protocol.go"}},
		{"02", "TestServer_RefusesWhatIsNotARequest", []string{"rpc/protocol.go", "rpc/server.go"}},
		{"01", "TestScripts/echo", nil},
	} {
		s, err := Find(c.station)
		require.NoError(t, err)
		files, err := FilesFor(root, s, c.test)
		require.NoError(t, err)
		assert.Equal(t, c.want, files, c.test)
	}
}

func TestHeadings_AreThoseOfTheLesson(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	for _, c := range []struct{ station, decl, test, written, green string }{
		{"01", "Server.Close", "TestServer_AnswersEachLine", "Everything that is open", "A connection"},
		{"01", "Server.serveConn", "TestReadLine_StopsAtTheLimit", "A connection", "A line"},
		{"4a", "Server.handle", "TestServer_AnswersEachLine", "The call", "What the tests need"},
		{"4a", "nobody", "TestNobodyHasThis", "", ""},
	} {
		s, err := Find(c.station)
		require.NoError(t, err)
		written, err := HeadingOf(root, s, c.decl)
		require.NoError(t, err)
		assert.Equal(t, c.written, written, c.decl)
		green, err := GreenUnder(root, s, c.test)
		require.NoError(t, err)
		assert.Equal(t, c.green, green, c.test)
	}
}

func TestTests_BeginWithTheFirstPieceOfTheCourse(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	for station, want := range map[string]string{"01": "TestReadLine_", "02": "TestReadLine_HasRoom"} {
		s, err := Find(station)
		require.NoError(t, err)
		tests, err := NewTests(root, s)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(tests[0].Name, want), "%s begins with %s", station, tests[0].Name)
	}
}

func TestNewTests_OfTheCourse(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	find := func(name string) Station {
		s, err := Find(name)
		require.NoError(t, err)
		return s
	}

	first, err := NewTests(root, find("01"))
	require.NoError(t, err)
	assert.Contains(t, names(first), "TestServer_AnswersEachLine", "the first adds all that it has")
	assert.Contains(t, names(first), "TestScripts/echo")

	second, err := NewTests(root, find("02"))
	require.NoError(t, err)
	assert.Contains(t, names(second), "TestServer_RefusesWhatIsNotARequest")
	assert.NotContains(t, names(second), "TestServer_AnswersEachLine")
	for _, test := range second {
		assert.Equal(t, test.Name == "TestLimit_AnyMethodIsAnswered", test.IsPin(), test.Name)
		assert.Equal(t, test.File == "rpc/naive_test.go", test.IsNaive(), test.Name)
	}

	cancel, err := NewTests(root, find("5e"))
	require.NoError(t, err)
	assert.Contains(t, names(cancel), "TestScripts/timeout", "which a checkpoint has early")
	assert.NotContains(t, names(cancel), "TestScripts/echo", "step 04 has it, though no checkpoint between")
	whole, err := NewTests(root, find("5f"))
	require.NoError(t, err)
	assert.Contains(t, names(whole), "TestServer_ShutdownHearsOutItsClients")
	assert.NotContains(t, names(whole), "TestScripts/timeout")
	assert.NotContains(t, names(whole), "TestClient_CallEndsWithItsContext", "a checkpoint's tests are its own")
}

func TestTestsIn_LeavesCheckpointsOut(t *testing.T) {
	dir := t.TempDir()
	i := slices.IndexFunc(Stations, Station.IsCheckpoint)
	checkpoint := filepath.Base(Stations[i].Folder)
	writeFiles(t, dir, map[string]string{
		checkpoint + "/rpc/a_test.go": "package rpc\nfunc TestInside(t *testing.T) {}\n",
		"rpc/a_test.go":               "package rpc\nfunc TestHere(t *testing.T) {}\n",
	})
	tests, err := TestsIn(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"TestHere"}, names(tests))
}

func names(tests []Test) []string {
	var names []string
	for _, t := range tests {
		names = append(names, t.Name)
	}
	return names
}
