package cli_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/workshop/cli"
)

// In a terminal whose PATH lacks Go, the commands that run it say so, and begin nothing.
func TestCommands_SayThatGoIsNotInPATH(t *testing.T) {
	t.Setenv("PATH", "")
	dir := filepath.Join(t.TempDir(), "mine")
	for _, args := range [][]string{{"check", dir}, {"watch", dir}, {"next"}} {
		var stdout, stderr bytes.Buffer
		assert.Equal(t, 1, cli.Main(args, nil, &stdout, &stderr), args)
		assert.Contains(t, stderr.String(), `this command runs "go", and no folder of PATH has it`, args)
		assert.Empty(t, stdout.String(), args)
	}
}
