package http2

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

// Dialer makes connections to Listeners. The zero value speaks HTTP/2 without
// TLS. Its fields must not be changed once it is in use; its methods may be
// called by many goroutines.
type Dialer struct {
	// Path is the Listener's. Default DefaultPath.
	Path string
	// TLS, if not nil, makes it https. Without a ServerName the address's host is checked.
	TLS *tls.Config
	// Header is sent with each request, for a proxy before the server that wants,
	// for example, an Authorization. Handlers do not see it.
	Header http.Header

	once      sync.Once
	transport *http.Transport

	mu     sync.Mutex
	closed bool
	conns  map[*tcpConn]struct{}
}

// Dial opens a stream to the Listener at addr, "host:port". It fits
// rpc.WithDialer: rpc.WithDialer(dialer.Dial). ctx bounds opening the stream,
// not the connection. If the answer is not a Listener's, the error is an
// *rpc.Error. A proxy's answer that may pass (429, 502, 503, 504) is
// Unavailable, so that the client tries again. After Close it fails at once, with
// FailedPrecondition and net.ErrClosed.
func (d *Dialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	if u, err := url.Parse("//" + addr); err != nil || u.Hostname() == "" && u.Port() == "" || u.Host != addr {
		return nil, rpc.Errorf(rpc.InvalidArgument, "address %q: want host:port", addr)
	}
	d.once.Do(d.init)
	if d.isClosed() {
		return nil, errDialerClosed
	}
	life, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, cancel)
	c := newConn()
	c.abort = cancel
	resp, err := d.transport.RoundTrip(d.request(life, c, addr))
	if err == nil {
		err = check(resp)
	}
	if !stop() && err == nil {
		resp.Body.Close()
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, dialError(ctx, err)
	}
	go c.receive(resp.Body, cancel)
	return withTLS(c, resp.TLS), nil
}

// receive moves the response's body into the pipe that Read reads. After Close
// it reads on, for a while, so that the stream ends on both sides and is not
// reset.
func (c *conn) receive(body io.ReadCloser, cancel context.CancelFunc) {
	defer cancel()
	defer body.Close()
	c.in.fill(body)
	io.Copy(io.Discard, body)
}

// Close ends all connections made by d; Dial fails from then on, without resolving
// or dialling the address. It returns nil, and may be called again. Close the clients first.
func (d *Dialer) Close() error {
	d.once.Do(d.init)
	d.mu.Lock()
	d.closed = true
	conns := d.conns
	d.conns = nil
	d.mu.Unlock()
	for conn := range conns {
		conn.Conn.Close()
	}
	return nil
}

var errDialerClosed = rpc.Errorf(rpc.FailedPrecondition, "the http2.Dialer is closed: %w", net.ErrClosed)

func (d *Dialer) isClosed() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.closed
}

func (d *Dialer) init() {
	var protocols http.Protocols
	protocols.SetHTTP2(d.TLS != nil)
	protocols.SetUnencryptedHTTP2(d.TLS == nil)
	d.conns = map[*tcpConn]struct{}{}
	d.transport = &http.Transport{
		Protocols:          &protocols,
		TLSClientConfig:    overHTTP2Only(d.TLS),
		DialContext:        d.dialTCP,
		DisableCompression: true,
		IdleConnTimeout:    90 * time.Second,
		// Without a look at whether it is alive, a TCP connection that is dead
		// would be given to every new stream.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// overHTTP2Only returns cfg, of a client that ends the handshake with a server that
// does not speak HTTP/2: net/http would go on in HTTP/1.1, in which an answer has to
// wait for a request body that never ends.
func overHTTP2Only(cfg *tls.Config) *tls.Config {
	if cfg == nil {
		return nil
	}
	check := cfg.VerifyConnection
	cfg = cfg.Clone()
	cfg.VerifyConnection = func(state tls.ConnectionState) error {
		if check != nil {
			if err := check(state); err != nil {
				return err
			}
		}
		if state.NegotiatedProtocol != "h2" {
			return rpc.Errorf(rpc.Unimplemented, "the server does not speak HTTP/2, by its TLS handshake (ALPN)")
		}
		return nil
	}
	return cfg
}

// request asks for a stream that lasts as long as life. c learns the addresses while it is being sent.
func (d *Dialer) request(life context.Context, c *conn, addr string) *http.Request {
	header := d.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	header.Set("Content-Type", ContentType)
	header.Set("Accept", ContentType)
	target := &url.URL{Scheme: "http", Host: addr, Path: DefaultPath}
	if d.TLS != nil {
		target.Scheme = "https"
	}
	if d.Path != "" {
		target.Path = d.Path
	}
	ctx := httptrace.WithClientTrace(life, &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		c.local, c.remote = info.Conn.LocalAddr(), info.Conn.RemoteAddr()
	}})
	req := &http.Request{
		Method: http.MethodPost, URL: target, Host: addr, Header: header,
		Body: requestBody{c.out}, ContentLength: -1,
	}
	return req.WithContext(ctx)
}

// tcpConn is a TCP connection that its Dialer knows.
type tcpConn struct {
	net.Conn
	dialer *Dialer
}

// Close implements net.Conn.
func (c *tcpConn) Close() error {
	c.dialer.mu.Lock()
	delete(c.dialer.conns, c)
	c.dialer.mu.Unlock()
	return c.Conn.Close()
}

func (d *Dialer) dialTCP(ctx context.Context, network, addr string) (net.Conn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		conn.Close()
		return nil, errDialerClosed
	}
	known := &tcpConn{Conn: conn, dialer: d}
	d.conns[known] = struct{}{}
	return known, nil
}

// errorText is how much of an answer that is not a Listener's goes into an error.
const errorText = 256

// check accepts a Listener's answer and makes any other one an error.
func check(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Type") == ContentType {
		return nil
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return rpc.Errorf(rpc.Unimplemented, "no Listener answers there, but %q", resp.Header.Get("Content-Type"))
	}
	return rpc.Errorf(codeOf(resp.StatusCode), "%s: %s", resp.Status, firstWords(resp.Body))
}

// firstWords returns the beginning of a text as one line that is safe to print.
func firstWords(text io.Reader) string {
	begin, _ := io.ReadAll(io.LimitReader(text, errorText))
	words := strings.FieldsFunc(strings.ToValidUTF8(string(begin), ""), func(r rune) bool {
		return unicode.IsControl(r) || unicode.IsSpace(r)
	})
	return plaintext.Line(strings.Join(words, " "))
}

// codeOf is gRPC's reading of statuses that did not come from its server
// (https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md).
func codeOf(status int) rpc.Code {
	switch status {
	case http.StatusBadRequest:
		return rpc.Internal
	case http.StatusUnauthorized:
		return rpc.Unauthenticated
	case http.StatusForbidden:
		return rpc.PermissionDenied
	case http.StatusNotFound:
		return rpc.Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return rpc.Unavailable
	}
	return rpc.Unknown
}

// dialError says why there is no connection: because of ctx, if it has ended.
func dialError(ctx context.Context, err error) error {
	var coded *rpc.Error
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case causes.As(err, &coded):
		return err
	}
	return fmt.Errorf("over HTTP/2: %w", err)
}
