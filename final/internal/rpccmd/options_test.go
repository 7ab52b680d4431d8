package rpccmd

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A token of the environment is not in the way of calls that bring their own: then
// the client is the one that there is without a token, and reaches any address.
func TestOptions_OwnAuthorizationLeavesTheTokenOut(t *testing.T) {
	file := filepath.Join(t.TempDir(), "metadata")
	require.NoError(t, os.WriteFile(file, []byte("authorization=Bearer own\n"), 0o600))
	count := func(metadata ...string) int {
		o := &options{codec: "json", metadata: metadata}
		ctx, err := o.callContext(t.Context())
		require.NoError(t, err)
		list, err := o.clientOptions(ctx, target{addr: "192.0.2.1:7000"})
		require.NoError(t, err)
		return len(list)
	}
	t.Setenv(tokenVariable, "")
	without := count()
	t.Setenv(tokenVariable, "fromenv")
	assert.Equal(t, without+1, count("user=ann"))
	assert.Equal(t, without, count("authorization=Bearer own"))
	assert.Equal(t, without, count("@"+file))
}
