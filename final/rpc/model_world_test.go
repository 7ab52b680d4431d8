package rpc_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// modelMaxWait is WithMaxWait's default.
const modelMaxWait = 30 * time.Second

// run runs the program in a bubble.
func (p *modelProgram) run(t *testing.T) {
	before := runtime.NumGoroutine()
	w := newModelWorld(t, p)
	for _, op := range p.ops {
		w.note("%v", op)
		w.do(t, op)
	}
	if !p.abrupt {
		w.allEnd(t)
		w.allSlotsAreFree(t)
	}
	w.close()
	w.advanceUntil(3*time.Second, func() string {
		if runtime.NumGoroutine() > before {
			return "goroutines"
		}
		return ""
	})
	w.nothingIsLeft(before, w.net)
}

func newModelWorld(t *testing.T, p *modelProgram) *modelWorld {
	w := &modelWorld{modelProgram: p, seededWorld: seededWorld{title: p, begun: time.Now()}, calls: map[int]*modelCall{}, open: make(chan struct{})}
	w.net = &modelNet{
		window: p.window, chunk: p.chunk, latency: p.latency, name: "pipe",
		listeners: map[string]*modelListener{}, conns: map[*modelConn]string{}, apart: map[*modelConn]string{},
	}
	if p.path != "inline" {
		w.net.name, w.net.spoils = "model", true
	}
	w.net.offered = func(_ *modelConn, id int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if c := w.calls[id]; c != nil {
			c.offers++
		}
	}
	if p.path == "tcp" {
		w.tcp = &modelTCP{addrs: map[string]string{}, conns: map[string][]*net.TCPConn{}}
	}
	for i := range p.servers {
		w.hosts = append(w.hosts, w.serve(t, modelAddrOf(i)))
	}
	w.listed = 1<<p.servers - 1
	w.client = w.connect(t)
	return w
}

func modelAddrOf(i int) string { return "server" + strconv.Itoa(i) }

// serve starts a server at addr.
func (w *modelWorld) serve(t *testing.T, addr string) *modelServer {
	opts := []rpc.ServerOption{
		rpc.WithMaxInFlight(w.slots), rpc.WithMaxHandlers(w.handlers), rpc.WithCodecs(rpc.Gob),
		rpc.WithPanicHandler(func(context.Context, any, []byte) {}), rpc.WithErrorHandler(w.serverFailed),
	}
	if w.path == "tls" {
		opts = append(opts, rpc.WithTLS(&tls.Config{Certificates: []tls.Certificate{modelCertificate()}}))
	}
	if w.compress {
		opts = append(opts, rpc.WithCompression(64))
	}
	if w.big {
		opts = append(opts, rpc.WithReplyMemory(4<<20, 256<<10)) // results wait for each other
	}
	if w.interceptors {
		opts = append(opts, rpc.WithServerInterceptors(func(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler { return next }))
	}
	s := &modelServer{Server: rpc.NewServer(opts...), addr: addr, up: true, running: map[*modelRun]struct{}{}, byConn: map[string]int{}}
	handle := func(ctx context.Context, req *modelRequest) (*modelReply, error) { return w.handle(ctx, s, req) }
	require.NoError(t, rpc.Method[modelRequest, modelReply]("Model.Call").Handle(s.Server, handle))
	require.NoError(t, rpc.Method[modelRequest, modelReply]("Model.Fast").Handle(s.Server, handle, rpc.NonBlocking()))
	ln := w.listen(t, addr)
	w.all = append(w.all, s)
	go s.Serve(ln)
	return s
}

// connect makes the Client or the Pool.
func (w *modelWorld) connect(t *testing.T) modelCaller {
	opts := []rpc.ClientOption{rpc.WithDialer(w.dial), rpc.WithBackoff(time.Millisecond, 20*time.Millisecond)}
	secure := &tls.Config{InsecureSkipVerify: true}
	if w.path == "tls" && w.caller != "NewClient" {
		opts = append(opts, rpc.WithTLS(secure))
	}
	if w.codec == "gob" {
		opts = append(opts, rpc.WithCodec(rpc.Gob))
	}
	if w.compress {
		opts = append(opts, rpc.WithCompression(64))
	}
	if w.interceptors {
		opts = append(opts, rpc.WithClientInterceptors(func(next rpc.Caller) rpc.Caller { return next }))
	}
	switch w.caller {
	case "Client":
		client, err := rpc.Dial(t.Context(), modelAddrOf(0), opts...)
		require.NoError(t, err)
		return client
	case "NewClient":
		opts = opts[2:] // which are for connections that are still to be made
		conn, err := w.dial(t.Context(), modelAddrOf(0))
		require.NoError(t, err)
		if w.path == "tls" {
			conn = net.Conn(tls.Client(conn, secure))
		}
		return rpc.NewClient(conn, opts...)
	}
	ejection := rpc.WithPoolOptions()
	if !w.eject {
		ejection = rpc.WithEjection(0, 0, 0)
	}
	return rpc.NewPool(w, rpc.WithClientOptions(opts...), ejection)
}

// serverFailed is told why a server has closed a connection.
func (w *modelWorld) serverFailed(err error) {
	if strings.Contains(err.Error(), "protocol") && !strings.Contains(err.Error(), "within a frame") {
		w.fail("the server closed a connection: %v", err)
	}
}

// Resolve implements rpc.Resolver.
func (w *modelWorld) Resolve(ctx context.Context, update func([]string)) error {
	w.mu.Lock()
	w.update = update
	addrs := w.addrsLocked()
	w.mu.Unlock()
	update(addrs)
	<-ctx.Done()
	return ctx.Err()
}

func (w *modelWorld) addrsLocked() (addrs []string) {
	for i := range w.hosts {
		if w.listed&(1<<i) != 0 {
			addrs = append(addrs, modelAddrOf(i))
		}
	}
	return addrs
}

// list makes the pool know this set of servers.
func (w *modelWorld) list(set int) {
	w.wait() // for Resolve
	w.mu.Lock()
	w.listed = set
	update, addrs := w.update, w.addrsLocked()
	w.mu.Unlock()
	if update != nil {
		update(addrs)
	}
}

// do does one operation.
func (w *modelWorld) do(t *testing.T, op modelOp) {
	if w.quiet {
		switch op.kind {
		case "cut", "close", "shutdown", "shutdown-within":
			w.wait()
			defer w.wait()
		}
	}
	w.mu.Lock()
	server, call := w.hosts[op.server], w.calls[op.call]
	w.mu.Unlock()
	switch op.kind {
	case "call":
		w.call(op)
	case "cancel":
		if call != nil {
			w.cancelCall(&call.seededCall)
		}
	case "release":
		if call != nil {
			w.releaseCall(&call.seededCall)
		}
	case "swap":
		w.swap()
	case "settle":
		w.settle()
	case "advance":
		w.advance(op.d)
	case "ping":
		w.ping(t)
	case "servers":
		w.list(op.n)
	case "restart":
		w.restart(t, op.server)
	case "shutdown", "shutdown-within", "close":
		w.stopServer(server, op)
	default:
		w.disturb(server, op)
	}
}

// call makes a call in a goroutine.
func (w *modelWorld) call(op modelOp) *modelCall {
	ask := seededAsk{do: op.do, bytes: op.n, limit: op.d, again: op.again, fast: op.fast, async: op.async}
	c := &modelCall{seededCall: newSeededCall(context.Background(), op.index, ask, w.open)}
	w.mu.Lock()
	w.calls[op.index] = c
	w.mu.Unlock()
	w.begin(&c.seededCall, w.client, "Model", func(err error) { w.callEnded(c, err) })
	return c
}

// swap lets a handler return and, at the same time, the caller of a call that waits
// leave: the slot may just have been given to that one.
func (w *modelWorld) swap() {
	w.wait()
	var running, waiting *modelCall
	w.mu.Lock()
	for _, op := range w.ops {
		switch c := w.calls[op.index]; {
		case c == nil || c.ended:
		case c.runs == 0 && waiting == nil:
			waiting = c
		case c.runs > 0 && running == nil && !c.released:
			running = c
		}
	}
	w.mu.Unlock()
	if running != nil && waiting != nil {
		w.releaseCall(&running.seededCall)
		runtime.Gosched()
		w.cancelCall(&waiting.seededCall)
	}
}

// ping: the reader waits for no handler and no other call.
func (w *modelWorld) ping(t *testing.T) {
	client, ok := w.client.(*rpc.Client)
	if !ok || w.class != modelCalm {
		return
	}
	limit := time.Second
	if w.tcp != nil {
		limit = 10 * time.Second // of real time
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	begun := time.Now()
	err := client.Ping(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if took := time.Since(begun); err != nil || took > w.quietTime() && w.tcp == nil {
		w.failLocked("a ping took %v: %v", took, err)
	}
}

// stopServer begins a Shutdown or Close.
func (w *modelWorld) stopServer(s *modelServer, op modelOp) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case op.kind == "close":
		w.serverEnds(s, "Close", true, s.Close)
	case op.kind == "shutdown":
		w.serverEnds(s, "Shutdown", true, func() error { return s.Shutdown(context.Background()) })
	default:
		w.serverEnds(s, "Shutdown within "+op.d.String(), false, func() error { return w.shutdownWithin(s, op.d) })
	}
}

func (w *modelWorld) shutdownWithin(s *modelServer, d time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	begun := time.Now()
	err := s.Shutdown(ctx)
	if took := time.Since(begun); took > d+modelSlack && w.tcp == nil {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.failLocked("Shutdown took %v, and its context ended after %v", took, d)
	}
	return err
}

// restart puts a new server where one has begun to end.
func (w *modelWorld) restart(t *testing.T, i int) {
	w.wait() // the listener is closed
	w.mu.Lock()
	old := w.hosts[i]
	w.mu.Unlock()
	if old.up {
		return
	}
	s := w.serve(t, old.addr)
	w.mu.Lock()
	w.hosts[i] = s
	w.mu.Unlock()
}

// disturb does something to the connections of a server.
func (w *modelWorld) disturb(s *modelServer, op modelOp) {
	if op.kind == "stall" {
		w.mu.Lock()
		w.stalled, w.stalls = true, true
		w.mu.Unlock()
	}
	if w.tcp != nil && op.kind == "cut" {
		w.tcp.cut(s.addr)
	}
	for _, conn := range w.net.to(s.addr) {
		switch op.kind {
		case "cut":
			conn.cut()
		case "cut-after":
			conn.out.set(func(h *modelHalf) { h.cutAfter = op.n })
		case "stall":
			half := []*modelHalf{conn.in, conn.out}[op.n]
			half.set(func(h *modelHalf) { h.stalled = true })
		case "unstall":
			conn.in.set(func(h *modelHalf) { h.stalled = false })
			conn.out.set(func(h *modelHalf) { h.stalled, h.cutAfter = false, -1 })
		default:
			panic("an unknown operation: " + op.kind)
		}
	}
}

// calm ends what stands in the way.
func (w *modelWorld) calm(t *testing.T) {
	for i, s := range w.hosts {
		w.disturb(s, modelOp{kind: "unstall"})
		w.restart(t, i)
	}
	w.mu.Lock()
	w.stalled = false
	w.mu.Unlock()
	if w.caller == "Pool" {
		w.list(1<<w.servers - 1)
	}
}

// allEnd releases all handlers: every call ends, every Shutdown and Close returns.
func (w *modelWorld) allEnd(t *testing.T) {
	w.calm(t)
	close(w.open)
	w.settle()
	w.advanceUntil(modelMaxWait+40*time.Second, w.underWayLocked)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkLocked(w.underWayLocked())
}

// allSlotsAreFree makes as many calls at once as there are slots. All of them run.
func (w *modelWorld) allSlotsAreFree(t *testing.T) {
	if w.caller == "NewClient" && w.class == modelRough {
		return // the connection may be gone
	}
	if w.handlers < w.slots && w.servers > 1 {
		return // which server refuses is chance
	}
	w.open = make(chan struct{})
	index := 1000
	w.meetAll(t, &index)
	w.note("all slots are to be free")
	var calls []*modelCall
	for range min(w.slots, w.handlers) * w.servers {
		index++
		calls = append(calls, w.call(modelOp{index: index, kind: "call", do: "hang"}))
	}
	allRun := func() string {
		for _, c := range calls {
			if c.runs != 1 || c.ended {
				return fmt.Sprintf("call %d does not run (%d runs, ended %v): a slot was not given back", c.id, c.runs, c.ended)
			}
		}
		return ""
	}
	w.advanceUntil(2*w.quietTime(), allRun)
	w.mu.Lock()
	w.checkLocked(allRun())
	w.mu.Unlock()
	close(w.open)
	w.advanceUntil(2*w.quietTime(), w.underWayLocked)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range calls {
		if c.err != nil || !c.ended {
			w.failLocked("call %d, ended %v: %v", c.id, c.ended, c.err)
		}
	}
}

// meetAll makes calls until a pool is connected to all its servers again.
func (w *modelWorld) meetAll(t *testing.T, index *int) {
	rounds := 100
	if w.tcp != nil {
		rounds = 5000
	}
	for range rounds {
		*index++
		c := w.call(modelOp{index: *index, kind: "call", do: "echo", d: 5 * time.Second})
		<-c.done
		w.advance(time.Second)
		met := true
		if pool, ok := w.client.(*rpc.Pool); ok {
			for _, m := range pool.Members() {
				met = met && m.Connected && !m.Ejected && m.InFlight == 0
			}
		}
		if met && c.err == nil {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failLocked("the pool does not come back to all its servers")
}

// close closes the caller and then the servers, and checks that all calls end at once.
func (w *modelWorld) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.client.Close()
	w.advanceUntil(2*modelSlack, w.callsEndedLocked)
	w.mu.Lock()
	w.checkLocked(w.callsEndedLocked())
	for _, c := range w.calls {
		c.cancel()
	}
	for _, s := range w.hosts {
		w.serverEnds(s, "the last Close", true, s.Close)
	}
	w.mu.Unlock()
	if !isDone(w.open) {
		close(w.open)
	}
	w.advanceUntil(3*time.Second, w.underWayLocked)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.checkLocked(w.underWayLocked())
	w.checkLocked(w.owedLocked())
}

// owedLocked: whatever has ended the calls, the memory that they were charged for is
// given back.
func (w *modelWorld) owedLocked() string {
	for _, s := range w.all {
		if n := rpc.Owed(s.Server); n != 0 {
			return fmt.Sprintf("the server at %s has ended, and its calls owe %d bytes of memory", s.addr, n)
		}
	}
	return ""
}

func (w *modelWorld) callsEndedLocked() string {
	for _, c := range w.calls {
		if !c.ended {
			return fmt.Sprintf("call %d has not ended with the caller's Close", c.id)
		}
	}
	return ""
}

// modelCertificate makes a server's certificate, which clients do not check.
func modelCertificate() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(crand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
