package durable

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// All code that gives a file its place does it by this package: else the file, or its
// old content, may be gone after a power loss. consulbin keeps a binary that it can build again.
func TestRename_IsCalledNowhereElse(t *testing.T) {
	rename := regexp.MustCompile(`\bos\.(Rename|Link)\(`)
	seen := 0
	err := filepath.WalkDir(filepath.Join("..", ".."), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && (d.Name() == "testdata" || d.Name() == "durable" || d.Name() == "consulbin") {
			if d != nil && d.IsDir() && err == nil {
				return fs.SkipDir
			}
			return err
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		code, err := os.ReadFile(path)
		seen++
		assert.Empty(t, rename.FindAllString(string(code), -1), path)
		return err
	})
	require.NoError(t, err)
	assert.Greater(t, seen, 200)
}
