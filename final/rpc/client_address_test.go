package rpc

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// badAddrs cannot be parsed, whatever DNS says.
var badAddrs = []string{
	"", "localhost", "127.0.0.1", "localhost:", "localhost:0", "localhost:65536", "localhost:-1", "localhost:no-such-service",
	"::1:7001", "[::1]", "[::1:7001", "[::zz]:7001", "http://localhost:7001", "tcp:localhost:7001", "a b:7001", "a/b:7001",
	"a..b:7001", ".a:7001", "host\n:7001", "h\u00f6st:7001", strings.Repeat("x", 64) + ":7001", strings.Repeat("x.", 127) + "x:7001",
	"unix:", "unix:a\x00b", "unix:/" + strings.Repeat("x", 200),
}

func TestDial_BadAddressesFailAtOnce(t *testing.T) {
	noLeaks(t)
	for _, addr := range badAddrs {
		begun := time.Now()
		_, err := Dial(t.Context(), addr)
		assert.ErrorIs(t, err, InvalidArgument, "%q", addr)
		assert.True(t, NeverRan(err), "%q", addr)
		pool := NewPool(StaticResolver{addr})
		for range 3 {
			err = pool.Call(t.Context(), "A.B", nil, nil)
			assert.ErrorIs(t, err, InvalidArgument, "%q", addr)
			assert.True(t, NeverRan(err), "%q", addr)
		}
		pool.Close()
		assert.Less(t, time.Since(begun), 20*time.Second, "%q: without a deadline a call waits 30 s for what may pass", addr)
	}
}

func TestListen_RefusesAddressesThatCannotBeParsed(t *testing.T) {
	for _, addr := range badAddrs {
		if addr == "localhost:0" {
			continue // any port
		}
		ln, err := Listen(addr)
		if assert.ErrorIs(t, err, InvalidArgument, "%q", addr) {
			continue
		}
		if err == nil {
			ln.Close()
		}
	}
	_, err := Listen("")
	assert.ErrorContains(t, err, `address "": want host:port or unix:path`)
}

func TestListen_TakesAnyPortAndAllAddresses(t *testing.T) {
	for _, addr := range []string{":0", "localhost:0", "127.0.0.1:0", "0.0.0.0:0"} {
		ln, err := Listen(addr)
		if assert.NoError(t, err, "%q", addr) {
			assert.NoError(t, ln.Close())
		}
	}
}

func TestCheckAddr_TakesWhatCanBeDialled(t *testing.T) {
	for _, addr := range []string{
		"localhost:7001", ":7001", "127.0.0.1:1", "[::1]:65535", "[fe80::1%eth0]:7001", "a.b-c.d_e:http", "a.b.:7001",
		"xn--hst-sna:7001", strings.Repeat("x", 63) + ":7001", "unix:/tmp/s", "unix:@abstract", "unix:relative",
	} {
		assert.NoError(t, checkAddr(t.Context(), addr, 1), "%q", addr)
	}
}

func TestPool_ABadAddressAmongGoodOnesIsLeftOut(t *testing.T) {
	noLeaks(t)
	addr := listen(t, newInventory().server(t))
	pool := newPool(t, StaticResolver{"no port", addr, "unix:"})
	for range 20 {
		_, err := checkStock.Call(t.Context(), pool, &stockRequest{Item: "item1"})
		require.NoError(t, err)
	}
}

// A name that DNS does not know now may be there when it is asked again.
func TestDial_AFailureOfDNSMayPass(t *testing.T) {
	bubble(t, func(t *testing.T) {
		srv := newInventory().server(t)
		asked := 0
		pool := NewPool(StaticResolver{"shop:7001"}, WithDialer(func(context.Context, string) (net.Conn, error) {
			if asked++; asked < 5 {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "shop", IsNotFound: true}}
			}
			near, far := net.Pipe()
			go srv.ServeConn(far)
			return near, nil
		}))
		defer pool.Close()
		_, err := checkStock.Call(timeout(t, time.Minute), pool, &stockRequest{Item: "item1"})
		require.NoError(t, err)
		assert.Equal(t, 5, asked)
	})
}

// What a dialer of the user's could not parse is a bad address, too.
func TestDial_ADialersParseErrorsAreBadAddresses(t *testing.T) {
	for _, cause := range []error{
		&net.AddrError{Err: "missing port in address", Addr: "x"},
		&net.OpError{Op: "dial", Net: "tcp", Err: &net.ParseError{Type: "IP address", Text: "x"}},
		fmt.Errorf("wrapped: %w", net.UnknownNetworkError("carrier pigeon")),
	} {
		_, err := Dial(t.Context(), "x", WithDialer(func(context.Context, string) (net.Conn, error) { return nil, cause }))
		assert.ErrorIs(t, err, InvalidArgument)
		assert.True(t, NeverRan(err))
	}
}
