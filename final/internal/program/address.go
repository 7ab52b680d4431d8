package program

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/internal/misuse"
)

// CheckListen ends the program with a usage error if nothing can listen on the address
// of a flag, before anything is opened or made. Only calls go over Unix sockets.
func (f ServerFlags) CheckListen(name, addr string, unix bool) {
	if err := listenError(addr, unix); err != nil {
		UsageError(f.FlagSet, "-%s: %v", name, err)
	}
}

// listenError is what rpc.Listen would say of an address, without listening.
func listenError(addr string, unix bool) error {
	want := "host:port"
	if unix {
		want += " or unix:path"
	}
	switch path, isUnix := strings.CutPrefix(addr, "unix:"); {
	case isUnix && !unix:
		return fmt.Errorf("address %q: want %s: HTTP has no Unix sockets here", addr, want)
	case isUnix && path == "":
		return fmt.Errorf("address %q: want unix: and a path", addr)
	case isUnix:
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	switch {
	case err != nil:
		return fmt.Errorf("address %q: want %s; an IPv6 host stands in brackets", addr, want)
	case !isPort(port):
		return fmt.Errorf("address %q: want a port from 0 to 65535, or a service's name", addr)
	case host != "" && misuse.CheckHost(host) != nil:
		return fmt.Errorf("address %q: %q is neither a host's name nor an IP address", addr, host)
	}
	return nil
}

func isPort(port string) bool {
	if n, err := strconv.Atoi(port); err == nil {
		return 0 <= n && n <= 65535
	}
	_, err := net.LookupPort("tcp", port)
	return port != "" && err == nil
}
