//go:build unix

package rpc

import (
	"net"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func noDelay(t *testing.T, conn net.Conn) bool {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	on := 0
	require.NoError(t, raw.Control(func(fd uintptr) {
		on, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
	}))
	require.NoError(t, err)
	return on != 0
}
