package rpc_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
)

// stormWorld is where a storm happens, in a synctest bubble.
type stormWorld struct {
	*stormProgram
	seededWorld
	net  *modelNet
	open chan struct{} // closed when no handler waits any more

	// mu guards these, too. It is taken after the network's.
	calls   map[int]*stormCall
	servers []*stormServer // now, by host
	all     []*stormServer // ever
	users   []*stormUser   // by caller; nil: it has made no call yet
	wires   map[*modelConn]*stormWire
	down    map[int]bool // hosts without power; the storm's goroutine's alone
}

// stormServer is one server at a host; after it another one may take its place.
type stormServer struct {
	*rpc.Server
	host    int
	up      bool
	ln      *modelListener
	running map[*stormRun]struct{}
	byConn  map[string]int
	byHost  map[string]int
	ended   time.Time // when it began to end
}

type stormRun struct {
	call *stormCall
	peer string
}

// stormUser is a caller while it lives.
type stormUser struct {
	stormCaller
	index  int
	caller modelCaller // nil: Dial has failed
	closed bool

	listed   int
	update   func([]string)
	fail     chan error // ends Resolve
	changed  time.Time  // when the list last was
	dials    map[string][]time.Time
	freed    time.Time // when a handler of its calls last ended
	paid     int       // calls sent again for which the budget must have paid
	answered int
}

// stormCall is a call of a storm.
type stormCall struct {
	seededCall
	caller   int
	user     *stormUser
	offers   []*modelConn // of which a Write was given all of the request
	sent     int          // requests that the network has taken
	attempts int
	last     stormAttempt
}

// stormAttempt is what the last attempt of a call ended with.
type stormAttempt struct {
	err error
	age time.Duration // of its connection; 0: that is not known
}

type stormKey struct{}

// run runs the storm in a bubble.
func (p *stormProgram) run(t *testing.T) {
	before := runtime.NumGoroutine()
	w := newStormWorld(t, p)
	for _, s := range p.steps {
		w.advance(s.at - time.Since(w.begun))
		w.note("%v", s)
		w.do(t, s)
		synctest.Wait()
		w.check()
	}
	w.calmDown(t)
	w.close()
	for range 40 { // what lingers ends by its own bounds
		if runtime.NumGoroutine() <= before {
			break
		}
		w.advance(time.Second)
	}
	w.nothingIsLeft(before, w.net)
	w.nothingIsOwed()
}

func newStormWorld(t *testing.T, p *stormProgram) *stormWorld {
	w := &stormWorld{
		stormProgram: p, seededWorld: seededWorld{title: p, begun: time.Now()}, open: make(chan struct{}), calls: map[int]*stormCall{},
		wires: map[*modelConn]*stormWire{}, down: map[int]bool{}, users: make([]*stormUser, len(p.callers)),
	}
	w.net = &modelNet{
		window: p.net.window, chunk: p.net.chunk, rate: p.net.rate, latency: p.net.latency, jitter: p.net.jitter,
		seed: uint64(p.seed), name: "pipe", paths: map[modelPath]chan struct{}{},
		listeners: map[string]*modelListener{}, conns: map[*modelConn]string{}, apart: map[*modelConn]string{},
	}
	if p.net.shared > 0 {
		w.net.hosts = map[string]string{}
		for i := range p.callers {
			w.net.hosts[stormFrom(i)] = fmt.Sprintf("10.0.0.%d", 1+i%p.net.shared)
		}
	}
	if !p.net.inline {
		w.net.name, w.net.spoils = "model", true
	}
	w.net.offered = w.offered
	if !p.net.tls {
		w.net.wrote, w.net.arrived, w.net.closed = w.wrote, w.arrived, w.wireClosed
	}
	for i := range p.hosts {
		w.servers = append(w.servers, nil)
		w.serve(t, i)
	}
	return w
}

// serve starts a server at a host.
func (w *stormWorld) serve(t *testing.T, host int) {
	h := w.hosts[host]
	opts := []rpc.ServerOption{
		rpc.WithMaxInFlight(h.slots), rpc.WithMaxHandlers(h.handlers), rpc.WithMaxConns(h.conns),
		rpc.WithParamsMemory(h.params, 0), rpc.WithReplyMemory(h.replies, 0), rpc.WithCodecs(rpc.Gob),
		rpc.WithPanicHandler(func(context.Context, any, []byte) {}), rpc.WithErrorHandler(w.serverFailed),
		rpc.WithHandlerTimeout(h.handler),
	}
	if w.stormProgram.net.tls {
		opts = append(opts, rpc.WithTLS(&tls.Config{Certificates: []tls.Certificate{modelCertificate()}}))
	}
	opts = append(opts, h.options()...)
	s := &stormServer{Server: rpc.NewServer(opts...), host: host, up: true, ln: w.net.listen(modelAddrOf(host)), running: map[*stormRun]struct{}{}, byConn: map[string]int{}, byHost: map[string]int{}}
	handle := func(ctx context.Context, req *modelRequest) (*modelReply, error) { return w.handle(ctx, s, req) }
	require.NoError(t, rpc.Method[modelRequest, modelReply]("Storm.Call").Handle(s.Server, handle))
	require.NoError(t, rpc.Method[modelRequest, modelReply]("Storm.Fast").Handle(s.Server, handle, rpc.NonBlocking()))
	w.mu.Lock()
	w.servers[host] = s
	w.all = append(w.all, s)
	w.mu.Unlock()
	go s.Serve(s.ln)
}

// options are those of which zero is not the default, or that are on or off.
func (h *stormHost) options() (opts []rpc.ServerOption) {
	if h.idle > 0 {
		opts = append(opts, rpc.WithIdleTimeout(h.idle))
	}
	if h.write > 0 {
		opts = append(opts, rpc.WithWriteTimeout(h.write))
	}
	if h.frame > 0 {
		opts = append(opts, rpc.WithReadFrameTimeout(h.frame))
	}
	if h.age > 0 {
		opts = append(opts, rpc.WithMaxConnAge(h.age))
	}
	if h.keepalive > 0 {
		opts = append(opts, rpc.WithKeepalive(h.keepalive))
	}
	if h.peerConns > 0 {
		opts = append(opts, rpc.WithPeerShare(h.peerConns, h.peerCalls))
	}
	if h.compress {
		opts = append(opts, rpc.WithCompression(64))
	}
	if h.chained {
		opts = append(opts, rpc.WithServerInterceptors(func(_ rpc.MethodInfo, next rpc.Handler) rpc.Handler { return next }))
	}
	return opts
}

// serverFailed is told why a server has closed a connection. No client of ours breaks
// the protocol.
func (w *stormWorld) serverFailed(err error) {
	if strings.Contains(err.Error(), "protocol") && !strings.Contains(err.Error(), "within a frame") {
		w.fail("the server closed a connection: %v", err)
	}
}

// user returns a caller, which begins to live with its first call, also after its end.
func (w *stormWorld) user(t *testing.T, i int) *stormUser {
	if u := w.users[i]; u != nil && !u.closed {
		return u
	}
	c := w.callers[i]
	u := &stormUser{stormCaller: c, index: i, listed: c.hosts, dials: map[string][]time.Time{}}
	opts := w.clientOptions(u)
	switch addr := modelAddrOf(firstOf(c.hosts)); c.kind {
	case "Client":
		client, err := rpc.Dial(t.Context(), addr, opts...)
		if err == nil {
			u.caller = client
		} else if w.note("Dial: %v", err); !rpc.NeverRan(err) || c.calm {
			w.fail("Dial of caller %d failed: %v", i, err)
		}
	case "NewClient":
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		conn, err := w.dial(ctx, u, addr)
		if err != nil {
			break
		}
		if w.stormProgram.net.tls {
			conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
		}
		u.caller = rpc.NewClient(conn, opts...)
	default:
		ejection := rpc.WithEjection(c.ejectAfter, 200*time.Millisecond, 2*time.Second)
		u.caller = rpc.NewPool(&stormResolver{w, u}, rpc.WithClientOptions(opts...), ejection,
			rpc.WithConnsPerAddr(c.conns), rpc.WithBalancing(rpc.Balancing(c.balancing)))
	}
	w.mu.Lock()
	w.users[i] = u
	w.mu.Unlock()
	return u
}

func firstOf(set int) (host int) {
	for set&1 == 0 {
		set >>= 1
		host++
	}
	return host
}

func (w *stormWorld) clientOptions(u *stormUser) []rpc.ClientOption {
	c := u.stormCaller
	opts := []rpc.ClientOption{
		rpc.WithChance(uint64(w.seed*100 + u.index)), rpc.WithKeepalive(c.keepalive), rpc.WithMaxAttempts(c.attempts),
		rpc.WithRetryBudget(c.percent, c.reserve), rpc.WithMaxWait(c.wait), rpc.WithMaxWaiting(c.waiting),
		rpc.WithDefaultTimeout(c.timeout), rpc.WithHandshakeTimeout(2 * time.Second),
		rpc.WithObserver(rpc.Observer{AttemptDone: func(ctx context.Context, a rpc.Attempt) { w.attemptDone(ctx, u, a) }}),
	}
	if c.codec == "gob" {
		opts = append(opts, rpc.WithCodec(rpc.Gob))
	}
	if c.failFast {
		opts = append(opts, rpc.WithFailFast())
	}
	if c.compress {
		opts = append(opts, rpc.WithCompression(64))
	}
	if c.chained {
		opts = append(opts, rpc.WithClientInterceptors(func(next rpc.Caller) rpc.Caller { return next }))
	}
	if c.kind == "NewClient" {
		return opts
	}
	if w.stormProgram.net.tls {
		opts = append(opts, rpc.WithTLS(&tls.Config{InsecureSkipVerify: true}))
	}
	dial := func(ctx context.Context, addr string) (net.Conn, error) { return w.dial(ctx, u, addr) }
	return append(opts, rpc.WithBackoff(c.backoff, c.backoffTo), rpc.WithDialer(dial))
}

// dial checks that the pauses between attempts to connect are kept: of one more attempt
// than there are connections to an address, two are of the same connection.
func (w *stormWorld) dial(ctx context.Context, u *stormUser, addr string) (net.Conn, error) {
	w.mu.Lock()
	times, now := u.dials[addr], time.Now()
	conns := 1
	if u.kind == "Pool" {
		conns = u.conns
	}
	if n := len(times) - conns; n >= 0 && now.Sub(times[n]) < u.backoff/2 && u.changed.Before(times[n]) && !w.endedSinceLocked(addr, times[n]) {
		w.failLocked("caller %d connects to %s for the second time within %v, and WithBackoff says %v", u.index, addr, now.Sub(times[n]), u.backoff)
	}
	u.dials[addr] = append(times, now)
	w.mu.Unlock()
	return w.net.dialFrom(ctx, stormFrom(u.index), addr)
}

// endedSinceLocked reports whether a server at addr has begun to end since then. Of a server
// that says so, after a reply, the next connection may follow at once.
func (w *stormWorld) endedSinceLocked(addr string, then time.Time) bool {
	return slices.ContainsFunc(w.all, func(s *stormServer) bool {
		return modelAddrOf(s.host) == addr && !s.up && !s.ended.Before(then)
	})
}

func stormFrom(caller int) string { return fmt.Sprintf("caller%d", caller) }

// stormResolver tells a pool what the steps say.
type stormResolver struct {
	w *stormWorld
	u *stormUser
}

func (r *stormResolver) Resolve(ctx context.Context, update func([]string)) error {
	fail := make(chan error, 1)
	r.w.mu.Lock()
	r.u.update, r.u.fail = update, fail
	addrs := stormAddrs(r.u.listed)
	r.w.mu.Unlock()
	update(addrs)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-fail:
		return err
	}
}

func stormAddrs(set int) (addrs []string) {
	for i := 0; set>>i != 0; i++ {
		if set>>i&1 == 1 {
			addrs = append(addrs, modelAddrOf(i))
		}
	}
	return addrs
}

// list makes a pool know these hosts.
func (w *stormWorld) list(u *stormUser, set int) {
	synctest.Wait() // for Resolve
	w.mu.Lock()
	u.listed, u.changed = set, time.Now()
	update := u.update
	w.mu.Unlock()
	if update != nil && u.caller != nil {
		update(stormAddrs(set))
	}
}

// failResolver lets Resolve return.
func (w *stormWorld) failResolver(u *stormUser) {
	w.mu.Lock()
	defer w.mu.Unlock()
	select {
	case u.fail <- errors.New("planned"):
	default: // it has returned, and is not called again yet
	}
}

// do does one step.
func (w *stormWorld) do(t *testing.T, s stormStep) {
	switch s.kind {
	case "call":
		u := w.user(t, s.caller)
		for i := 0; i < s.n && u.caller != nil; i++ {
			w.call(u, s, s.index*100+i)
		}
	case "cancel", "release":
		for i := s.call * 100; w.calls[i] != nil; i++ {
			if s.kind == "cancel" {
				w.cancelCall(&w.calls[i].seededCall)
			} else {
				w.releaseCall(&w.calls[i].seededCall)
			}
		}
	case "list":
		if u := w.users[s.caller]; u != nil && u.kind == "Pool" {
			w.list(u, s.n)
		}
	case "resolver fails":
		if u := w.users[s.caller]; u != nil && u.kind == "Pool" {
			w.failResolver(u)
		}
	case "leave":
		w.leave(w.users[s.caller])
	case "ping":
		w.ping(t, w.users[s.caller])
	case "wait":
	default:
		w.disturb(t, s)
	}
}

// ping: the readers of both sides wait for no handler and no other connection.
func (w *stormWorld) ping(t *testing.T, u *stormUser) {
	if u == nil || u.closed {
		return
	}
	client, ok := u.caller.(*rpc.Client)
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begun := time.Now()
	err := client.Ping(ctx)
	took := time.Since(begun)
	w.note("the ping took %v: %v", took, err)
	slow := w.stormProgram.net.rate > 0 // it waits for what is written before it
	retired := w.retires(modelAddrOf(firstOf(u.hosts)))
	if took > time.Second+modelSlack || u.calm && err != nil && !slow && !retired {
		w.fail("a ping of caller %d took %v: %v", u.index, took, err)
	}
}

// leave closes a caller: its calls end at once.
func (w *stormWorld) leave(u *stormUser) {
	if u == nil || u.caller == nil || u.closed {
		return
	}
	w.mu.Lock()
	u.closed = true
	w.mu.Unlock()
	u.caller.Close()
	w.advance(2 * modelSlack)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.user == u && !c.ended {
			w.failLocked("call %d has not ended with its caller's Close", c.id)
		}
	}
}

// disturb is what happens to servers, hosts and the network.
func (w *stormWorld) disturb(t *testing.T, s stormStep) {
	addr := modelAddrOf(s.host)
	server := w.servers[s.host]
	switch s.kind {
	case "shutdown":
		w.stop(server, "Shutdown", true, func() error { return server.Shutdown(context.Background()) })
	case "shutdown within":
		w.stop(server, "Shutdown within "+s.d.String(), false, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), s.d)
			defer cancel()
			return server.Shutdown(ctx)
		})
	case "close":
		w.stop(server, "Close", true, server.Close)
	case "kill":
		w.kill(server)
	case "power off":
		w.powerOff(s.host)
	case "power on":
		w.powerOn(s.host)
	case "restart":
		w.restart(t, s.host)
	case "split":
		w.split(s)
	case "heal":
		w.heal(s)
	case "busy", "idle":
		if ln := w.net.listener(addr); ln != nil {
			ln.pause(s.kind == "busy")
		}
	default:
		for _, conn := range w.net.to(addr) {
			if conn.from == stormFrom(s.caller) {
				disturbConn(conn, s)
			}
		}
	}
}

func disturbConn(conn *modelConn, s stormStep) {
	half := conn.out
	if s.way {
		half = conn.in
	}
	switch s.kind {
	case "cut":
		if conn.whole() {
			conn.cut()
		}
	case "cut after":
		half.set(func(h *modelHalf) { h.cutAfter = s.n })
	case "stall":
		half.set(func(h *modelHalf) { h.stalled = true })
	case "unstall":
		for _, half := range []*modelHalf{conn.in, conn.out} {
			half.set(func(h *modelHalf) { h.stalled, h.slow = false, 0 })
		}
	case "slow":
		half.set(func(h *modelHalf) { h.slow = s.d })
	case "vanish":
		conn.sever()
	default:
		panic("an unknown step: " + s.kind)
	}
}

// kill ends a server's process, and its system closes what that had open.
func (w *stormWorld) kill(s *stormServer) {
	addr := modelAddrOf(s.host)
	w.net.vanish(addr)
	for _, conn := range w.net.to(addr) {
		conn.kill()
	}
	w.stop(s, "Close after a kill", true, s.Close)
}

// split lets nothing pass between a host and one caller, or all.
func (w *stormWorld) split(s stormStep) {
	path := modelPath{"", modelAddrOf(s.host)}
	if s.n >= 0 {
		path.from = stormFrom(s.n)
	}
	w.net.splitPath(path, true)
}

func (w *stormWorld) heal(s stormStep) {
	path := modelPath{"", modelAddrOf(s.host)}
	if s.n >= 0 {
		path.from = stormFrom(s.n)
	}
	if s.n >= 0 || !w.down[s.host] {
		w.net.splitPath(path, false)
	}
}

func (w *stormWorld) powerOff(host int) {
	if w.down[host] {
		return
	}
	addr, server := modelAddrOf(host), w.servers[host]
	w.down[host] = true
	w.net.vanish(addr)
	for _, conn := range w.net.to(addr) {
		conn.powerOff()
	}
	w.net.splitPath(modelPath{"", addr}, true)
	w.stop(server, "Close after the power went", true, server.Close)
}

func (w *stormWorld) powerOn(host int) {
	if !w.down[host] {
		return
	}
	delete(w.down, host)
	addr := modelAddrOf(host)
	w.net.splitPath(modelPath{"", addr}, false)
	for _, conn := range w.net.to(addr) {
		conn.powerOn()
	}
}

// restart puts a new server where one has begun to end.
func (w *stormWorld) restart(t *testing.T, host int) {
	synctest.Wait() // the listener is closed
	if !w.servers[host].up && !w.down[host] {
		w.serve(t, host)
	}
}

// stop runs a Shutdown or Close.
func (w *stormWorld) stop(s *stormServer, what string, waits bool, end func() error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.up, s.ended = false, time.Now()
	w.endLocked(s.Server, fmt.Sprintf("%s of host %d", what, s.host), func() int { return len(s.running) }, waits, end)
}

// call makes a call in a goroutine.
func (w *stormWorld) call(u *stormUser, s stormStep, id int) *stormCall {
	ctx := context.WithValue(context.Background(), stormKey{}, id)
	ask := seededAsk{do: s.do, bytes: s.bytes, limit: s.d, again: s.again, fast: s.fast, async: s.async}
	c := &stormCall{seededCall: newSeededCall(ctx, id, ask, w.open), caller: s.caller, user: u}
	if s.d == 0 && u.timeout > 0 {
		c.deadline = c.begun.Add(u.timeout) // WithDefaultTimeout
	}
	w.mu.Lock()
	w.calls[id] = c
	w.mu.Unlock()
	w.begin(&c.seededCall, u.caller, "Storm", func(err error) { w.callEnded(c, err) })
	return c
}

// advance lets time pass.
func (w *stormWorld) advance(d time.Duration) {
	if d > 0 {
		timer := time.NewTimer(d)
		<-timer.C
	}
	synctest.Wait()
}

// calmDown ends what stands in the way, and checks that all recovers: calls end, every
// server is met again, and all slots are free.
func (w *stormWorld) calmDown(t *testing.T) {
	w.note("all is to be well")
	w.mend(t)
	close(w.open)
	for range 20 {
		if w.problem() == "" {
			break
		}
		w.advance(10 * time.Second)
	}
	if problem := w.problem(); problem != "" {
		w.fail("%s, though all has been well for 200 s", problem)
	}
	w.check()
	w.noneHalfOpen()
	w.open = make(chan struct{})
	for i, u := range w.users {
		if u != nil && u.caller != nil && !u.closed && (u.kind != "NewClient" || u.calm) {
			w.meetAll(u, 100_000*(i+1))
			w.useAllSlots(u, 100_000*(i+1)+50_000)
		}
	}
	close(w.open)
	w.advance(2 * time.Second)
	w.wiresAreQuiet()
	for _, u := range w.users {
		if u != nil && u.caller != nil && !u.closed {
			if n := rpc.ParamsInFlight(u.caller); n != 0 {
				w.fail("all calls of caller %d have ended, and %d bytes of their params count as in flight", u.index, n)
			}
		}
	}
}

// mend makes the network whole and starts all servers.
func (w *stormWorld) mend(t *testing.T) {
	for host := range w.hosts {
		w.powerOn(host)
		w.restart(t, host)
		for caller := range w.callers {
			w.heal(stormStep{host: host, n: caller})
		}
		w.heal(stormStep{host: host, n: -1})
		if ln := w.net.listener(modelAddrOf(host)); ln != nil {
			ln.pause(false)
		}
		for _, conn := range w.net.to(modelAddrOf(host)) {
			for _, half := range []*modelHalf{conn.in, conn.out} {
				half.set(func(h *modelHalf) { h.stalled, h.slow, h.cutAfter = false, 0, -1 })
			}
		}
	}
}

// noneHalfOpen waits until callers have noticed that a connection is half open.
func (w *stormWorld) noneHalfOpen() {
	var open *modelConn
	for range 20 {
		open = nil
		for host := range w.hosts {
			for _, conn := range w.net.to(modelAddrOf(host)) {
				if !conn.whole() {
					open = conn
				}
			}
		}
		if open == nil {
			return
		}
		w.advance(time.Second)
	}
	w.fail("%v is half open, and its client has not noticed that for 20 s", open.local)
}

// problem returns what has not ended.
func (w *stormWorld) problem() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.underWayLocked()
}

// meetAll makes calls until a pool is connected to all its servers again.
func (w *stormWorld) meetAll(u *stormUser, id int) {
	if u.listed == 0 {
		w.list(u, w.callers[u.index].hosts)
	}
	var last *stormCall
	pause := time.Second
	if slices.ContainsFunc(stormAddrs(u.listed), w.retires) {
		pause = 100 * time.Millisecond // less than the least age
	}
	for range 100 * time.Second / pause {
		last = w.call(u, stormStep{kind: "call", do: "echo", n: 1, d: 5 * time.Second}, id)
		id++
		<-last.done
		w.advance(pause)
		met := true
		if pool, ok := u.caller.(*rpc.Pool); ok {
			for _, m := range pool.Members() {
				met = met && (m.Connected || w.retires(m.Addr)) && !m.Ejected && m.InFlight == 0
			}
		}
		if met && last.err == nil {
			return
		}
		if w.full(u) {
			return
		}
	}
	w.fail("caller %d does not come back to its servers: %v", u.index, last.err)
}

// retires reports whether a server ends connections by their age: also those that are idle,
// and come back only when a call needs them.
func (w *stormWorld) retires(addr string) bool {
	for i, h := range w.hosts {
		if modelAddrOf(i) == addr && h.age > 0 {
			return true
		}
	}
	return false
}

// full reports whether a server may refuse a connection of u, because others have them all.
func (w *stormWorld) full(u *stormUser) bool {
	for i, h := range w.hosts {
		if u.listed>>i&1 == 1 && h.conns > 0 {
			return true
		}
	}
	return false
}

// useAllSlots makes as many calls at once as a caller's servers have slots. All of them run.
func (w *stormWorld) useAllSlots(u *stormUser, id int) {
	slots := 0
	for i, h := range w.hosts {
		if u.listed>>i&1 == 0 {
			continue
		}
		if h.handlers > 0 || h.conns > 0 || h.handler > 0 {
			return // who is refused is chance
		}
		if h.age > 0 {
			return // there may be no connection, and a pause before the next one
		}
		conns := 1
		if u.kind == "Pool" {
			conns = u.conns
		}
		slots += h.slots * conns
	}
	var calls []*stormCall
	for range slots {
		calls = append(calls, w.call(u, stormStep{kind: "call", do: "hang", n: 1, d: 10 * time.Second}, id))
		id++
	}
	w.advance(time.Second)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range calls {
		if c.runs != 1 || c.ended {
			w.failLocked("call %d does not run (%d runs, ended %v: %v): a slot was not given back", c.id, c.runs, c.ended, c.err)
		}
	}
}

// close closes the callers and then the servers.
func (w *stormWorld) close() {
	for _, u := range w.users {
		w.leave(u)
	}
	for _, c := range w.calls {
		c.cancel()
	}
	for _, s := range w.servers {
		w.stop(s, "the last Close", true, s.Close)
	}
	w.advance(3 * time.Second)
	if problem := w.problem(); problem != "" {
		w.fail("%s", problem)
	}
}

// nothingIsOwed checks that the memory that calls were charged for is given back.
func (w *stormWorld) nothingIsOwed() {
	for _, s := range w.all {
		if n := rpc.Owed(s.Server); n != 0 {
			w.fail("a server at host %d has ended, and its calls owe %d bytes of memory", s.host, n)
		}
	}
}
