package course

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

// The container has the Go that the workspace asks for, and gopls.
func TestDevcontainer_HasTheWorkspacesGo(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, ".devcontainer", "devcontainer.json"))
	require.NoError(t, err)
	var container struct{ Image, PostCreateCommand string }
	require.NoError(t, json.Unmarshal(text, &container))
	text, err = os.ReadFile(filepath.Join(root, "go.work"))
	require.NoError(t, err)
	work, err := modfile.ParseWork("go.work", text, nil)
	require.NoError(t, err)
	assert.Equal(t, "golang:"+work.Go.Version, container.Image)
	assert.Contains(t, container.PostCreateCommand, "golang.org/x/tools/gopls@")
}
