package http2

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// The service that the tests call.
type (
	echoRequest struct {
		Text string
		Size int // of the reply's text, if it is not Text's
	}
	echoReply struct{ Text string }
)

var (
	echo = rpc.Method[echoRequest, echoReply]("Test.Echo")
	hold = rpc.Method[echoRequest, echoReply]("Test.Hold")
	fail = rpc.Method[echoRequest, echoReply]("Test.Fail")
)

// service is what a test can do with its handlers.
type service struct {
	began chan string  // gets Text of every call of hold
	ended chan error   // gets the context's error of a hold that was cancelled
	due   atomic.Value // time.Time: the deadline of the last call of hold
	let   chan struct{}
	saw   atomic.Pointer[rpc.Peer] // of the last call of echo
	who   atomic.Value             // identity of that call
}

func newService() *service {
	return &service{began: make(chan string, 1024), ended: make(chan error, 1024), let: make(chan struct{})}
}

func (s *service) server(t testing.TB, opts ...rpc.ServerOption) *rpc.Server {
	t.Helper()
	srv := rpc.NewServer(opts...)
	require.NoError(t, echo.Handle(srv, s.echo))
	require.NoError(t, hold.Handle(srv, s.hold))
	require.NoError(t, fail.Handle(srv, func(_ context.Context, req *echoRequest) (*echoReply, error) {
		return nil, &rpc.Error{Code: rpc.NotFound, Message: "unknown: " + req.Text, Details: map[string]string{"item": req.Text}}
	}))
	return srv
}

func (s *service) echo(ctx context.Context, req *echoRequest) (*echoReply, error) {
	peer, _ := rpc.PeerFrom(ctx)
	s.saw.Store(peer)
	s.who.Store(rpc.IdentityFrom(ctx).Name)
	if req.Size > 0 {
		return &echoReply{Text: strings.Repeat("x", req.Size)}, nil
	}
	return &echoReply{Text: req.Text}, nil
}

func (s *service) hold(ctx context.Context, req *echoRequest) (*echoReply, error) {
	due, _ := ctx.Deadline()
	s.due.Store(due)
	s.began <- req.Text
	select {
	case <-s.let:
		return &echoReply{Text: req.Text}, nil
	case <-ctx.Done():
		s.ended <- ctx.Err()
		return nil, ctx.Err()
	}
}

// site is an http.Server with a Listener, on a free port of the loopback.
type site struct {
	addr     string
	listener *Listener
	http     *http.Server
	tcp      *countingListener
}

// serve serves srv over HTTP/2, with TLS if cfg is not nil, until the test ends.
func serve(t testing.TB, srv *rpc.Server, cfg *tls.Config) *site {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return serveOn(t, srv, cfg, tcp)
}

func serveOn(t testing.TB, srv *rpc.Server, cfg *tls.Config, tcp net.Listener) *site {
	t.Helper()
	s := &site{addr: tcp.Addr().String(), listener: NewListener(), tcp: &countingListener{Listener: tcp}}
	mux := http.NewServeMux()
	mux.Handle(DefaultPath, s.listener)
	s.http = &http.Server{Handler: mux, TLSConfig: cfg, ErrorLog: log.New(io.Discard, "", 0)}
	Configure(s.http)
	served := make(chan error, 2)
	go func() { served <- srv.Serve(s.listener) }()
	go func() {
		if cfg != nil {
			served <- s.http.ServeTLS(s.tcp, "", "")
			return
		}
		served <- s.http.Serve(s.tcp)
	}()
	t.Cleanup(func() {
		srv.Close()
		s.http.Close()
		<-served
		<-served
	})
	return s
}

// countingListener counts TCP connections.
type countingListener struct {
	net.Listener
	accepted atomic.Int32
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.accepted.Add(1)
	}
	return conn, err
}

// newDialer returns a Dialer that ends with the test.
func newDialer(t testing.TB, cfg *tls.Config) *Dialer {
	t.Helper()
	d := &Dialer{TLS: cfg}
	t.Cleanup(func() { d.Close() })
	return d
}

// connect returns a client that ends with the test.
func connect(t testing.TB, d *Dialer, addr string, opts ...rpc.ClientOption) *rpc.Client {
	t.Helper()
	opts = append([]rpc.ClientOption{rpc.WithDialer(d.Dial), rpc.WithHandshakeTimeout(time.Hour)}, opts...) // the last dialer is used
	client, err := rpc.Dial(bounded(t), addr, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// rawPair returns both ends of a connection.
func rawPair(t testing.TB) (client, server net.Conn) {
	t.Helper()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ln := NewListener()
	hs := &http.Server{Handler: ln}
	Configure(hs)
	served := make(chan error, 1)
	go func() { served <- hs.Serve(tcp) }()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, err := ln.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	d := newDialer(t, nil)
	client, err = d.Dial(bounded(t), tcp.Addr().String())
	require.NoError(t, err)
	server = <-accepted
	t.Cleanup(func() {
		client.Close()
		server.Close()
		ln.Close()
		hs.Close()
		<-served
	})
	return client, server
}

// bounded returns a context that ends what hangs, before go test ends all: a machine that is
// busy has all the time of -timeout.
func bounded(t testing.TB) context.Context {
	t.Helper()
	end := time.Now().Add(time.Hour)
	if limited, ok := t.(*testing.T); ok {
		if last, ok := limited.Deadline(); ok {
			end = last.Add(-time.Until(last) / 10)
		}
	}
	ctx, cancel := context.WithDeadline(context.Background(), end)
	t.Cleanup(cancel)
	return ctx
}

// noLeaks fails the test if there are more goroutines at its end than now. Call it first.
func noLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 3_000_000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			runtime.Gosched()
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}

// authority signs certificates for tests.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	require.NoError(t, err)
	cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{t: t, cert: cert, key: key, pool: pool}
}

// issue signs a certificate for 127.0.0.1 and whoever name is.
func (a *authority) issue(name string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, a.cert, key.Public(), a.key)
	require.NoError(a.t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
