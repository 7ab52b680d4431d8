package cmd_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// writeCertificate makes cert.pem and key.pem in dir: a certificate for 127.0.0.1,
// signed by itself, for servers and clients alike.
func writeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "cert.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// certificate makes cert.pem and key.pem.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: certificate")
	}
	ts.Check(writeCertificate(ts.Getenv("WORK")))
}

// The pages are as safe as the calls.
func TestInventory_PagesOverTLS(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, writeCertificate(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "token.txt"), []byte("2YotnFZFEjr1zCsicMWpAA\n"), 0o600))
	p, err := startProcess(dir, t.Output(), "inventory", "-tls-cert", "cert.pem", "-tls-key", "key.pem", "-token-file", "token.txt",
		"-http", "127.0.0.1:0", "-metrics", "127.0.0.1:0")
	require.NoError(t, err)
	defer p.kill()
	metrics, err := p.metricsURL()
	require.NoError(t, err)
	line, err := p.out.ReadString('\n')
	require.NoError(t, err)
	calls := strings.TrimPrefix(strings.TrimSpace(line), "calls on ")
	assert.Regexp(t, `^https://127\.0\.0\.1:\d+/rpc/$`, calls)

	cert, err := os.ReadFile(filepath.Join(dir, "cert.pem"))
	require.NoError(t, err)
	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(cert))
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	do := func(method, url, token string) (status int, text string) {
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"item":"item1"}`))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
		resp, err := client.Do(req)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp.StatusCode, string(body)
	}
	status, text := do(http.MethodPost, calls+"Inventory.CheckStock", "2YotnFZFEjr1zCsicMWpAA")
	assert.Equal(t, http.StatusOK, status, text)
	status, _ = do(http.MethodPost, calls+"Inventory.CheckStock", "")
	assert.Equal(t, http.StatusUnauthorized, status)
	status, text = do(http.MethodGet, calls, "")
	assert.NotEqual(t, http.StatusOK, status, "a page is for everybody")
	assert.NotContains(t, text, "CheckStock")
	status, text = do(http.MethodGet, metrics, "")
	assert.Equal(t, http.StatusOK, status)
	assert.Contains(t, text, "rpc_server_")
}
