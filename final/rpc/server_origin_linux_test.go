package rpc

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOrigin_OfAUnixSocketIsItsUser(t *testing.T) {
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer ln.Close()
	near, err := net.Dial("unix", ln.Addr().String())
	require.NoError(t, err)
	defer near.Close()
	far, err := ln.Accept()
	require.NoError(t, err)
	defer far.Close()
	key, ok := originOf(far, remoteAddr(far))
	assert.True(t, ok)
	assert.Equal(t, originKey{user: true, uid: uint32(os.Getuid())}, key)
}
