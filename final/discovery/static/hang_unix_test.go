//go:build unix

package static

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// To open a pipe is to wait for its writer.
func TestFile_APipeIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "servers.txt")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	err := (&File{Path: path}).Resolve(t.Context(), func([]string) { t.Error("there is no list") })
	assert.EqualError(t, err, "static: "+path+" is not a regular file")
}

func TestFile_APipeInItsPlaceChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, "a:1\n")
		assert.Equal(t, []any{[]string{"a:1"}}, w.news())
		require.NoError(t, os.Remove(w.path))
		require.NoError(t, syscall.Mkfifo(w.path, 0o600))
		assert.Equal(t, []any{"static: FILE is not a regular file"}, w.news())
	})
}

func TestAwait_ReturnsWhenTheContextEndsThoughTheFileSystemHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			synctest.Wait()
			cancel()
		}()
		_, err := await(ctx, func() ([]byte, error) {
			<-answer
			return nil, nil
		})
		assert.ErrorIs(t, err, context.Canceled)
		close(answer)
	})
}
