package watch

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
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
// on by a minute. It returns between two looks, so that none is under way while
// the test writes.
func changesSoon(changes <-chan struct{}) bool {
	select {
	case _, ok := <-changes:
		return ok
	case <-time.After(time.Minute + time.Second/2):
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
		_, open := <-changes
		require.True(t, open, what)
	}
	write(t, dir, "rpc/server.go", "package rpc // 1")
	receive("written")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "cmd"), 0o777))
	write(t, dir, "cmd/raw.go", "package cmd")
	receive("a new folder's file")
	require.NoError(t, os.Rename(filepath.Join(dir, "cmd", "raw.go"), filepath.Join(dir, "cmd", "other.go")))
	receive("renamed, as editors save")
}

// noticing runs f with each of the two ways to notice. Looking is switched off beside notices, and
// the other way round.
func noticing(t *testing.T, dir string, f func(t *testing.T, receive func(what string))) {
	t.Run("by looking", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			changes := Changes(t.Context(), dir, Options{Poll: true})
			f(t, func(what string) {
				t.Helper()
				require.True(t, changesSoon(changes), what)
				require.False(t, changesSoon(changes), "told once: %s", what)
			})
		})
	})
	t.Run("by notice", func(t *testing.T) {
		changes := Changes(t.Context(), dir, Options{Interval: time.Hour, Settle: time.Millisecond})
		f(t, func(what string) {
			t.Helper()
			_, open := <-changes
			require.True(t, open, what)
		})
	})
}

func link(t *testing.T, to, name string) {
	t.Helper()
	if err := os.Symlink(to, name); err != nil {
		require.Equal(t, "windows", runtime.GOOS, err) // there it needs a permission
		t.Skip(err)
	}
}

func TestChanges_FollowsLinks(t *testing.T) {
	real, elsewhere := t.TempDir(), t.TempDir()
	write(t, real, "rpc/server.go", "0")
	write(t, elsewhere, "shared.go", "0")
	write(t, elsewhere, "pkg/pkg.go", "0")
	dir := filepath.Join(t.TempDir(), "mine")
	link(t, real, dir)
	link(t, filepath.Join(elsewhere, "shared.go"), filepath.Join(real, "rpc", "shared.go"))
	link(t, filepath.Join(elsewhere, "pkg"), filepath.Join(real, "pkg"))
	link(t, real, filepath.Join(real, "round")) // a loop
	link(t, filepath.Join(elsewhere, "nowhere.go"), filepath.Join(real, "nothing.go"))
	n := 0
	noticing(t, dir, func(t *testing.T, receive func(what string)) {
		for _, file := range []string{"rpc/server.go", "rpc/shared.go", "pkg/pkg.go", "rpc/new.go", "fresh/a.go", "fresh/a.go"} {
			n++
			write(t, dir, file, strings.Repeat("x", n))
			receive(file)
		}
		write(t, elsewhere, "pkg/pkg.go", strings.Repeat("y", n+1))
		receive("written by its own name")
		require.NoError(t, os.RemoveAll(filepath.Join(real, "fresh")))
		receive("removed")
	})
}

// Editors and tools put a new folder or link in place of the old one.
func TestChanges_SeesWhatWasReplaced(t *testing.T) {
	rename := func(from, to string) {
		t.Helper()
		require.NoError(t, os.Rename(from, to))
	}
	n := 0
	for _, place := range []string{"", "rpc"} {
		dir := filepath.Join(t.TempDir(), "mine")
		write(t, dir, "rpc/server.go", "0")
		t.Run("the folder "+place, func(t *testing.T) {
			noticing(t, dir, func(t *testing.T, receive func(what string)) {
				n++
				next := filepath.Join(t.TempDir(), "next")
				write(t, next, filepath.Join("rpc", "server.go"), strings.Repeat("x", n))
				at := filepath.Join(dir, place)
				rename(at, filepath.Join(t.TempDir(), "old"))
				rename(filepath.Join(next, place), at)
				receive("replaced")
				n++
				write(t, dir, "rpc/server.go", strings.Repeat("x", n))
				receive("written in the new one")
			})
		})
	}
}

func TestChanges_SeesALinkThatLeadsElsewhere(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	write(t, first, "a.go", "1")
	write(t, second, "a.go", "22")
	dir := filepath.Join(t.TempDir(), "mine")
	link(t, first, dir)
	n := 2
	synctest.Test(t, func(t *testing.T) { // nothing happens in the folder: only a look can find it
		changes := Changes(t.Context(), dir, Options{Poll: true})
		require.NoError(t, os.Remove(dir))
		link(t, second, dir)
		assert.True(t, changesSoon(changes))
		n++
		write(t, dir, "a.go", strings.Repeat("x", n))
		assert.True(t, changesSoon(changes))
		assert.False(t, changesSoon(changes))
	})
}
