package watch

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, filepath.FromSlash(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o777))
	require.NoError(t, os.WriteFile(file, []byte(text), 0o666))
}

// changesSoon reports whether a change arrives before the bubble's clock has gone
// on by a minute.
func changesSoon(changes <-chan struct{}) bool {
	select {
	case _, ok := <-changes:
		return ok
	case <-time.After(time.Minute):
		return false
	}
}

func TestChanges_ByLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "rpc/server.go", "package rpc")
		ctx, cancel := context.WithCancel(t.Context())
		changes := Changes(ctx, dir, Options{Poll: true})
		assert.False(t, changesSoon(changes), "nothing happened")

		write(t, dir, "rpc/server.go", "package rpc // 1")
		assert.True(t, changesSoon(changes), "written")
		assert.False(t, changesSoon(changes), "told once")

		write(t, dir, "cmd/client/main.go", "package main")
		assert.True(t, changesSoon(changes), "a new folder")
		write(t, dir, "cmd/client/main.go", "package main // 1")
		assert.True(t, changesSoon(changes), "written in the new folder")
		require.NoError(t, os.Remove(filepath.Join(dir, "rpc", "server.go")))
		assert.True(t, changesSoon(changes), "removed")

		for _, name := range []string{".workshop.json", ".git/index", "rpc/server.go~", "rpc/.server.go.swp", "rpc/4913", "rpc/#server.go#", "rpc.test", "go.work.sum", "rpc/debug.log", "rpc/cover.out"} {
			write(t, dir, name, "x")
		}
		assert.False(t, changesSoon(changes), "none of the learner's")

		cancel()
		_, open := <-changes
		assert.False(t, open)
	})
}

func TestChanges_SeveralSavesAreOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		changes := Changes(t.Context(), dir, Options{Poll: true})
		for _, text := range []string{"a", "ab", "abc"} {
			write(t, dir, "a.go", text)
			<-time.After(5 * time.Second) // of the bubble's clock: nobody receives
		}
		assert.True(t, changesSoon(changes))
		assert.False(t, changesSoon(changes))
	})
}

// The system's notices come in real time; looking is switched off, so that
// nothing but a notice can be what the test receives.
func TestChanges_ByNotice(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "rpc/server.go", "package rpc")
	changes := Changes(t.Context(), dir, Options{Interval: time.Hour, Settle: time.Millisecond})
	receive := func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(20 * time.Second):
			require.FailNow(t, "no notice", what)
		}
	}
	write(t, dir, "rpc/server.go", "package rpc // 1")
	receive("written")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "cmd"), 0o777))
	write(t, dir, "cmd/raw.go", "package cmd")
	receive("a new folder's file")
	require.NoError(t, os.Rename(filepath.Join(dir, "cmd", "raw.go"), filepath.Join(dir, "cmd", "other.go")))
	receive("renamed, as editors save")
}
