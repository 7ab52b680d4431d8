package rpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// The service that most tests call.
type (
	stockRequest struct {
		Item string
		Wait time.Duration
	}
	stockReply struct {
		Item  string
		Count int
	}
)

var checkStock = Method[stockRequest, stockReply]("Inventory.CheckStock")

// inventory counts what runs and lets tests hold handlers.
type inventory struct {
	mu      sync.Mutex
	ran     map[string]int
	hold    chan struct{} // handlers of item "held" wait for it
	started chan string   // gets the item of every handler that begins, if not nil
	ended   chan error    // gets ctx.Err() of "held" handlers, if not nil
	saw     func(ctx context.Context)
}

func (inv *inventory) check(ctx context.Context, req *stockRequest) (*stockReply, error) {
	inv.mu.Lock()
	if inv.ran == nil {
		inv.ran = map[string]int{}
	}
	inv.ran[req.Item]++
	inv.mu.Unlock()
	if inv.started != nil {
		inv.started <- req.Item
	}
	if inv.saw != nil {
		inv.saw(ctx)
	}
	switch {
	case req.Item == "held":
		select {
		case <-inv.hold:
		case <-ctx.Done():
		}
		if inv.ended != nil {
			inv.ended <- ctx.Err()
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	case req.Item == "deaf": // does not look at its context
		<-inv.hold
	case req.Item == "panic":
		panic("secret")
	case req.Item == "goexit":
		runtime.Goexit()
	case req.Item == "plain":
		return nil, errors.New("the shelf\nis on fire")
	case req.Item == "empty":
		return nil, errors.New("")
	case req.Item == "huge":
		return &stockReply{Item: strings.Repeat("x", 100_000)}, nil
	case strings.HasPrefix(req.Item, "no"):
		e := Errorf(NotFound, "unknown item: %s", req.Item)
		e.Details = map[string]string{"item": req.Item}
		return nil, e
	}
	if req.Wait > 0 {
		timer := time.NewTimer(req.Wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return &stockReply{Item: req.Item, Count: 100}, nil
}

func (inv *inventory) runs(item string) int {
	inv.mu.Lock()
	defer inv.mu.Unlock()
	return inv.ran[item]
}

func newInventory() *inventory {
	return &inventory{hold: make(chan struct{})}
}

func (inv *inventory) server(t testing.TB, opts ...ServerOption) *Server {
	t.Helper()
	srv := newServer(t, opts...)
	require.NoError(t, checkStock.Handle(srv, inv.check))
	return srv
}

// newServer makes a server that is closed at the end of the test, after its clients.
func newServer(t testing.TB, opts ...ServerOption) *Server {
	t.Helper()
	srv := NewServer(opts...)
	t.Cleanup(func() {
		srv.Close()
		owesNothing(t, srv)
	})
	return srv
}

// newPool makes a pool that is closed at the end of the test, before its servers.
func newPool(t testing.TB, resolver Resolver, opts ...PoolOption) *Pool {
	t.Helper()
	pool := NewPool(resolver, opts...)
	t.Cleanup(func() { pool.Close() })
	return pool
}

// owesNothing checks that the calls of a server that has ended have given back the
// memory that they were charged for.
func owesNothing(t testing.TB, srv *Server) {
	t.Helper()
	assert.Zero(t, Owed(srv), "the memory of params, replies and streams")
}

// Owed returns how much memory the calls of a server have not given back, if it has ended.
func Owed(srv *Server) int64 {
	select {
	case <-srv.ended:
		return srv.params.leased + srv.replies.leased + srv.streams.leased
	default:
		return 0
	}
}

// pipe connects a client to srv inside a synctest bubble. Both end with the test.
func pipe(t *testing.T, srv *Server, opts ...ClientOption) *Client {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(far)
	client := NewClient(near, opts...)
	t.Cleanup(func() { client.Close() })
	return client
}

// bubble runs a story in a synctest bubble, whose end fails on a goroutine left behind.
func bubble(t *testing.T, story func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, story)
}

// connsOf returns the connections that srv has now.
func connsOf(srv *Server) []*serverConn {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.connsLocked()
}

// listen serves srv on a free port of the loopback and returns the address.
func listen(t testing.TB, srv *Server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, ErrServerClosed)
	})
	return ln.Addr().String()
}

// dial connects to addr for the length of the test.
func dial(t testing.TB, addr string, opts ...ClientOption) *Client {
	t.Helper()
	client, err := Dial(t.Context(), addr, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

// noLeaks fails the test if there are more goroutines at its end than now. Call it first.
func noLeaks(t testing.TB) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for range 1_000_000 {
			if runtime.NumGoroutine() <= before {
				return
			}
			runtime.Gosched()
		}
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
	})
}

// rawConn speaks the protocol by hand.
type rawConn struct {
	t    testing.TB
	conn net.Conn
	in   frameReader
}

// rawClient connects by hand and says hello.
func rawClient(t testing.TB, srv *Server, codec string) *rawConn {
	t.Helper()
	return rawClientSaying(t, srv, wire.ClientHello{Codec: codec, MaxMessage: 1 << 20})
}

func rawClientSaying(t testing.TB, srv *Server, hello wire.ClientHello) *rawConn {
	t.Helper()
	near, far := net.Pipe()
	go srv.ServeConn(far)
	r := rawOn(t, near)
	r.write(hello.Append(nil))
	body, err := wire.ReadHello(near, wire.MaxHello)
	require.NoError(t, err)
	_, err = parseServerHello(body)
	require.NoError(t, err)
	return r
}

func rawOn(t testing.TB, conn net.Conn) *rawConn {
	t.Cleanup(func() { conn.Close() })
	return &rawConn{t: t, conn: conn, in: frameReader{Reader: wire.Reader{Limit: 4 << 20}, conn: conn}}
}

func (r *rawConn) write(b []byte) {
	r.t.Helper()
	_, err := r.conn.Write(b)
	require.NoError(r.t, err)
}

// request writes a request frame with JSON params.
func (r *rawConn) request(id uint64, method, params string) {
	r.t.Helper()
	h := wire.RequestHead{Method: method}
	r.write(append(h.Append(nil, 0, id, len(params)), params...))
}

func (r *rawConn) read() wire.Frame {
	r.t.Helper()
	f, err := r.in.next()
	require.NoError(r.t, err)
	return *f
}

// readError reads an error frame for a call.
func (r *rawConn) readError(id uint64) *Error {
	r.t.Helper()
	f := r.read()
	require.Equal(r.t, wire.KindError, f.Kind, "payload %q", f.Payload)
	require.Equal(r.t, id, f.ID)
	e, _, err := parseError(&f)
	require.NoError(r.t, err)
	return e
}

// readGoAway reads a go-away and the end of the connection.
func (r *rawConn) readGoAway() (lastID uint64, e *Error) {
	r.t.Helper()
	f := r.read()
	require.Equal(r.t, wire.KindGoAway, f.Kind, "payload %q", f.Payload)
	e, err := parseGoAway(&f)
	require.NoError(r.t, err)
	return f.ID, e
}

// timeout returns a context that ends after d.
func timeout(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// observe makes an Observer of methods.
func observe(obs interface {
	ConnOpened()
	ConnClosed()
	BytesRead(n int)
	BytesWritten(n int)
}) Observer {
	return Observer{ConnOpened: obs.ConnOpened, ConnClosed: obs.ConnClosed, BytesRead: obs.BytesRead, BytesWritten: obs.BytesWritten}
}

// WithChance lets jitter and balancing follow a seed.
func WithChance(seed uint64) ClientOption {
	return clientOption(func(o *clientOptions) { o.chance = &chance{rand: rand.New(rand.NewPCG(seed, 0))} })
}

// WithoutParamsOffer makes a client one that knows nothing of room for params: its pairs
// leave no room for the offer.
func WithoutParamsOffer() ClientOption {
	return WithHelloMetadata(Metadata{"large": strings.Repeat("x", mostBesideParams)})
}

// ParamsInFlight returns how many bytes of params of a client or pool count as in flight.
func ParamsInFlight(c Caller) (taken int64) {
	var clients []*Client
	if pool, ok := c.(*Pool); ok {
		clients = *pool.members.Load()
	} else {
		clients = append(clients, c.(*Client))
	}
	for _, client := range clients {
		if conn := client.conn.Load(); conn != nil {
			conn.mu.Lock()
			taken += conn.params.taken
			conn.mu.Unlock()
		}
	}
	return taken
}

// Leased returns how much memory the calls of a server have for their params, and how
// much they may have.
func Leased(srv *Server) (leased, most int64) {
	srv.params.mu.Lock()
	defer srv.params.mu.Unlock()
	return srv.params.leased, srv.params.most
}

// Waiting returns how many calls wait for a server.
func Waiting(c Caller) int {
	if pool, ok := c.(*Pool); ok {
		return int(pool.waiting.n.Load())
	}
	return int(c.(*Client).group.waiting.n.Load())
}
