package static

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// Parse reads addresses separated by commas, as in a flag; spaces around an
// address are ignored. Its error names the first address that [Check] refuses
// or that occurs twice. An empty list is an error, too.
func Parse(list string) (rpc.StaticResolver, error) {
	if strings.TrimSpace(list) == "" {
		return nil, errNone
	}
	var addrs rpc.StaticResolver
	seen := map[string]bool{}
	for part := range strings.SplitSeq(list, ",") {
		addr := strings.TrimSpace(part)
		if err := add(&addrs, seen, addr); err != nil {
			return nil, fmt.Errorf("static: %w", err)
		}
	}
	return addrs, nil
}

var errNone = errors.New("static: no address")

// add appends addr if it is one and new. Names of hosts that differ in case are one.
func add(addrs *rpc.StaticResolver, seen map[string]bool, addr string) error {
	if err := Check(addr); err != nil {
		return err
	}
	key := addr
	if !strings.HasPrefix(addr, "unix:") {
		key = strings.ToLower(addr)
	}
	if seen[key] {
		return fmt.Errorf("address %q is there twice", addr)
	}
	seen[key] = true
	*addrs = append(*addrs, addr)
	return nil
}

// Check returns what is wrong with an address for a client to dial, or nil. An
// address is "host:port", with a host and a port from 1 to 65535, or
// "unix:path". An IPv6 address is in brackets. Check does not look up the host.
func Check(addr string) error {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		if path == "" || strings.ContainsRune(path, 0) {
			return fmt.Errorf("address %q: want unix: and a path", addr)
		}
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: want host:port, or unix:path; an IPv6 host stands in brackets", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("address %q: want a port from 1 to 65535", addr)
	}
	if !isHost(host) {
		return fmt.Errorf("address %q: want a host name or an IP address before the port", addr)
	}
	return nil
}

// isHost accepts IP addresses, and names of letters, digits, hyphens, underscores
// and dots; a name of another script is to be written as DNS has it (xn--…).
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	notInName := func(r rune) bool { return !inName(r) }
	return host != "" && len(host) <= 253 && !strings.ContainsFunc(host, notInName)
}

func inName(r rune) bool {
	return r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}
