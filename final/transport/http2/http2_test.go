package http2

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

func TestCalls_RepliesErrorsAndPeer(t *testing.T) {
	noLeaks(t)
	svc := newService()
	s := serve(t, svc.server(t, rpc.WithCodecs(rpc.Gob)), nil)
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob} {
		client := connect(t, newDialer(t, nil), s.addr, rpc.WithCodec(codec))
		for i := range 20 {
			text := fmt.Sprint("hello ", i)
			reply, err := echo.Call(bounded(t), client, &echoRequest{Text: text})
			require.NoError(t, err)
			require.Equal(t, text, reply.Text)
		}
		_, err := fail.Call(bounded(t), client, &echoRequest{Text: "item9"})
		var coded *rpc.Error
		require.ErrorAs(t, err, &coded)
		assert.Equal(t, rpc.NotFound, coded.Code)
		assert.Equal(t, "unknown: item9", coded.Message)
		assert.Equal(t, map[string]string{"item": "item9"}, coded.Details)
		require.NoError(t, client.Ping(bounded(t)))
	}
	peer := svc.saw.Load()
	assert.Nil(t, peer.TLS)
	require.IsType(t, &net.TCPAddr{}, peer.Addr)
	assert.True(t, peer.Addr.(*net.TCPAddr).IP.IsLoopback())
}

// The streams of HTTP/2 carry our frames, so metadata of replies come as over TCP; they are no
// headers of HTTP's.
func TestCalls_MetadataOfReplies(t *testing.T) {
	noLeaks(t)
	header := rpc.Method[echoRequest, echoReply]("Test.Header")
	srv := newService().server(t, rpc.WithCodecs(rpc.Gob))
	require.NoError(t, header.Handle(srv, func(ctx context.Context, req *echoRequest) (*echoReply, error) {
		if err := rpc.SetHeader(ctx, rpc.Metadata{"text": req.Text, "connection": "close"}); err != nil || req.Size == 0 {
			return &echoReply{Text: req.Text}, err
		}
		return nil, rpc.Errorf(rpc.NotFound, "not here")
	}))
	s := serve(t, srv, nil)
	for _, codec := range []rpc.Codec{rpc.JSON, rpc.Gob} {
		client := connect(t, newDialer(t, nil), s.addr, rpc.WithCodec(codec))
		for size, code := range []rpc.Code{rpc.OK, rpc.NotFound} {
			text := strings.Repeat("x", 8000)
			var md rpc.Metadata
			_, err := header.Call(rpc.ReceiveHeader(bounded(t), &md), client, &echoRequest{Text: text, Size: size})
			assert.Equal(t, code, rpc.CodeOf(err))
			assert.Equal(t, rpc.Metadata{"text": text, "connection": "close"}, md)
		}
	}
}

func TestCalls_ManyInFlightOnFewTCPConnections(t *testing.T) {
	noLeaks(t)
	svc := newService()
	s := serve(t, svc.server(t), nil)
	dialer := newDialer(t, nil)
	const clients, calls = 8, 50
	var wg sync.WaitGroup
	for c := range clients {
		client := connect(t, dialer, s.addr)
		for n := range calls {
			wg.Go(func() {
				text := fmt.Sprint(c, " ", n)
				reply, err := hold.Call(bounded(t), client, &echoRequest{Text: text})
				if assert.NoError(t, err) {
					assert.Equal(t, text, reply.Text)
				}
			})
		}
	}
	for range clients * calls {
		<-svc.began // all of them at once
	}
	close(svc.let)
	wg.Wait()
	assert.EqualValues(t, 1, s.tcp.accepted.Load(), "TCP connections")
}

func TestCalls_DeadlineReachesTheHandler(t *testing.T) {
	noLeaks(t)
	svc := newService()
	s := serve(t, svc.server(t), nil)
	client := connect(t, newDialer(t, nil), s.addr)
	for left := 50 * time.Millisecond; len(svc.began) == 0; left *= 2 { // on a busy machine it may pass before the call arrives
		ctx, cancel := context.WithTimeout(t.Context(), left)
		_, err := hold.Call(ctx, client, &echoRequest{})
		cancel()
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	}
	assert.False(t, svc.due.Load().(time.Time).IsZero(), "the handler has the caller's deadline")
	assert.Error(t, <-svc.ended) // by that deadline, or by the caller's cancel if that is seen first

	_, err := echo.Call(bounded(t), client, &echoRequest{})
	assert.NoError(t, err, "the connection goes on")
}

func TestCalls_CancelReachesTheHandler(t *testing.T) {
	noLeaks(t)
	svc := newService()
	s := serve(t, svc.server(t), nil)
	client := connect(t, newDialer(t, nil), s.addr)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		<-svc.began
		cancel()
	}()
	_, err := hold.Call(ctx, client, &echoRequest{})
	assert.ErrorIs(t, err, context.Canceled)
	assert.ErrorIs(t, <-svc.ended, context.Canceled)

	_, err = echo.Call(bounded(t), client, &echoRequest{})
	assert.NoError(t, err, "the connection goes on")
}

func TestCalls_LargeMessagesBothWays(t *testing.T) {
	noLeaks(t)
	s := serve(t, newService().server(t), nil)
	client := connect(t, newDialer(t, nil), s.addr)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			text := strings.Repeat(string(rune('a'+i)), 1_000_000+i)
			reply, err := echo.Call(bounded(t), client, &echoRequest{Text: text})
			if assert.NoError(t, err) {
				assert.True(t, text == reply.Text, "the reply is another text")
			}
		})
	}
	wg.Wait()
	_, err := echo.Call(bounded(t), client, &echoRequest{Size: 5 << 20})
	assert.ErrorIs(t, err, rpc.ResourceExhausted)
}

func TestShutdown_RunningCallsEndAndTheClientKnows(t *testing.T) {
	noLeaks(t)
	svc := newService()
	srv := svc.server(t)
	s := serve(t, srv, nil)
	client := connect(t, newDialer(t, nil), s.addr, rpc.WithMaxAttempts(1), rpc.WithFailFast())
	running := start(t, client, hold, "running")
	<-svc.began

	shut := make(chan error, 1)
	began := time.Now()
	go func() { shut <- srv.Shutdown(bounded(t)) }()
	for srv.State() == rpc.Serving {
		_, err := echo.Call(bounded(t), client, &echoRequest{})
		if err != nil {
			assert.ErrorIs(t, err, rpc.Unavailable)
		}
	}
	close(svc.let)
	assert.NoError(t, <-running)
	assert.NoError(t, <-shut)
	assert.Less(t, time.Since(began), lingerTime, "the client has ended its side at once")

	ctx := bounded(t)
	for said := false; !said; { // until the client's pause is over, a call that fails fast makes no attempt
		_, err := echo.Call(ctx, client, &echoRequest{})
		require.ErrorIs(t, err, rpc.Unavailable)
		require.True(t, rpc.NeverRan(err))
		said = strings.Contains(err.Error(), "503") // the http.Server still says why
	}
	assert.NoError(t, s.http.Shutdown(bounded(t)))
}

// start makes a call in the background.
func start(t *testing.T, client *rpc.Client, m rpc.Method[echoRequest, echoReply], text string) <-chan error {
	t.Helper()
	ended := make(chan error, 1)
	ctx := bounded(t)
	go func() {
		_, err := m.Call(ctx, client, &echoRequest{Text: text})
		ended <- err
	}()
	return ended
}

func TestLostConnection_CallsFailAndTheNextOneConnects(t *testing.T) {
	noLeaks(t)
	svc := newService()
	srv := svc.server(t)
	s := serve(t, srv, nil)
	client := connect(t, newDialer(t, nil), s.addr)
	lost := start(t, client, hold, "lost")
	<-svc.began

	require.NoError(t, s.http.Close()) // cuts the TCP connection
	err := <-lost
	assert.ErrorIs(t, err, rpc.Unavailable)
	assert.False(t, rpc.NeverRan(err))
	assert.ErrorIs(t, <-svc.ended, context.Canceled, "the handler's context")

	tcp, err := net.Listen("tcp", s.addr)
	require.NoError(t, err)
	serveOn(t, svc.server(t), nil, tcp)
	_, err = echo.Call(bounded(t), client, &echoRequest{})
	assert.NoError(t, err, "a new TCP connection to the new server")
}

func TestClientCloses_HandlersAreCancelledAndNobodyComplains(t *testing.T) {
	noLeaks(t)
	svc := newService()
	complaints := make(chan error, 8)
	srv := svc.server(t, rpc.WithErrorHandler(func(err error) { complaints <- err }))
	s := serve(t, srv, nil)
	client := connect(t, newDialer(t, nil), s.addr)
	running := start(t, client, hold, "x")
	<-svc.began
	require.NoError(t, client.Close())
	assert.ErrorIs(t, <-running, rpc.ErrClientClosed)
	assert.ErrorIs(t, <-svc.ended, context.Canceled)
	require.NoError(t, srv.Shutdown(bounded(t)))
	assert.Empty(t, complaints)
}

func TestTLS_BothSidesAreVerifiedAndNamed(t *testing.T) {
	noLeaks(t)
	ca, stranger := newAuthority(t), newAuthority(t)
	svc := newService()
	s := serve(t, svc.server(t), &tls.Config{
		Certificates: []tls.Certificate{ca.issue("shop")},
		ClientAuth:   tls.VerifyClientCertIfGiven, ClientCAs: ca.pool,
	})

	client := connect(t, newDialer(t, &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{ca.issue("orders")}}), s.addr)
	reply, err := echo.Call(bounded(t), client, &echoRequest{Size: 500_000})
	require.NoError(t, err)
	assert.Len(t, reply.Text, 500_000)
	assert.Equal(t, "orders", svc.who.Load())
	assert.Equal(t, "h2", svc.saw.Load().TLS.NegotiatedProtocol)

	client = connect(t, newDialer(t, &tls.Config{RootCAs: ca.pool}), s.addr)
	_, err = echo.Call(bounded(t), client, &echoRequest{})
	require.NoError(t, err)
	assert.Equal(t, "", svc.who.Load(), "no certificate, no name")

	dialer := newDialer(t, &tls.Config{RootCAs: stranger.pool})
	_, err = rpc.Dial(bounded(t), s.addr, rpc.WithDialer(dialer.Dial))
	assert.ErrorContains(t, err, "certificate signed by unknown authority")
	dialer = newDialer(t, &tls.Config{RootCAs: ca.pool, ServerName: "other.example"})
	_, err = rpc.Dial(bounded(t), s.addr, rpc.WithDialer(dialer.Dial))
	assert.ErrorContains(t, err, "other.example")
	dialer = newDialer(t, nil)
	_, err = rpc.Dial(bounded(t), s.addr, rpc.WithDialer(dialer.Dial))
	assert.ErrorIs(t, err, rpc.Unavailable, "no TLS")
}

// A client that does not read blocks its own stream only.
func TestSlowReader_HoldsUpNobodyElse(t *testing.T) {
	noLeaks(t)
	svc := newService()
	s := serve(t, svc.server(t), nil)
	dialer := newDialer(t, nil)
	deaf := &deafConn{waits: make(chan struct{}, 1), reads: make(chan struct{})}
	slow := connect(t, dialer, s.addr, rpc.WithDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		conn, err := dialer.Dial(ctx, addr)
		deaf.Conn = conn
		return deaf, err
	}))
	deaf.stop()
	var waiting []<-chan error
	for range 10 { // 10 MB: more than all the windows on the way
		ended := make(chan error, 1)
		waiting = append(waiting, ended)
		go func() {
			reply, err := echo.Call(bounded(t), slow, &echoRequest{Size: 1_000_000})
			if err == nil && len(reply.Text) != 1_000_000 {
				err = fmt.Errorf("a reply of %d", len(reply.Text))
			}
			ended <- err
		}()
	}
	<-deaf.waits
	quick := connect(t, dialer, s.addr)
	for range 50 {
		_, err := echo.Call(bounded(t), quick, &echoRequest{Size: 100_000})
		require.NoError(t, err)
	}
	assert.EqualValues(t, 1, s.tcp.accepted.Load(), "both share a TCP connection")
	close(deaf.reads)
	for _, ended := range waiting {
		assert.NoError(t, <-ended)
	}
}

// deafConn reads nothing between stop and the closing of reads.
type deafConn struct {
	net.Conn
	mu      sync.Mutex
	stopped bool
	waits   chan struct{} // a Read has begun to wait
	reads   chan struct{}
}

func (c *deafConn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
}

func (c *deafConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	stopped := c.stopped
	c.mu.Unlock()
	if stopped {
		select {
		case c.waits <- struct{}{}:
		default:
		}
		<-c.reads
	}
	return n, err
}

// What a client or a proxy says of a trace in HTTP's own headers concerns no call.
func TestHTTP2_TracesInHeadersFailNoConnection(t *testing.T) {
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	header := http.Header{
		"Traceparent": {parent, parent}, "Tracestate": {"a=1", "b=\xe9"},
		"Baggage": {"a=1", "name=Ren\xe9", strings.Repeat("x", 8<<10)},
	}
	s := newService()
	d := newDialer(t, nil)
	d.Header = header
	client := connect(t, d, serve(t, s.server(t), nil).addr)
	reply, err := echo.Call(t.Context(), client, &echoRequest{Text: "hello"})
	require.NoError(t, err)
	assert.Equal(t, "hello", reply.Text)
}

func TestDialer_AnAddressThatCannotBeParsedFailsAtOnce(t *testing.T) {
	d := newDialer(t, nil)
	for _, addr := range []string{"", "a b:80", "unix:/tmp/socket", "http://localhost:80", "localhost:80/rpc", "user@localhost:80", "[::1:80", "localhost:x", "localhost:65536"} {
		_, err := rpc.Dial(bounded(t), addr, rpc.WithDialer(d.Dial), rpc.WithFailFast())
		assert.ErrorIs(t, err, rpc.InvalidArgument, "%q", addr)
		assert.ErrorContains(t, err, "address", "%q", addr)
	}
}

func TestListener_DoesNotGoWithTLSOfTheServer(t *testing.T) {
	hs := httptest.NewUnstartedServer(nil)
	hs.StartTLS()
	defer hs.Close()
	srv := rpc.NewServer(rpc.WithTLS(hs.TLS))
	defer srv.Close()
	err := srv.Serve(NewListener())
	assert.ErrorIs(t, err, rpc.InvalidArgument)
	assert.ErrorContains(t, err, "WithTLS")
}
