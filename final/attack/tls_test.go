package attack_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math/rand/v2"
)

func tlsGarbage(a *attacker) error {
	conn, ok := a.dial(a.victim.TLS)
	if !ok {
		return nil
	}
	defer conn.Close()
	junk := make([]byte, 1<<10)
	for i := range junk {
		junk[i] = byte(rand.Uint32())
	}
	if rand.IntN(2) == 0 {
		junk = hello(nil) // without TLS
	}
	a.write(conn, junk)
	return a.mustEnd(conn, handshake, "garbage instead of TLS")
}

// tlsStalls says what kind of record comes, and of which length, and then nothing.
func tlsStalls(a *attacker) error {
	conn, ok := a.dial(a.victim.TLS)
	if !ok {
		return nil
	}
	defer conn.Close()
	a.write(conn, []byte{22, 3, 1, 0x3f, 0xff, 1, 0, 0x3f})
	return a.mustEnd(conn, handshake, "a handshake that stalls")
}

// tlsFlood makes handshakes, which cost the victim more than the attacker.
func tlsFlood(a *attacker) error {
	conn, ok := a.dial(a.victim.TLS)
	if !ok {
		return nil
	}
	defer conn.Close()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.victim.PEM)
	tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}).HandshakeContext(context.Background())
	return nil
}
