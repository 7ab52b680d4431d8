package starter

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// next carries out the move of the learner in dir.
func next(t *testing.T, root, dir string) *Move {
	t.Helper()
	p, err := progress.Open(dir)
	require.NoError(t, err)
	m, err := Next(root, p)
	require.NoError(t, err)
	require.NoError(t, m.Do(p))
	return m
}

// filesIn returns the texts below dir, but for the tool's own.
func filesIn(t *testing.T, dir string) course.Files {
	t.Helper()
	files := course.Files{}
	require.NoError(t, filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || entry.Name() == progress.File {
			return err
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)], err = os.ReadFile(file)
		return err
	}))
	return files
}

// Who walks from the first station to the last has what one has who starts at
// the last: nothing is left over, and nothing was taken for a learner's change.
func TestNext_FromTheFirstToTheLast(t *testing.T) {
	seldom.Test(t)
	root, dir := started(t, course.Stations[0].Name)
	for i, s := range course.Stations {
		require.NoError(t, Solve(root, s, dir))
		if i+1 < len(course.Stations) {
			m := next(t, root, dir)
			assert.Equal(t, course.Stations[i+1], m.To)
			assert.Empty(t, m.Saved)
			assert.Empty(t, m.Kept)
		}
	}
	last := course.Stations[len(course.Stations)-1].Name
	_, direct := started(t, last)
	require.NoError(t, Solve(root, station(t, last), direct))
	walked, want := filesIn(t, dir), filesIn(t, direct)
	assert.Equal(t, want.Names(), walked.Names())
	for name := range want {
		assert.Equal(t, string(want[name]), string(walked[name]), name)
	}
}

// The programs are the course's until the learner changes one.
func TestNext_RenewsProgramsThatTheLearnerHasNotChanged(t *testing.T) {
	root, dir := started(t, "03")
	server := read(t, dir, "cmd/server.go")
	m := next(t, root, dir)
	assert.Contains(t, m.Shipped, Shipment{File: "cmd/server.go"})
	assert.NotContains(t, m.Shipped, Shipment{File: "cmd/client.go"}, "which 4a leaves alone")
	assert.NotEqual(t, server, read(t, dir, "cmd/server.go"))
	assert.Contains(t, read(t, dir, "cmd/server.go"), "RegisterService")
}

func TestNext_OverwritesNoProgramOfTheLearners(t *testing.T) {
	root, dir := started(t, "03")
	mine := read(t, dir, "cmd/server.go") + "\n// mine\n"
	write(t, dir, "cmd/server.go", mine)
	m := next(t, root, dir)
	assert.Equal(t, []string{"cmd/server.go"}, m.Kept)
	assert.NotContains(t, m.Shipped, Shipment{File: "cmd/server.go"})
	assert.Equal(t, mine, read(t, dir, "cmd/server.go"))
}

// A folder that was made when programs were copied by hand has our text, although it
// was given none.
func TestNext_RenewsAProgramThatWasCopied(t *testing.T) {
	root, dir := started(t, "03")
	p, err := progress.Open(dir)
	require.NoError(t, err)
	delete(p.Given, "cmd/server.go")
	require.NoError(t, p.Save())
	m := next(t, root, dir)
	assert.Empty(t, m.Kept)
	assert.Contains(t, read(t, dir, "cmd/server.go"), "RegisterService")
}

// A learner's function stays where it is, and is not shipped a second time.
func TestNext_ShipsNothingThatTheLearnerDeclaresElsewhere(t *testing.T) {
	root, dir := started(t, "02")
	write(t, dir, "cmd/my.go", "package cmd\n\nfunc call() {}\n")
	next(t, root, dir)
	client := read(t, dir, "cmd/client.go")
	assert.NotContains(t, client, "func call(")
	assert.Contains(t, client, "func Client(")
}

// 07 has no cmd/server.go. What a learner has made of it stays, and none of its
// functions is shipped in another file.
func TestNext_TakesAwayOnlyWhatIsTheCourses(t *testing.T) {
	root, dir := started(t, "6c")
	mine := read(t, dir, "cmd/server.go") + "\n// mine\n"
	write(t, dir, "cmd/server.go", mine)
	next(t, root, dir)
	assert.NoFileExists(t, filepath.Join(dir, "cmd", "raw.go"))
	assert.Equal(t, mine, read(t, dir, "cmd/server.go"))
	assert.NotContains(t, read(t, dir, "cmd/program.go"), "func serve(")
}

func TestNext_LineEndsAreNoChange(t *testing.T) {
	root, dir := started(t, "01")
	for name, data := range filesIn(t, dir) {
		if course.IsTest(name) {
			data = bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))
			require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), data, 0o666))
		}
	}
	assert.Empty(t, next(t, root, dir).Saved)
}

func TestNext_KeepsEveryChangeOfATest(t *testing.T) {
	root, dir := started(t, "5b")
	naive := filepath.Join(dir, "rpc", "naive_test.go") // which 5c has no longer
	for n, text := range []string{"first", "second"} {
		require.NoError(t, os.WriteFile(naive, []byte(text), 0o666))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc", "server_test.go"), []byte(text), 0o666)) // the same in 5c
		p, err := progress.Open(dir)
		require.NoError(t, err)
		p.Station = "5b"
		m, err := Next(root, p)
		require.NoError(t, err)
		require.Len(t, m.Saved, 1)
		assert.Equal(t, "rpc/naive_test.go", m.Saved[0].Name)
		require.NoError(t, m.Do(p))
		assert.NoFileExists(t, naive)
		assert.Equal(t, "first", read(t, dir, "rpc/naive_test.go.mine"))
		assert.Equal(t, text, read(t, dir, "rpc/server_test.go"))
		if n == 1 {
			assert.Equal(t, "second", read(t, dir, "rpc/naive_test.go.mine2"))
		}
	}
}

func TestNext_LeavesOutWhatTheLearnerDeclaresElsewhere(t *testing.T) {
	root, dir := started(t, "5b")
	own := "package rpc\n\n// mine\nfunc newServerConn() {}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rpc", "my.go"), []byte(own), 0o666))
	m := next(t, root, dir)
	assert.Equal(t, []string{"rpc/conn.go"}, m.Stubs)
	conn := read(t, dir, "rpc/conn.go")
	assert.NotContains(t, conn, "func newServerConn")
	assert.Contains(t, conn, "type serverConn struct")
	assert.Equal(t, own, read(t, dir, "rpc/my.go"))
}

func TestChanges_NamesWhatALessonEdits(t *testing.T) {
	root := theCourse(t)
	changes, err := Changes(root, station(t, "5a"))
	require.NoError(t, err)
	var client Change
	for _, c := range changes {
		assert.False(t, strings.HasSuffix(c.File, "_test.go"))
		if c.File == "rpc/client.go" {
			client = c
		}
	}
	assert.Contains(t, client.New, "Client.readLoop")
	assert.Contains(t, client.Edited, "Client.Call")
	assert.Empty(t, client.Cut)

	changes, err = Changes(root, station(t, "01"))
	require.NoError(t, err)
	assert.Empty(t, changes)

	changes, err = Changes(root, station(t, "07"))
	require.NoError(t, err)
	assert.Contains(t, changes, Change{File: "cmd/raw.go", Gone: true})
}
