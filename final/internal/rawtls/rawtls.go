// Package rawtls writes records of TLS 1.3 that crypto/tls would not write. It is for tests.
package rawtls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
)

// A Sealer makes the records of one side. It cannot read what the peer writes. A Sealer may
// not be used concurrently.
type Sealer struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// Client shakes hands with a server, over conn. It fails with [errors.ErrUnsupported] if the
// two agree on another cipher than AES-128-GCM: on a machine without instructions for AES.
func Client(conn net.Conn, cfg *tls.Config) (*Sealer, error) {
	return shake(conn, cfg, tls.Client, "CLIENT_TRAFFIC_SECRET_0")
}

// Server shakes hands with a client, over conn. It fails as Client does.
func Server(conn net.Conn, cfg *tls.Config) (*Sealer, error) {
	return shake(conn, cfg, tls.Server, "SERVER_TRAFFIC_SECRET_0")
}

func shake(conn net.Conn, cfg *tls.Config, side func(net.Conn, *tls.Config) *tls.Conn, name string) (*Sealer, error) {
	var log bytes.Buffer
	cfg = cfg.Clone()
	cfg.MinVersion, cfg.KeyLogWriter, cfg.SessionTicketsDisabled = tls.VersionTLS13, &log, true
	secure := side(conn, cfg)
	if err := secure.Handshake(); err != nil {
		return nil, err
	}
	if suite := secure.ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		return nil, fmt.Errorf("%w: %s", errors.ErrUnsupported, tls.CipherSuiteName(suite))
	}
	for line := range bytes.Lines(log.Bytes()) {
		if words := bytes.Fields(line); len(words) == 3 && string(words[0]) == name {
			secret, err := hex.DecodeString(string(words[2]))
			if err != nil {
				return nil, err
			}
			s := new(Sealer)
			return s, s.use(secret)
		}
	}
	return nil, errors.New("rawtls: no secret in the log of keys")
}

// Data appends a record of at most 16 KiB of data to dst.
func (s *Sealer) Data(dst, data []byte) []byte { return s.record(dst, 23, data) }

// KeyUpdate appends a message after which this side uses other keys, and which asks the peer
// to do the same. A peer of crypto/tls answers it while it reads.
func (s *Sealer) KeyUpdate(dst []byte) ([]byte, error) {
	const handshake, keyUpdate, requested = 22, 24, 1
	dst = s.record(dst, handshake, []byte{keyUpdate, 0, 0, 1, requested})
	secret, err := expand(s.secret, "traffic upd", sha256.Size)
	if err != nil {
		return nil, err
	}
	return dst, s.use(secret)
}

// use takes the keys that follow from a secret.
func (s *Sealer) use(secret []byte) error {
	key, err := expand(secret, "key", 16)
	if err != nil {
		return err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return err
	}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		return err
	}
	s.secret, s.seq = secret, 0
	s.iv, err = expand(secret, "iv", s.aead.NonceSize())
	return err
}

// expand is HKDF-Expand-Label of RFC 8446, section 7.1, without a context.
func expand(secret []byte, label string, size int) ([]byte, error) {
	label = "tls13 " + label
	info := binary.BigEndian.AppendUint16(nil, uint16(size))
	info = append(append(append(info, byte(len(label))), label...), 0)
	return hkdf.Expand(sha256.New, secret, string(info), size)
}

// record appends a record of RFC 8446, section 5.2.
func (s *Sealer) record(dst []byte, kind byte, data []byte) []byte {
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(data)+1+s.aead.Overhead()))
	nonce := bytes.Clone(s.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, s.seq) {
		nonce[4+i] ^= b
	}
	s.seq++
	return s.aead.Seal(append(dst, head...), nonce, append(bytes.Clone(data), kind), head)
}
