package attack_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/internal/rawtls"
	"example.com/rpc-from-scratch/final/internal/wire"
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

// tlsNewKeys asks for new keys, and does not read the answers, which TLS writes while it
// reads. With eight of them at a time, TLS sees something in between that is not of its own.
func tlsNewKeys(a *attacker) error {
	conn, ok := a.dial(a.victim.TLS)
	if !ok {
		return nil
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.victim.PEM)
	keys, err := rawtls.Client(conn, &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"})
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	} else if err != nil {
		return nil
	}
	for b := keys.Data(nil, hello(nil)); ; b = b[:0] {
		conn.SetWriteDeadline(time.Now().Add(writeTimeout + idle + a.patience))
		switch _, err := conn.Write(b); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("new keys: the connection is still open after %s", writeTimeout+idle+a.patience)
		case err != nil:
			return nil
		}
		a.done.Add(1)
		for range 1000 {
			for range 8 {
				if b, err = keys.KeyUpdate(b); err != nil {
					return err
				}
			}
			b = keys.Data(b, bare(wire.KindCancel, 1<<40))
		}
	}
}
