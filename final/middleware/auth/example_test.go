package auth_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	"example.com/rpc-from-scratch/final/middleware/auth"
	"example.com/rpc-from-scratch/final/rpc"
)

func Example() {
	tokens, err := auth.NewTokens(map[string]string{
		"2YotnFZFEjr1zCsicMWpAA": "ann",
		"tGzv3JOkF0XG5Qx2TlKWIA": "bob",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	guard, err := auth.New(tokens.Verify, auth.Nobody(), auth.Rules{
		"Inventory.*":        auth.Known(),
		"Inventory.SetStock": auth.Only("ann"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := rpc.NewServer(rpc.WithAuthorize(guard.Authorize))
	defer srv.Close()
	err = srv.RegisterFunc("Inventory.SetStock", func(ctx context.Context, count int) (string, error) {
		return fmt.Sprintf("%d, says %s", count, rpc.IdentityFrom(ctx).Name), nil
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("rules without a method:", guard.Unused(srv.Methods()))
	ln, err := rpc.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, token := range []string{"2YotnFZFEjr1zCsicMWpAA", "tGzv3JOkF0XG5Qx2TlKWIA", "not-a-token-of-anybody"} {
		client, err := rpc.Dial(ctx, ln.Addr().String(), auth.OverLoopback(auth.Static(token)))
		if err != nil {
			fmt.Println(err)
			return
		}
		var answer string
		err = client.Call(ctx, "Inventory.SetStock", 100, &answer)
		switch {
		case errors.Is(err, rpc.Unauthenticated):
			fmt.Println("unknown:", err)
		case errors.Is(err, rpc.PermissionDenied):
			fmt.Println("known:", err)
		default:
			fmt.Println(answer, err)
		}
		client.Close()
	}
	// Output:
	// rules without a method: [Inventory.*]
	// 100, says ann <nil>
	// known: permission_denied: bob may not call Inventory.SetStock
	// unknown: unauthenticated: the token is not valid
}

// A server that knows its callers by their certificates. To know some by tokens,
// too, give it their Verify, and rules made with Any and All.
func ExampleCertificate() {
	guard, err := auth.New(auth.NoTokens, auth.Nobody(), auth.Rules{
		"Inventory.*":        auth.Certified(),
		"Inventory.SetStock": auth.Certificate("spiffe://shop/admin", "admin.shop"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	serverCert, clientCert, roots, err := certificates("orders.shop")
	if err != nil {
		fmt.Println(err)
		return
	}
	srv := rpc.NewServer(
		rpc.WithTLS(&tls.Config{
			Certificates: []tls.Certificate{serverCert},
			ClientAuth:   tls.RequireAndVerifyClientCert,
			ClientCAs:    roots,
		}),
		rpc.WithAuthorize(guard.Authorize))
	defer srv.Close()
	for _, method := range []string{"Inventory.CheckStock", "Inventory.SetStock"} {
		err := srv.RegisterFunc(method, func(ctx context.Context) string { return "hello, " + rpc.IdentityFrom(ctx).Name })
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	ln, err := rpc.Listen("127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go srv.Serve(ln)

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	client, err := rpc.Dial(ctx, ln.Addr().String(), rpc.WithTLS(&tls.Config{
		RootCAs:      roots,
		Certificates: []tls.Certificate{clientCert},
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	var answer string
	fmt.Println(client.Call(ctx, "Inventory.CheckStock", nil, &answer), answer)
	fmt.Println(client.Call(ctx, "Inventory.SetStock", nil, nil))
	// Output:
	// <nil> hello, orders.shop
	// permission_denied: orders.shop may not call Inventory.SetStock
}

// certificates makes two certificates that sign themselves, a server's and a
// client's, and the pool that trusts both. Yours are files that your authority has signed.
func certificates(name string) (server, client tls.Certificate, roots *x509.CertPool, err error) {
	roots = x509.NewCertPool()
	server, err = selfSigned(roots, "localhost")
	if err == nil {
		client, err = selfSigned(roots, name)
	}
	return server, client, roots, err
}

func selfSigned(roots *x509.CertPool, name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err == nil {
		roots.AddCert(cert)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
