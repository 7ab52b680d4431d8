package rpccmd_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/health"
	"example.com/rpc-from-scratch/final/internal/testpb"
	"example.com/rpc-from-scratch/final/introspect"
	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/http2"
)

// The service that the scripts call.
type (
	stockRequest struct {
		Item string `json:"item"`
	}
	stockReply struct {
		Item  string    `json:"item"`
		Count int       `json:"count"`
		Since time.Time `json:"since"`
		Lots  []*lot    `json:"lots,omitempty"`
	}
	lot struct {
		Size int `json:"size"`
		Tags map[string]string
	}
	node struct {
		Name string
		Next *node
	}
	parcel struct {
		To    string
		Thing *testpb.Everything
	}
)

func checkStock(ctx context.Context, req *stockRequest) (*stockReply, error) {
	if req.Item != "item1" {
		err := rpc.Errorf(rpc.NotFound, "unknown item: %s", req.Item)
		err.Details = map[string]string{"item": req.Item}
		return nil, err
	}
	return &stockReply{
		Item: req.Item, Count: 100, Since: time.Unix(0, 0).UTC(),
		Lots: []*lot{{Size: 60}, {Size: 40, Tags: map[string]string{"shelf": "A <1>"}}},
	}, nil
}

// The streams that the scripts open.
type (
	watchRequest struct {
		Count int    `json:"count"`
		Fails bool   `json:"fails,omitempty"`
		Then  string `json:"then,omitempty"` // "wait"
	}
	change struct {
		Item  string `json:"item"`
		Count int    `json:"count"`
	}
	report struct {
		Orders int `json:"orders"`
		Units  int `json:"units"`
	}
)

var (
	watch   = rpc.ServerStream[watchRequest, change]("Inventory.Watch")
	imports = rpc.ClientStream[change, report]("Orders.Import")
	syncing = rpc.BidiStream[change, change]("Inventory.Sync")
	chat    = rpc.BidiStream[wrapperspb.StringValue, wrapperspb.StringValue]("Text.Chat")
	once    = rpc.ServerStream[watchRequest, change]("Test.Once")
	left    = make(chan string, 16) // why callers of watch have left
)

func sendChanges(ctx context.Context, req *watchRequest, out *rpc.Sender[change]) error {
	if err := errors.Join(rpc.SetHeader(ctx, rpc.Metadata{"kind": "snap\u202eshot"}), rpc.SetTrailer(ctx, rpc.Metadata{"seen": "all"})); err != nil {
		return err
	}
	for n := range req.Count {
		if err := out.Send(ctx, &change{"item1\u202e", n}); err != nil {
			return err
		}
	}
	switch {
	case req.Then == "wait":
		<-ctx.Done()
		left <- ctx.Err().Error()
		return ctx.Err()
	case req.Fails:
		return &rpc.Error{Code: rpc.Aborted, Message: "no more\u202e", Details: map[string]string{"item": "item1"}}
	}
	return nil
}

// failAfterOne is a stream that has an item when it is opened for the first time, and fails
// without one from then on.
func failAfterOne() func(context.Context, *watchRequest, *rpc.Sender[change]) error {
	var opened atomic.Bool
	return func(ctx context.Context, _ *watchRequest, out *rpc.Sender[change]) error {
		if opened.Swap(true) {
			return rpc.Errorf(rpc.Aborted, "no more")
		}
		return out.Send(ctx, &change{Item: "item1"})
	}
}

func addUp(_ context.Context, in *rpc.Receiver[change]) (*report, error) {
	r := new(report)
	for c, err := range in.All() {
		if err != nil {
			return nil, err
		}
		if c.Count < 0 {
			return nil, rpc.Errorf(rpc.InvalidArgument, "%d units", c.Count)
		}
		r.Orders++
		r.Units += c.Count
	}
	return r, nil
}

func echo[T any](ctx context.Context, in *rpc.Receiver[T], out *rpc.Sender[T]) error {
	for item, err := range in.All() {
		if err != nil {
			return err
		}
		if err := out.Send(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

func depth(n node) int {
	d := 1
	for ; n.Next != nil; n = *n.Next {
		d++
	}
	return d
}

func registerShop(srv *rpc.Server) error {
	return errors.Join(
		watch.Handle(srv, sendChanges), imports.Handle(srv, addUp), syncing.Handle(srv, echo[change]), chat.Handle(srv, echo[wrapperspb.StringValue]),
		once.Handle(srv, failAfterOne()),
		srv.RegisterFunc("Test.Left", func() string { return <-left }),
		srv.RegisterFunc("Inventory.CheckStock", checkStock),
		srv.RegisterFunc("Inventory.Depth", depth),
		srv.RegisterFunc("Inventory.Reset", func() error { return nil }),
		srv.RegisterFunc("Inventory.Any", func(v any) any { return v }),
		srv.RegisterFunc("Math.Negate", func(n int) int { return -n }),
		srv.RegisterFunc("Test.Hang", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }),
		srv.RegisterFunc("Test.InnerTimeout", func() error { return rpc.Errorf(rpc.DeadlineExceeded, "call Database.Get") }),
		srv.RegisterFunc("Test.Who", func(ctx context.Context) string {
			return rpc.MetadataFrom(ctx)["token"] + "/" + rpc.IdentityFrom(ctx).Name
		}),
		srv.RegisterFunc("Test.Header", func(ctx context.Context, fails bool) (bool, error) {
			err := rpc.SetHeader(ctx, rpc.Metadata{"left": "7", "evil": "\u202etxt"})
			if fails {
				err = rpc.Errorf(rpc.NotFound, "not here")
			}
			return fails, err
		}),
		srv.RegisterFunc("Test.Authorization", func(ctx context.Context) string { return rpc.MetadataFrom(ctx)[auth.MetadataKey] }),
		srv.RegisterFunc("Text.Greet", func(s *wrapperspb.StringValue) *wrapperspb.StringValue {
			return wrapperspb.String("hello " + s.GetValue())
		}),
	)
}

// shopServer is a program: it serves until its standard input closes.
func shopServer() {
	bare := flag.Bool("bare", false, "without introspection, health, gob and protobuf")
	draining := flag.Bool("draining", false, "say so")
	secure := flag.Bool("tls", false, "speak TLS, with a new certificate in cert.pem and key.pem")
	hostile := flag.Bool("hostile", false, "describe itself in words that do harm when they are printed or copied")
	mutual := flag.Bool("mutual", false, "want it from clients, too")
	messages := flag.Bool("messages", false, "with a method of protobuf messages")
	overHTTP := flag.String("http2", "", "listen for HTTP/2 at this path")
	flag.Parse()
	if *hostile {
		if err := serveHostile(); err != nil {
			fmt.Fprintln(os.Stderr, "shopserver:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if err := serveShop(*bare, *draining, *secure, *mutual, *messages, *overHTTP); err != nil {
		fmt.Fprintln(os.Stderr, "shopserver:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serveShop(bare, draining, secure, mutual, messages bool, path string) error {
	var opts []rpc.ServerOption
	var httpTLS *tls.Config
	if !bare {
		opts = append(opts, rpc.WithCodecs(rpc.Gob, protobuf.Codec))
	}
	if secure {
		cfg, err := newCertificate()
		if err != nil {
			return err
		}
		if mutual {
			cfg.ClientAuth = tls.RequireAndVerifyClientCert
		}
		if path != "" {
			httpTLS = cfg
		} else {
			opts = append(opts, rpc.WithTLS(cfg))
		}
	}
	srv := rpc.NewServer(opts...)
	if err := registerShop(srv); err != nil {
		return err
	}
	if messages {
		err := errors.Join(
			srv.RegisterFunc("Test.Same", func(m *testpb.Everything) *testpb.Everything { return m }),
			srv.RegisterFunc("Test.Pack", func(p *parcel) *parcel { return p }),
		)
		if err != nil {
			return err
		}
	}
	if !bare {
		h, err := health.Register(srv)
		if err := errors.Join(err, introspect.Register(srv, h)); err != nil {
			return err
		}
		if draining {
			h.Set("Inventory", health.Draining)
		}
	}
	if path != "" {
		return serveHTTP(srv, path, httpTLS)
	}
	return serveUntilEOF(srv)
}

// serveHTTP serves over HTTP/2, at path and nowhere else.
func serveHTTP(srv *rpc.Server, path string, cfg *tls.Config) error {
	streams := http2.NewListener()
	mux := http.NewServeMux()
	mux.Handle(path, streams)
	hs := &http.Server{Handler: mux, TLSConfig: cfg}
	http2.Configure(hs)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on", ln.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		srv.Close()
		hs.Close()
	}()
	go srv.Serve(streams)
	if cfg != nil {
		err = hs.ServeTLS(ln, "", "")
	} else {
		err = hs.Serve(ln)
	}
	if !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func serveUntilEOF(srv *rpc.Server) error {
	ln, err := rpc.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on", ln.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		srv.Close()
	}()
	if err := srv.Serve(ln); !errors.Is(err, rpc.ErrServerClosed) {
		return err
	}
	return nil
}

// newCertificate writes a certificate for 127.0.0.1, signed by itself, that
// server and client use alike.
func newCertificate() (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "shop"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"shop.example"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	err = errors.Join(
		os.WriteFile("cert.pem", cert, 0o600),
		os.WriteFile("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(cert)
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: pool,
	}, err
}

// peer is a program that is no RPC server: it says its first argument to every
// connection and closes it, or, with "silence", says nothing.
func peer() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	fmt.Println("listening on", ln.Addr())
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answer(conn, os.Args[1])
		}
	}()
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// answer reads the hello before it closes: unread bytes would make it a reset.
func answer(conn net.Conn, text string) {
	defer conn.Close()
	_, _ = conn.Read(make([]byte, 1<<10))
	if text == "silence" {
		_, _ = io.Copy(io.Discard, conn)
	}
	_, _ = io.WriteString(conn, text)
}
