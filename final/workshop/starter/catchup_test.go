package starter

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/progress"
)

// write puts a file of the learner's into a folder.
func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
}

// caughtUp carries out CatchUp to a station.
func caughtUp(t *testing.T, root, dir, to string) *Move {
	t.Helper()
	p, err := progress.Open(dir)
	require.NoError(t, err)
	m, err := CatchUp(root, p, station(t, to))
	require.NoError(t, err)
	require.NoError(t, m.Do(p))
	return m
}

// Who catches up has what start gives at that station, wherever one stood.
func TestCatchUp_GivesWhatStartGives(t *testing.T) {
	for _, c := range []struct{ from, to string }{{"6c", "07"}, {"03", "5d"}, {"5a", "5a"}} {
		t.Run(c.from+"→"+c.to, func(t *testing.T) {
			root, dir := started(t, c.from)
			m := caughtUp(t, root, dir, c.to)
			assert.Empty(t, m.Saved, "the learner has written nothing")
			_, direct := started(t, c.to)
			have, want := filesIn(t, dir), filesIn(t, direct)
			assert.Equal(t, want.Names(), have.Names())
			for name := range want {
				assert.Equal(t, string(want[name]), string(have[name]), name)
			}
			p, err := progress.Open(dir)
			require.NoError(t, err)
			assert.Equal(t, c.to, p.Station)
		})
	}
}

func TestCatchUp_NotesTheStationsThatItSolved(t *testing.T) {
	root, dir := started(t, "01")
	p, err := progress.Open(dir)
	require.NoError(t, err)
	p.Record(nil, []string{"TestA"}, true)
	p.RecordSome([]string{"TestA"})
	require.NoError(t, p.Save())
	caughtUp(t, root, dir, "4a")
	p, err = progress.Open(dir)
	require.NoError(t, err)
	assert.Equal(t, []string{"01"}, p.Finished)
	assert.Equal(t, []string{"02", "03"}, p.Solved)
	assert.Empty(t, append(p.ToDo, p.Some...), "of the station before")
}

func TestCatchUp_KeepsWhatTheLearnerHasWritten(t *testing.T) {
	root, dir := started(t, "02")
	for _, text := range []string{"first", "second"} {
		write(t, dir, "rpc/server.go", text)
		m := caughtUp(t, root, dir, "02")
		require.Len(t, m.Saved, 1)
		assert.Equal(t, "rpc/server.go", m.Saved[0].Name)
		assert.Equal(t, text, read(t, dir, m.Saved[0].As))
		assert.Contains(t, read(t, dir, "rpc/server.go"), "package rpc")
	}
	assert.Equal(t, "first", read(t, dir, "rpc/server.go.mine"))
	assert.Equal(t, "second", read(t, dir, "rpc/server.go.mine2"))
}

// A learner at 03 has finished 02. 03 does not change line.go; it changes server.go.
func TestSolveAndNext_FilesThatTheStationLeavesAloneStay(t *testing.T) {
	for _, c := range []struct {
		name     string
		finished []string
		line     func(ours string) string
		stays    bool
	}{
		{"finished before", []string{"02"}, func(ours string) string { return ours + "\n// mine\n" }, true},
		{"not finished before", nil, func(ours string) string { return ours + "\n// mine\n" }, false},
		{"does not compile with ours", []string{"02"}, func(string) string { return "package rpc\n\nfunc readLine() {}\n" }, false},
		{"does not parse", []string{"02"}, func(string) string { return "package rpc\n\nfunc (" }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			root, dir := started(t, "03")
			line, server := c.line(read(t, dir, "rpc/line.go")), read(t, dir, "rpc/server.go")+"\n// mine\n"
			write(t, dir, "rpc/line.go", line)
			write(t, dir, "rpc/server.go", server)
			p, err := progress.Open(dir)
			require.NoError(t, err)
			p.Finished = c.finished
			m, err := SolveAndNext(root, p, station(t, "4a"))
			require.NoError(t, err)
			require.NoError(t, m.Do(p))
			assert.Equal(t, server, read(t, dir, "rpc/server.go.mine"), "03 changes it")
			if c.stays {
				assert.Equal(t, []string{"rpc/line.go"}, m.Stay)
				assert.Equal(t, line, read(t, dir, "rpc/line.go"))
				assert.NoFileExists(t, filepath.Join(dir, "rpc", "line.go.mine"))
				return
			}
			assert.Empty(t, m.Stay)
			assert.Equal(t, line, read(t, dir, "rpc/line.go.mine"))
		})
	}
}

// A file of the learner's own stays, unless it does not compile with our code.
func TestCatchUp_OwnFilesStayIfTheyCompile(t *testing.T) {
	root, dir := started(t, "01")
	stay := map[string]string{
		"rpc/own.go":         "package rpc\n\nimport (\n\t\"math/rand/v2\"\n\t\"net\"\n)\n\nfunc own(net.Conn) *Server { rand.N(2); return &Server{} }\n",
		"rpc/own_test.go":    "package rpc\n\nimport \"testing\"\n\nfunc TestOwn(t *testing.T) { own(nil).Close() }\n",
		"rpc/tool.go":        "//go:build ignore\n\npackage main\n\nfunc readLine() { nope() }\n",
		"rpc/own_windows.go": "package rpc\n\nfunc readLine() {}\n",
		"play/main.go":       "package main\n\nfunc main() { broken }\n",
		"notes.txt":          "mine",
	}
	if os.PathSeparator == '\\' {
		delete(stay, "rpc/own_windows.go")
	}
	gone := map[string]string{
		"rpc/moved.go":     "package rpc\n\nfunc readLine() {}\n",
		"rpc/method.go":    "package rpc\n\nfunc (s *Server) Close() error { return nil }\n",
		"rpc/calls.go":     "package rpc\n\nfunc mine() { onlyMine() }\n",
		"rpc/half.go":      "package rpc\n\nfunc (",
		"rpc/follows.go":   "package rpc\n\nvar _ = mine\n",
		"rpc/mine_test.go": "package rpc\n\nvar _ = Server{}.nope\n",
	}
	for _, files := range []map[string]string{stay, gone} {
		for name, text := range files {
			write(t, dir, name, text)
		}
	}
	write(t, dir, "rpc/server.go", "package rpc\n\nfunc onlyMine() {}\n")
	m := caughtUp(t, root, dir, "02")
	for name, text := range stay {
		assert.Equal(t, text, read(t, dir, name))
	}
	why := map[string]string{}
	for _, b := range m.Saved {
		why[b.Name] = b.Why
	}
	assert.Len(t, why, len(gone)+1)
	for name, text := range gone {
		assert.Equal(t, text, read(t, dir, name+".mine"))
		assert.NoFileExists(t, filepath.Join(dir, filepath.FromSlash(name)))
		assert.Contains(t, why[name], "it does not compile with our code: "+name+":3:")
	}
	assert.Contains(t, why["rpc/moved.go"], "readLine redeclared")
	assert.Empty(t, why["rpc/server.go"], "ours is there")
}

func TestCatchUp_LineEndsAreNoWork(t *testing.T) {
	root, dir := started(t, "02")
	for name, data := range filesIn(t, dir) {
		write(t, dir, name, string(bytes.ReplaceAll(data, []byte("\n"), []byte("\r\n"))))
	}
	assert.Empty(t, caughtUp(t, root, dir, "03").Saved)
}

// A folder made before the tool noted what it gave: all that differs is kept.
func TestCatchUp_WithoutANoteOfWhatWasGiven(t *testing.T) {
	root, dir := started(t, "03")
	p, err := progress.Open(dir)
	require.NoError(t, err)
	p.Given = nil
	require.NoError(t, p.Save())
	m := caughtUp(t, root, dir, "4a")
	assert.NotEmpty(t, m.Saved)
	for _, b := range m.Saved {
		assert.FileExists(t, filepath.Join(dir, filepath.FromSlash(b.As)))
	}
}

// What fails halfway is taken back.
func TestMove_IsDoneWhollyOrNotAtAll(t *testing.T) {
	root, dir := started(t, "6c")
	write(t, dir, "cmd/raw.go", "package cmd // mine")
	write(t, dir, "inventory", "a file where 07 has a folder")
	before := filesIn(t, dir)
	p, err := progress.Open(dir)
	require.NoError(t, err)
	m, err := CatchUp(root, p, station(t, "07"))
	if err == nil {
		err = m.Do(p)
	}
	assert.ErrorContains(t, err, "inventory")
	after := filesIn(t, dir)
	assert.Equal(t, before.Names(), after.Names())
	for name := range before {
		assert.Equal(t, string(before[name]), string(after[name]), name)
	}
	p, err = progress.Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "6c", p.Station)
}

func TestFinish_PutsTheLastStationsCodeIn(t *testing.T) {
	root, dir := started(t, "07")
	write(t, dir, "rpc/errors.go", "package rpc\n")
	write(t, dir, "rpc/errors_test.go", "package rpc\n")
	p, err := progress.Open(dir)
	require.NoError(t, err)
	m, err := Finish(root, p)
	require.NoError(t, err)
	require.NoError(t, m.Do(p))
	assert.True(t, m.Last)
	assert.Equal(t, "package rpc\n", read(t, dir, "rpc/errors.go.mine"))
	assert.Equal(t, "package rpc\n", read(t, dir, "rpc/errors_test.go.mine"))
	last, err := course.Stations[len(course.Stations)-1].Files(root, Module)
	require.NoError(t, err)
	for name, text := range last {
		if course.IsCode(name) {
			assert.Equal(t, string(text), read(t, dir, name))
		}
	}
	assert.Equal(t, []string{"07"}, p.Solved)
}

// Editors leave files behind that go does not look at; and a module of the
// learner's own is none of the course's business.
func TestNext_LooksOnlyAtTheLearnersModule(t *testing.T) {
	root, dir := started(t, "01")
	write(t, dir, "_old/half.go", "package rpc\nfunc (")
	write(t, dir, "rpc/_half.go", "package rpc\nfunc (")
	write(t, dir, "play/go.mod", "module play\n")
	write(t, dir, "play/half.go", "func (")
	if err := os.Symlink("me@host.1", filepath.Join(dir, "rpc", ".#server.go")); err != nil {
		t.Log(err) // Windows does not let everyone
	}
	next(t, root, dir)
}
