// Package transport has what servers of net/http need around a gateway or an
// http2.Listener.
package transport

import (
	"fmt"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/internal/belowtls"
	"example.com/rpc-from-scratch/final/internal/misuse"
)

// BoundWrites returns a listener for an http.Server that speaks TLS:
//
//	err := site.ServeTLS(transport.BoundWrites(ln, 10*time.Second), "cert.pem", "key.pem")
//
// A write to one of its connections takes at most d. Where net/http has set a write deadline, as
// for WriteTimeout, that one holds in place of d.
//
// Without it, a client that asks for new keys (TLS 1.3) and reads nothing stays for ever,
// whatever the server's timeouts are, and Server.Close waits for it: crypto/tls writes the
// answers while net/http reads, without a deadline.
//
// BoundWrites panics if ln is nil, or d is not above 0. The listener may be used as ln may.
func BoundWrites(ln net.Listener, d time.Duration) net.Listener {
	misuse.NotNil("transport: BoundWrites", "listener", ln)
	if d <= 0 {
		panic(fmt.Errorf("transport: BoundWrites(%v): want a time above 0", d))
	}
	return &bounded{ln, d}
}

type bounded struct {
	net.Listener
	most time.Duration
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	conn, err := b.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return belowtls.NewKeeping(conn, b.most), nil
}
