package progress

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOpen_FindsWhatWasSavedFromBelow(t *testing.T) {
	dir := t.TempDir()
	p, err := Create(dir, "03")
	require.NoError(t, err)
	p.Record([]string{"TestA"}, []string{"TestB"}, false)
	assert.Equal(t, 1, p.ShowHint("TestB"))
	assert.Equal(t, 2, p.ShowHint("TestB"))
	require.NoError(t, p.Save())

	below := filepath.Join(dir, "cmd", "server")
	require.NoError(t, os.MkdirAll(below, 0o777))
	got, err := Open(below)
	require.NoError(t, err)
	assert.Equal(t, p, got)
	assert.Equal(t, dir, got.Dir())
	assert.Equal(t, "03", got.Station)

	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 2, "the file and cmd: nothing temporary stays")

	other := filepath.Join(dir, "other")
	require.NoError(t, os.WriteFile(other, nil, 0o666))
	want, err := os.Stat(other)
	require.NoError(t, err)
	info, err := os.Stat(filepath.Join(dir, File))
	require.NoError(t, err)
	assert.Equal(t, want.Mode(), info.Mode(), "who may read the code may read how far it is")
}

func TestRecord_AFinishedStationStaysFinished(t *testing.T) {
	p := &Progress{Station: "03"}
	p.Record([]string{"TestA"}, []string{"TestB"}, false)
	assert.False(t, p.IsFinished("03"))
	p.Record([]string{"TestA", "TestB"}, nil, false) // a program does not compile
	assert.False(t, p.IsFinished("03"))
	p.Record([]string{"TestA", "TestB"}, nil, true)
	assert.True(t, p.IsFinished("03"))
	p.Record([]string{"TestA"}, []string{"TestB"}, false)
	p.Record([]string{"TestA", "TestB"}, nil, true)
	assert.Equal(t, []string{"03"}, p.Finished)
	assert.False(t, p.IsFinished("04"))
}

func TestRecordWhy_HintsBeginAnewWithAnotherCase(t *testing.T) {
	p := &Progress{Station: "03"}
	p.RecordWhy(map[string]Why{"TestA": {Cause: "expected 1, got 2", Case: "empty"}})
	p.ShowHint("TestA")
	p.RecordWhy(map[string]Why{"TestA": {Cause: "expected 1, got 3", Case: "empty"}})
	assert.Equal(t, 2, p.ShowHint("TestA"), "it is the same case")
	p.RecordWhy(map[string]Why{"TestA": {Cause: "expected 1, got 3", Case: "null"}})
	assert.Equal(t, 1, p.ShowHint("TestA"))
	p.RecordWhy(map[string]Why{"TestA": {Cause: "hangs", Case: "null", How: "hung"}})
	assert.Equal(t, 1, p.ShowHint("TestA"), "it ends in another way")

	p.RecordWhyOf([]string{"TestB", "TestC"}, map[string]Why{"TestB": {Cause: "panics"}, "TestC": {Cause: "hangs"}})
	p.RecordWhyOf([]string{"TestC"}, nil) // it passes now
	assert.Equal(t, map[string]Why{"TestA": {Cause: "hangs", Case: "null", How: "hung"}, "TestB": {Cause: "panics"}}, p.Why)
	p.Forget()
	assert.Empty(t, p.Why)
}

func TestCreate_RefusesToOverwrite(t *testing.T) {
	dir := t.TempDir()
	_, err := Create(dir, "03")
	require.NoError(t, err)
	_, err = Create(dir, "01")
	assert.ErrorIs(t, err, fs.ErrExist)
	p, err := Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "03", p.Station)
}

func TestOpen_SaysWhatToDo(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(dir)
	assert.ErrorIs(t, err, ErrNone)
	assert.ErrorContains(t, err, "workshop start")

	for _, broken := range []string{"", "{", `{"finished":[]}`, `[]`} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, File), []byte(broken), 0o666))
		_, err := Open(dir)
		assert.ErrorContains(t, err, filepath.Join(dir, File)+" cannot be read", broken)
		assert.ErrorContains(t, err, `{"station":"03"}`, broken)
	}
}

// The correction that is asked for may come from an editor that begins files so.
func TestOpen_TakesAByteOrderMark(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, File), []byte("\ufeff{\"station\":\"03\"}\r\n"), 0o666))
	p, err := Open(dir)
	require.NoError(t, err)
	assert.Equal(t, "03", p.Station)
}

func TestRecordMistake_IsForgottenByTheNextCheck(t *testing.T) {
	p, err := Create(t.TempDir(), "03")
	require.NoError(t, err)
	p.Record(nil, []string{"TestA"}, false)
	p.RecordMistake("rpc/line.go:3:8: wrong", []string{"TestA"})
	require.NoError(t, p.Save())
	saved, err := Open(p.Dir())
	require.NoError(t, err)
	assert.Equal(t, p, saved)

	saved.ShowHint(CompilerHints)
	saved.RecordMistake("rpc/line.go:3:8: wrong", []string{"TestA"})
	assert.Equal(t, 1, saved.Hints[CompilerHints])
	saved.RecordMistake("", nil)
	assert.Empty(t, saved.Mistake)
	assert.Empty(t, saved.NotRun)
	assert.Empty(t, saved.Hints, "hints about another mistake begin anew")
}
