package rpc

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// faultProxy passes connections on to a server and does to them what networks
// do: each one is cut, reset, stalled, delayed or torn to single bytes at some point.
type faultProxy struct {
	ln     net.Listener
	target string
	mu     sync.Mutex
	conns  map[net.Conn]struct{}
	closed bool
	wg     sync.WaitGroup
	faults atomic.Int64
}

func newFaultProxy(t *testing.T, target string) *faultProxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &faultProxy{ln: ln, target: target, conns: map[net.Conn]struct{}{}}
	p.wg.Go(p.accept)
	return p
}

func (p *faultProxy) accept() {
	for {
		near, err := p.ln.Accept()
		if err != nil {
			return
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil || !p.add(near, far) {
			near.Close()
			continue
		}
		p.wg.Go(func() { p.pump(near, far) })
		p.wg.Go(func() { p.pump(far, near) })
	}
}

func (p *faultProxy) add(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.closed {
			c.Close()
			continue
		}
		p.conns[c] = struct{}{}
	}
	return !p.closed
}

// pump copies until a fault, or the end, closes both sides.
func (p *faultProxy) pump(from, to net.Conn) {
	defer func() {
		p.mu.Lock()
		delete(p.conns, from)
		p.mu.Unlock()
		from.Close()
		to.Close()
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || !p.deliver(to, buf[:n]) {
			return
		}
	}
}

// deliver passes on a piece, sometimes with a fault; false ends the connection.
func (p *faultProxy) deliver(to net.Conn, piece []byte) bool {
	fault := rand.IntN(400)
	if fault < 12 {
		p.faults.Add(1)
	}
	switch {
	case fault < 2: // cut in the middle of a piece
		to.Write(piece[:rand.IntN(len(piece)+1)])
		return false
	case fault < 4: // reset
		to.Write(piece[:rand.IntN(len(piece)+1)])
		if tcp, ok := to.(*net.TCPConn); ok {
			tcp.SetLinger(0)
		}
		return false
	case fault < 8: // stall or delay
		wait := time.NewTimer(time.Duration(rand.IntN(30)) * time.Millisecond)
		<-wait.C
	case fault < 12: // single bytes
		for i := range min(len(piece), 500) {
			if _, err := to.Write(piece[i : i+1]); err != nil {
				return false
			}
		}
		piece = piece[min(len(piece), 500):]
	}
	_, err := to.Write(piece)
	return err == nil
}

func (p *faultProxy) close() {
	p.ln.Close()
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

type (
	soakRequest struct {
		ID      string
		Payload string
		Wait    time.Duration
	}
	soakReply struct {
		ID      string
		Payload string
		Sum     uint64
	}
)

var (
	soakCall = Method[soakRequest, soakReply]("Soak.Call") // in a goroutine
	soakFast = Method[soakRequest, soakReply]("Soak.Fast") // on the reader, sometimes longer than promised
)

func soakSum(id string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(id))
	return h.Sum64()
}

// soakServer counts how often each call ran.
type soakServer struct {
	mu  sync.Mutex
	ran map[string]int
}

func (s *soakServer) run(ctx context.Context, req *soakRequest) (*soakReply, error) {
	s.mu.Lock()
	s.ran[req.ID]++
	s.mu.Unlock()
	if req.Wait > 0 {
		timer := time.NewTimer(req.Wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if strings.HasPrefix(req.ID, "fail") {
		return nil, Errorf(FailedPrecondition, "%s", req.ID)
	}
	return &soakReply{ID: req.ID, Payload: req.Payload, Sum: soakSum(req.ID)}, nil
}

// soakTime is 2 s, or what the environment variable RPC_SOAK says.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	if s := os.Getenv("RPC_SOAK"); s != "" {
		d, err := time.ParseDuration(s)
		require.NoError(t, err)
		return d
	}
	return 2 * time.Second
}

// 64 callers under faults, of unary calls and of streams: no wrong reply, no stream out of
// order or cut short without an error, nothing run twice that must not be, nothing left
// behind.
func TestSoak_UnderFaultsEveryReplyIsRight(t *testing.T) {
	noLeaks(t)
	files := openFiles()
	heap := heapInUse()
	service := &soakServer{ran: map[string]int{}}
	srv := NewServer(WithCodecs(Gob), WithReadFrameTimeout(5*time.Second), WithMaxInFlight(50), WithCompression(1<<10))
	streams := &soakStreams{t: t, runs: service}
	require.NoError(t, streams.register(srv))
	require.NoError(t, soakCall.Handle(srv, service.run))
	require.NoError(t, soakFast.Handle(srv, service.run, NonBlocking()))
	proxy := newFaultProxy(t, listen(t, srv))
	var stats soakStats
	idempotent := soakCallers(t, proxy.ln.Addr().String(), soakTime(t), &stats, streams)
	proxy.close()
	require.NoError(t, srv.Close())

	t.Logf("%d calls answered, %d failed; streams: %d ended, %d failed, %d left, %d items of %d bytes; %d faults", stats.answered.Load(), stats.failed.Load(),
		streams.ended.Load(), streams.failed.Load(), streams.left.Load(), streams.items.Load(), streams.bytes.Load(), proxy.faults.Load())
	assert.Zero(t, stats.wrong.Load(), "wrong replies")
	assert.True(t, soakedEnough(&stats, streams))
	for id, n := range service.ran {
		if n > 1 && !idempotent[id] {
			t.Errorf("%s ran %d times", id, n)
		}
	}
	for id := range stats.neverRan {
		assert.Zero(t, service.ran[id], "%s was said to have never run", id)
	}
	owesNothing(t, srv)
	service.ran, idempotent, stats.neverRan = nil, nil, nil
	assert.LessOrEqual(t, openFiles(), files, "open files")
	assert.Less(t, heapInUse(), heap+16<<20, "bytes of memory in use")
}

// soakedEnough reports whether a soak has tried anything worth the name.
func soakedEnough(stats *soakStats, streams *soakStreams) bool {
	return stats.answered.Load() > 100 && streams.ended.Load() > 10
}

type soakStats struct {
	answered, failed, wrong atomic.Int64
	mu                      sync.Mutex
	neverRan                map[string]bool
}

// soakCallers calls and opens streams from 64 goroutines through four clients until the
// time is up and, on a slow machine, until enough of them have ended. It returns which calls
// were marked idempotent.
func soakCallers(t *testing.T, addr string, d time.Duration, stats *soakStats, streams *soakStreams) map[string]bool {
	t.Helper()
	stats.neverRan = map[string]bool{}
	idempotent := map[string]bool{}
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var clients []Caller
	for i := range 4 {
		codec := []Codec{JSON, Gob}[i%2]
		opts := []ClientOption{WithCodec(codec), WithBackoff(time.Millisecond, 20*time.Millisecond), WithKeepalive(time.Second)}
		if i > 1 {
			opts = append(opts, WithCompression(1<<10))
		}
		pool := NewPool(StaticResolver{addr}, WithClientOptions(opts...))
		defer pool.Close()
		clients = append(clients, pool)
	}
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil || i < 1_000 && !soakedEnough(stats, streams); i++ {
				id := fmt.Sprintf("%s-%d-%d", []string{"call", "call", "fail"}[rand.IntN(3)], g, i)
				if rand.IntN(4) == 0 {
					limited, cancel := context.WithTimeout(t.Context(), soakLimit())
					streams.one(limited, clients[g%4], id+"-stream", stats)
					cancel()
					continue
				}
				again := rand.IntN(3) == 0
				if again {
					stats.mu.Lock()
					idempotent[id] = true
					stats.mu.Unlock()
				}
				soakOne(t, clients[g%4], id, again, stats)
			}
		})
	}
	wg.Wait()
	return idempotent
}

// soakLimit is the time that a call or stream has: one in ten has too little.
func soakLimit() time.Duration {
	if rand.IntN(10) == 0 {
		return time.Duration(1+rand.IntN(20)) * time.Millisecond
	}
	return 5 * time.Second
}

// soakOne makes one call and judges what comes of it.
func soakOne(t *testing.T, client Caller, id string, again bool, stats *soakStats) {
	req := soakRequest{ID: id}
	switch rand.IntN(20) {
	case 0:
		req.Payload = strings.Repeat(id, rand.IntN(10_000))
	case 1, 2:
		req.Wait = time.Duration(rand.IntN(4)) * time.Millisecond
	}
	ctx, cancel := context.WithTimeout(t.Context(), soakLimit())
	defer cancel()
	if again {
		ctx = MarkIdempotent(ctx, soakCall.Name(), soakFast.Name())
	}
	method := []Method[soakRequest, soakReply]{soakCall, soakFast}[rand.IntN(2)]
	reply, err := method.Call(ctx, client, &req)
	switch {
	case err == nil:
		stats.answered.Add(1)
		if reply.ID != id || reply.Sum != soakSum(id) || reply.Payload != req.Payload || strings.HasPrefix(id, "fail") {
			stats.wrong.Add(1)
		}
	case CodeOf(err) == FailedPrecondition:
		stats.answered.Add(1)
		if !strings.HasSuffix(err.Error(), ": "+id) || !strings.HasPrefix(id, "fail") {
			stats.wrong.Add(1)
		}
	case CodeOf(err) == Unavailable, CodeOf(err) == DeadlineExceeded:
		stats.failed.Add(1)
	default:
		t.Errorf("%s: unexpected error: %v", id, err)
	}
	if NeverRan(err) && !again {
		stats.mu.Lock()
		stats.neverRan[id] = true
		stats.mu.Unlock()
	}
}

// openFiles counts the process's open files; 0 where that is not known.
func openFiles() int {
	files, _ := filepath.Glob("/proc/self/fd/*")
	return len(files)
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// ttrpc #72 and #174: two peers blocked in Write, nobody reading. Large messages
// both ways, many callers, and a pipe, which buffers nothing at all.
func TestCall_LargeMessagesBothWaysDoNotDeadlock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		service := &soakServer{ran: map[string]int{}}
		srv := newServer(t, WithMaxInFlight(40))
		require.NoError(t, soakCall.Handle(srv, service.run))
		require.NoError(t, soakFast.Handle(srv, service.run, NonBlocking()))
		client := pipe(t, srv)
		payload := strings.Repeat("x", 200_000)
		var wg sync.WaitGroup
		for g := range 64 {
			wg.Go(func() {
				for i := range 2 {
					id := fmt.Sprint(g, "-", i)
					method := []Method[soakRequest, soakReply]{soakCall, soakFast}[i]
					reply, err := method.Call(t.Context(), client, &soakRequest{ID: id, Payload: payload})
					if assert.NoError(t, err) {
						assert.Equal(t, id, reply.ID)
						assert.Len(t, reply.Payload, len(payload))
					}
				}
			})
		}
		wg.Wait()
	})
}
