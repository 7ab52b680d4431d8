package demo

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"example.com/rpc-from-scratch/final/internal/program"
	"example.com/rpc-from-scratch/final/rpc"
)

// safety is how the parts of the shop keep strangers out. Its zero value is not at all.
type safety struct {
	serve   []string           // flags of all servers
	reserve []string           // of order servers, which call the inventory
	clients []rpc.ClientOption // of the customers
	browser *http.Client       // of who reads the metrics; nil: any
}

// newSafety makes a certificate for this run, signed by itself, which all parts have and
// trust, and a token, in files of dir.
func newSafety(dir string) (s safety, err error) {
	cert, key, token := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "token.txt")
	secret := rand.Text()
	pair, err := newCertificate(cert, key)
	if err != nil {
		return s, err
	}
	if err := os.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
		return s, err
	}
	pool := x509.NewCertPool()
	pool.AddCert(pair.Leaf)
	cfg := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS13}
	return safety{
		serve:   []string{"-tls-cert", cert, "-tls-key", key, "-client-ca", cert, "-token-file", token, "-no-introspect"},
		reserve: []string{"-inventory-ca", cert, "-inventory-cert", cert, "-inventory-key", key, "-inventory-token-file", token},
		clients: program.Reach(cfg, secret),
		browser: &http.Client{Transport: &http.Transport{TLSClientConfig: cfg}},
	}, nil
}

// newCertificate writes a certificate for 127.0.0.1 and its key, good for a day.
func newCertificate(certFile, keyFile string) (pair tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "demo"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore:   time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return pair, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return pair, err
	}
	if err := os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		return pair, err
	}
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return pair, err
	}
	return tls.LoadX509KeyPair(certFile, keyFile)
}
