package rpc

import (
	"crypto/tls"
	"net"
	"net/netip"
	"sync"

	"example.com/rpc-from-scratch/final/internal/belowtls"
	"example.com/rpc-from-scratch/final/internal/peerip"
)

// origin is where peers come from, and which places and memory they have taken together. A nil
// one is of peers of which that is not known.
type origin struct {
	key      originKey
	conns    int64 // guarded by Server.connPlaces
	handlers int64 // guarded by Server.handlerPlaces
	params   int64 // bytes, guarded by Server.params
	replies  int64 // bytes, guarded by Server.replies
	streams  int64 // bytes, guarded by Server.streams
	users    int   // guarded by origins.mu
}

func (o *origin) ownConns() *int64 {
	if o == nil {
		return nil
	}
	return &o.conns
}

func (o *origin) ownHandlers() *int64 {
	if o == nil {
		return nil
	}
	return &o.handlers
}

func (o *origin) ownStreams() *int64 {
	if o == nil {
		return nil
	}
	return &o.streams
}

// originKey is an address, of IPv6 only the network, or the user of a Unix socket.
type originKey struct {
	ip   netip.Addr
	user bool
	uid  uint32
}

// originOf returns where a connection comes from, if that is known. addr may be a user's;
// conn may be nil.
func originOf(conn net.Conn, addr net.Addr) (key originKey, ok bool) {
	if socket, isUnix := plainConn(conn).(*net.UnixConn); isUnix {
		key.uid, key.user = userOf(socket)
		return key, key.user
	}
	key.ip = peerip.Of(ipOf(addr))
	return key, key.ip.IsValid()
}

// plainConn returns what is below the guard and TLS.
func plainConn(conn net.Conn) net.Conn {
	if user, ok := conn.(userConn); ok {
		conn = user.Conn
	}
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if below, ok := conn.(*belowtls.Conn); ok {
		conn = below.Conn
	}
	return conn
}

// asksUser reports whether it is a user's connection that says where it comes from.
func asksUser(conn net.Conn) bool {
	switch plainConn(conn).(type) {
	case *net.TCPConn, *net.UnixConn:
		return false
	}
	return true
}

// ipOf returns the IP address in addr; the zero value if there is none.
func ipOf(addr net.Addr) (ip netip.Addr) {
	if isNil(addr) {
		return ip
	}
	if tcp, ok := addr.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	defer func() { recover() }() // it may be a user's
	parsed, _ := netip.ParseAddrPort(addr.String())
	return parsed.Addr()
}

// origins are those that have places, or are about to.
type origins struct {
	mu  sync.Mutex
	all map[originKey]*origin
}

func (o *origins) enter(key originKey) *origin {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := o.all[key]
	if from == nil {
		from = &origin{key: key}
		if o.all == nil {
			o.all = map[originKey]*origin{}
		}
		o.all[key] = from
	}
	from.users++
	return from
}

func (o *origins) leave(from *origin) {
	if from == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if from.users--; from.users == 0 {
		delete(o.all, from.key)
	}
}
