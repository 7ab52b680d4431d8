// Package peerip says which addresses count as one host.
package peerip

import "net/netip"

// nat64 has all addresses of IPv4, in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// Of returns what stands for an address of IPv6: its /64, for one host can have as
// many addresses of that as it likes. If others are in it, they share. A link has one /64
// for all, so there an address stands for itself.
func Of(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	if bytes := ip.As16(); nat64.Contains(ip) {
		return netip.AddrFrom4([4]byte(bytes[12:]))
	}
	if ip.Is4() || ip.IsLinkLocalUnicast() {
		return ip
	}
	network, _ := ip.WithZone("").Prefix(64)
	return network.Addr()
}
