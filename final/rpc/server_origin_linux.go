package rpc

import (
	"net"
	"syscall"
)

// userOf returns the user of the process that has connected to a Unix socket.
func userOf(conn *net.UnixConn) (uid uint32, known bool) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, false
	}
	raw.Control(func(fd uintptr) {
		if peer, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			uid, known = peer.Uid, true
		}
	})
	return uid, known
}
