package consul_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/discovery/consul"
	"example.com/rpc-from-scratch/final/rpc"
)

// shop is a Consul, the servers that are registered there, and customers who call
// them through a pool, all the time.
type shop struct {
	t      *testing.T
	consul *consulServer
	pool   *rpc.Pool
	opened []*warehouse
	calls  atomic.Int64
	failed atomic.Int64
}

// warehouse is one of the servers.
type warehouse struct {
	*rpc.Server
	addr   string
	served chan error
	reg    *consul.Registration
	hush   context.CancelFunc // ends its heart-beats
	calls  atomic.Int64
}

func newShop(t *testing.T, folder string) *shop {
	t.Helper()
	noLeaks(t)
	s := &shop{t: t, consul: newConsul(t, folder)}
	s.pool = rpc.NewPool(&consul.Resolver{
		Client: newClient(t, s.consul.addr), Service: "inventory", Tags: []string{"test"},
		OnError: func(err error) { t.Log(err) },
	}, rpc.WithBalancing(rpc.RoundRobin), rpc.WithBackoff(time.Millisecond, 50*time.Millisecond))
	t.Cleanup(func() { // after the customers have gone
		s.pool.Close()
		for _, w := range s.opened {
			w.hush()
			w.Close()
			assert.ErrorIs(t, <-w.served, rpc.ErrServerClosed)
		}
	})
	return s
}

// listenApart listens on a port that no other test is going to get. The pool goes on calling
// the address of a server that has ended until Consul notices, and a listener of another
// test, which may get such a port of 127.0.0.1, would take that for a call of its own.
func listenApart(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil { // not everywhere has the loopback more than one address
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	require.NoError(t, err)
	return ln
}

// open starts a server and registers it. How it is checked is up to service.
func (s *shop) open(service consul.Service) *warehouse {
	s.t.Helper()
	ln := listenApart(s.t)
	w := &warehouse{Server: rpc.NewServer(), addr: ln.Addr().String(), served: make(chan error, 1)}
	require.NoError(s.t, checkStock.Handle(w.Server, func(context.Context, *string) (*int, error) {
		w.calls.Add(1)
		count := 100
		return &count, nil
	}))
	go func() { w.served <- w.Serve(ln) }()
	var ctx context.Context
	ctx, w.hush = context.WithCancel(context.Background())
	s.opened = append(s.opened, w)
	service.Name, service.Addr, service.Tags = "inventory", w.addr, []string{"test"}
	registration, err := consul.Register(ctx, s.consul.client, service)
	require.NoError(s.t, err)
	w.reg = registration
	return w
}

// customers call until the test ends, once there is a server. A call may be
// repeated, and none may fail.
func (s *shop) customers() {
	s.t.Helper()
	require.Eventually(s.t, func() bool { return len(s.pool.Members()) > 0 }, patience, 5*time.Millisecond, "no server is found")
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for item := "item1"; ctx.Err() == nil; {
				call, done := context.WithTimeout(rpc.MarkIdempotent(context.Background(), checkStock.Name()), patience)
				count, err := checkStock.Call(call, s.pool, &item)
				done()
				if err != nil || *count != 100 {
					s.failed.Add(1)
					s.t.Errorf("a call failed: %v", err)
				}
				s.calls.Add(1)
			}
		})
	}
	s.t.Cleanup(func() {
		cancel()
		all.Wait()
		assert.Zero(s.t, s.failed.Load(), "of %d calls", s.calls.Load())
		s.t.Logf("%d calls, all answered", s.calls.Load())
	})
}

// serves waits until the pool has exactly these servers, and each gets calls.
func (s *shop) serves(when string, servers ...*warehouse) {
	s.t.Helper()
	var want, have []string
	for _, w := range servers {
		want = append(want, w.addr)
	}
	slices.Sort(want)
	require.Eventually(s.t, func() bool {
		have = nil
		for _, m := range s.pool.Members() {
			have = append(have, m.Addr)
		}
		slices.Sort(have)
		return slices.Equal(want, have)
	}, patience, 5*time.Millisecond, "%s: want %v", when, want)
	for _, w := range servers {
		before := w.calls.Load()
		require.Eventually(s.t, func() bool { return w.calls.Load() > before+3 }, patience, 5*time.Millisecond, "%s: %s gets no calls", when, w.addr)
	}
}

// noLeaks fails the test if there are more goroutines at its end than now. Call it first.
func noLeaks(t *testing.T) {
	t.Helper()
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		assert.Eventually(t, func() bool { return runtime.NumGoroutine() <= before+1 }, // and the one that looks
			10*time.Second, 10*time.Millisecond, "goroutines are left")
	})
}

func TestConsul_ServersComeGoAndFail(t *testing.T) {
	s := newShop(t, "")
	beats := consul.Service{TTL: time.Second}
	one := s.open(beats)
	s.customers()
	s.serves("the first comes", one)
	two, three := s.open(beats), s.open(consul.Service{TCPEvery: time.Second})
	s.serves("two more come", one, two, three)

	require.NoError(t, one.reg.Shutdown(t.Context(), one, 200*time.Millisecond))
	s.serves("the first goes, as it should", two, three)

	two.hush()
	two.Close()
	s.serves("the second is killed, and heart-beats end", three)

	four := s.open(beats)
	s.serves("another comes", three, four)
	three.hush()
	three.Close()
	s.serves("the third is killed, and Consul cannot connect", four)

	checks, _, err := s.consul.client.Health().Checks("inventory", nil)
	require.NoError(t, err)
	states := map[string]string{}
	for _, check := range checks {
		states[check.ServiceID] = check.Status
	}
	assert.Equal(t, map[string]string{
		"inventory-" + two.addr: "critical", "inventory-" + three.addr: "critical", "inventory-" + four.addr: "passing",
	}, states, "what went as it should is not known any more")
}

func TestConsul_IsStoppedAndStartedWithoutItsState(t *testing.T) {
	s := newShop(t, "")
	s.stopAndStart()
}

func TestConsul_IsStoppedAndStartedWithItsState(t *testing.T) {
	s := newShop(t, t.TempDir())
	s.stopAndStart()
}

func (s *shop) stopAndStart() {
	beats := consul.Service{TTL: 3 * time.Second}
	one, two, three := s.open(beats), s.open(beats), s.open(beats)
	s.customers()
	s.serves("three come", one, two, three)
	s.consul.stop()
	s.serves("Consul is away", one, two, three)
	two.Close()
	s.called("one server is away, too")
	s.consul.start()
	four := s.open(beats)
	two.hush()
	s.serves("Consul is back, and another server", one, three, four)
	require.NoError(s.t, one.reg.Shutdown(s.t.Context(), one, 200*time.Millisecond))
	s.serves("the first goes", three, four)
}

// called waits for some more calls to be answered.
func (s *shop) called(when string) {
	s.t.Helper()
	before := s.calls.Load()
	require.Eventually(s.t, func() bool { return s.calls.Load() > before+1000 }, patience, 5*time.Millisecond, "%s: calls stand still", when)
}

func TestExample(t *testing.T) {
	t.Setenv("CONSUL_HTTP_ADDR", newConsul(t, "").addr)
	stdout := os.Stdout
	defer func() { os.Stdout = stdout }()
	var err error
	os.Stdout, err = os.Create(filepath.Join(t.TempDir(), "stdout"))
	require.NoError(t, err)
	defer os.Stdout.Close()
	Example()
	_, err = os.Stdout.Seek(0, io.SeekStart)
	require.NoError(t, err)
	said, err := io.ReadAll(os.Stdout)
	require.NoError(t, err)
	assert.Equal(t, "100 <nil>\n<nil>\n", string(said))
}
