package attack_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// An honest client has some callers. Each makes one call after the other, over connections
// that they share, and notes how long it took.
type honest struct {
	calls []func(context.Context) error // in turns
	ends  []func()

	mu    sync.Mutex
	took  []time.Duration
	fails []error
}

// slowest is what an honest client waits for an answer.
const slowest = 5 * time.Second

// newHonest connects, as often as there are ways to call.
func newHonest(t *testing.T, v *victim, way also) *honest {
	t.Helper()
	if (way == fromElsewhere || way == overHTTPFromElsewhere) && runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		if err := canComeFrom(elsewhere); err != nil {
			t.Skipf("%v: ifconfig lo0 alias %s adds the address", err, elsewhere)
		}
	}
	h := new(honest)
	ctx, cancel := context.WithTimeout(t.Context(), slowest)
	defer cancel()
	h.connect(ctx, t, v.RPC)
	switch way {
	case overTLS:
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(v.PEM)
		h.connect(ctx, t, v.TLS, rpc.WithTLS(&tls.Config{RootCAs: roots}))
	case overStreams:
		require.NoError(t, h.connectStreams(ctx, v.Streams), "an honest client has to get a connection")
	case fromElsewhere:
		h.calls = []func(context.Context) error{func(ctx context.Context) error { return echoFrom(ctx, elsewhere, v.RPC) }}
		h.call(h.calls[0])
		require.Empty(t, h.fails, "an honest client has to get a connection")
	case overHTTPFromElsewhere:
		transport := &http.Transport{DialContext: dialerFrom(elsewhere).DialContext}
		h.ends = append(h.ends, transport.CloseIdleConnections)
		h.calls = []func(context.Context) error{
			func(ctx context.Context) error { return postEcho(ctx, transport, v.HTTP) },
			func(ctx context.Context) error { return postWatch(ctx, transport, v.HTTP) },
		}
	case overHTTP:
		transport := new(http.Transport)
		h.ends = append(h.ends, transport.CloseIdleConnections)
		h.calls = append(h.calls, func(ctx context.Context) error { return postEcho(ctx, transport, v.HTTP) })
	}
	return h
}

// connect adds a connection. What fails is not tried again, so that it is seen.
func (h *honest) connect(ctx context.Context, t *testing.T, addr string, opts ...rpc.ClientOption) {
	t.Helper()
	client, err := rpc.Dial(ctx, addr, append(opts, rpc.WithMaxAttempts(1), rpc.WithKeepalive(idle/4))...)
	require.NoError(t, err, "an honest client has to get a connection")
	h.add(client)
}

// add adds a client's calls.
func (h *honest) add(client *rpc.Client) {
	h.ends = append(h.ends, func() { client.Close() })
	h.calls = append(h.calls, func(ctx context.Context) error {
		reply, err := echo.Call(ctx, client, &text{"hello"})
		if err == nil && reply.Text != "hello" {
			return fmt.Errorf("said %q", reply.Text)
		}
		return err
	})
}

// elsewhere is where a client comes from that is not on the attackers' host.
const elsewhere = "127.0.0.2"

// canComeFrom returns why no client of this machine can come from an address.
func canComeFrom(addr string) error {
	ln, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		return err
	}
	return ln.Close()
}

func TestHonest_ComesFromElsewhereOnlyIfItCan(t *testing.T) {
	assert.NoError(t, canComeFrom("127.0.0.1"))
	assert.Error(t, canComeFrom("192.0.2.1"), "an address of documentation, which no machine has")
	if runtime.GOOS == "linux" {
		assert.NoError(t, canComeFrom(elsewhere))
	}
}

func dialerFrom(addr string) *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(addr)}}
}

// echoFrom connects from an address, makes one call, and leaves. Its params and its reply
// are large enough to need memory.
func echoFrom(ctx context.Context, from, addr string) error {
	dialer := dialerFrom(from)
	client, err := rpc.Dial(ctx, addr, rpc.WithMaxAttempts(1), rpc.WithFailFast(),
		rpc.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) { return dialer.DialContext(ctx, "tcp", addr) }))
	if err != nil {
		return err
	}
	defer client.Close()
	_, err = echo.Call(ctx, client, &text{strings.Repeat("hello", 2<<10)})
	return err
}

// postWatch opens a stream over HTTP, and leaves it after an item.
func postWatch(ctx context.Context, transport http.RoundTripper, addr string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := postTo(ctx, transport, addr, watch.Name(), `{}`)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	line, err := bufio.NewReader(resp.Body).ReadString('\n')
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.HasPrefix(line, `{"item":`)) {
		err = fmt.Errorf("%s: %s", resp.Status, line)
	}
	return err
}

func postTo(ctx context.Context, transport http.RoundTripper, addr, method, params string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+addr+"/rpc/"+method, strings.NewReader(params))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	return transport.RoundTrip(req)
}

// postEcho calls over HTTP.
func postEcho(ctx context.Context, transport http.RoundTripper, addr string) error {
	resp, err := postTo(ctx, transport, addr, echo.Name(), `{"Text":"hello"}`)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "hello")) {
		err = fmt.Errorf("%s: %s", resp.Status, body)
	}
	return err
}

// work has eight callers call until ctx ends, each a hundred times a second at most.
func (h *honest) work(ctx context.Context) {
	var wg sync.WaitGroup
	for c := range 8 {
		wg.Go(func() {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for n := c; ctx.Err() == nil; n++ {
				h.call(h.calls[n%len(h.calls)])
				<-tick.C
			}
		})
	}
	wg.Wait()
}

func (h *honest) call(call func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), slowest)
	defer cancel()
	begun := time.Now()
	err := call(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.took = append(h.took, time.Since(begun))
	if err != nil {
		h.fails = append(h.fails, err)
	}
}

func (h *honest) close() {
	for _, end := range h.ends {
		end()
	}
}

// p99 is what 99 in 100 calls did not exceed.
func (h *honest) p99() time.Duration {
	slices.Sort(h.took)
	return h.took[(len(h.took)*99+99)/100-1]
}
