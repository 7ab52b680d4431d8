package attack_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/rpc"
	"example.com/rpc-from-scratch/final/transport/gateway"
)

// The victim's settings. Those of a real server are in SECURITY.md: its times are longer.
const (
	maxConns     = 300
	maxInFlight  = 32
	maxHandlers  = 512
	maxMessage   = 256 << 10
	handshake    = time.Second
	readFrame    = time.Second
	idle         = 2 * time.Second
	writeTimeout = time.Second
	maxRun       = 500 * time.Millisecond // of a handler

	paramsMemory     = 64 << 20
	connParamsMemory = 8 << 20
	replyMemory      = 32 << 20
	connReplyMemory  = 2 << 20

	gatewayInFlight = 64
	gatewayStreams  = 64
	gatewayShare    = 16 // of the last 16: an honest client has eight callers, and what they have left
	gatewayBody     = maxMessage

	lifetime = 3 * time.Hour // then the victim ends itself, whatever happens to its parent
)

// What a victim can be told to be, by the variable ATTACK_VICTIM.
const (
	strong = "strong"
	weak   = "weak" // without limits of time
)

// Methods of the victim.
var (
	echo  = rpc.Method[text, text]("Victim.Echo")
	fill  = rpc.Method[size, text]("Victim.Fill")  // returns that many bytes
	wait  = rpc.Method[size, text]("Victim.Wait")  // returns when its context ends
	crash = rpc.Method[size, text]("Victim.Panic") // panics
	grow  = rpc.Method[grid, text]("Victim.Grow")  // returns when its context ends
)

type (
	text struct{ Text string }
	size struct{ Bytes int }
	grid struct{ Rows [][64]int } // "[]" is a row, too
)

// TestMain makes this test binary stand in for the victim.
func TestMain(m *testing.M) {
	kind := os.Getenv("ATTACK_VICTIM")
	if kind == "" {
		os.Exit(m.Run())
	}
	time.AfterFunc(lifetime, func() { os.Exit(3) })
	be := func() error { return beVictim(kind) }
	if kind == clientVictim {
		be = beClient
	}
	if err := be(); err != nil {
		fmt.Fprintln(os.Stderr, "victim:", err)
		os.Exit(1)
	}
}

// An address is where the victim listens.
type address struct {
	RPC, TLS, HTTP string
	Streams        string // of a server with more handlers
	PEM            []byte // of the certificate
}

// A state is what the victim says of itself.
type state struct {
	Base       int64 // bytes that it held when it was last told to begin
	Peak       int64 // the most since then
	Goroutines int
}

// beVictim serves until its standard input ends. At each line of it, it prints a state:
// at "begin", after a garbage collection.
func beVictim(kind string) error {
	servers, where, err := serveVictim(kind)
	if err != nil {
		return err
	}
	for _, srv := range servers {
		defer srv.Close()
	}
	var held watcher
	go held.watch()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(where); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		if lines.Text() == "begin" {
			held.begin()
		}
		if err := out.Encode(held.state()); err != nil {
			return err
		}
	}
	return nil
}

// serveVictim listens for calls, with and without TLS, for streams, and for HTTP.
func serveVictim(kind string) (servers []*rpc.Server, where address, err error) {
	cert, pem, err := newCertificate()
	if err != nil {
		return nil, where, err
	}
	opts, limit := victimOptions(), readFrame
	if kind == weak {
		opts, limit = rpc.WithServerOptions(rpc.WithHandshakeTimeout(0), rpc.WithReadFrameTimeout(0), rpc.WithIdleTimeout(0)), 0
	}
	srv, streams := rpc.NewServer(opts), rpc.NewServer(opts, rpc.WithMaxHandlers(streamHandlers))
	secure := rpc.NewServer(opts, rpc.WithTLS(&tls.Config{Certificates: []tls.Certificate{cert}}))
	servers = []*rpc.Server{srv, secure, streams}
	where.PEM = pem
	for _, s := range servers {
		if err := errors.Join(registerVictim(s), registerStreams(s)); err != nil {
			return nil, where, err
		}
	}
	var lns [4]net.Listener
	for i := range lns {
		if lns[i], err = rpc.Listen("127.0.0.1:0"); err != nil {
			return nil, where, err
		}
	}
	where.RPC, where.TLS, where.Streams, where.HTTP = lns[0].Addr().String(), lns[1].Addr().String(), lns[2].Addr().String(), lns[3].Addr().String()
	mux := http.NewServeMux()
	mux.Handle("/rpc/", gateway.New(srv, gateway.WithMaxBody(gatewayBody), gateway.WithMaxInFlight(gatewayInFlight), gateway.WithMaxStreams(gatewayStreams), gateway.WithPeerShare(gatewayShare, gatewayShare),
		gateway.WithReadTimeout(limit)))
	web := &http.Server{
		Handler: mux, ReadHeaderTimeout: handshake, ReadTimeout: limit, WriteTimeout: writeTimeout + maxRun, IdleTimeout: idle, MaxHeaderBytes: 16 << 10,
	}
	for i, s := range servers {
		go s.Serve(lns[i])
	}
	go web.Serve(lns[3])
	return servers, where, nil
}

func victimOptions() rpc.ServerOption {
	return rpc.WithServerOptions(
		rpc.WithMaxConns(maxConns),
		rpc.WithMaxInFlight(maxInFlight),
		rpc.WithMaxHandlers(maxHandlers),
		rpc.WithMaxMessage(maxMessage),
		rpc.WithParamsMemory(paramsMemory, connParamsMemory),
		rpc.WithReplyMemory(replyMemory, connReplyMemory),
		rpc.WithMaxStreams(maxStreams),
		rpc.WithStreamMemory(streamMemory),
		rpc.WithConnStreamMemory(connStreamMemory),
		rpc.WithHandshakeTimeout(handshake),
		rpc.WithReadFrameTimeout(readFrame),
		rpc.WithIdleTimeout(idle),
		rpc.WithWriteTimeout(writeTimeout),
		rpc.WithHandlerTimeout(maxRun),
		rpc.WithCompression(0),
		rpc.WithPanicHandler(func(context.Context, any, []byte) {}),
	)
}

func registerVictim(srv *rpc.Server) error {
	for _, err := range []error{
		echo.Handle(srv, func(_ context.Context, t *text) (*text, error) { return t, nil }),
		fill.Handle(srv, func(_ context.Context, s *size) (*text, error) {
			return &text{strings.Repeat("x", min(s.Bytes, maxMessage))}, nil
		}),
		wait.Handle(srv, func(ctx context.Context, _ *size) (*text, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		grow.Handle(srv, func(ctx context.Context, _ *grid) (*text, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
		crash.Handle(srv, func(context.Context, *size) (*text, error) { panic("as it was told") }),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// A watcher looks at the memory of its process.
type watcher struct{ base, peak atomic.Int64 }

// heldBytes returns the memory that the process has from the system and has not given
// back, garbage included.
func heldBytes() int64 {
	samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}

func (w *watcher) watch() {
	for range time.Tick(5 * time.Millisecond) {
		w.look()
	}
}

func (w *watcher) look() {
	now := heldBytes()
	for peak := w.peak.Load(); now > peak && !w.peak.CompareAndSwap(peak, now); peak = w.peak.Load() {
	}
}

func (w *watcher) begin() {
	debug.FreeOSMemory()
	w.base.Store(heldBytes())
	w.peak.Store(0)
	w.look()
}

func (w *watcher) state() state {
	return state{Base: w.base.Load(), Peak: w.peak.Load(), Goroutines: runtime.NumGoroutine()}
}

// A victim is the process, as its attackers see it.
type victim struct {
	address
	cmd   *exec.Cmd
	log   bytes.Buffer // its standard error, once it has ended
	mu    sync.Mutex   // guards stdin and out
	stdin io.WriteCloser
	out   *json.Decoder
}

// newVictim starts a process that serves.
func newVictim(t *testing.T, kind string) *victim {
	t.Helper()
	v := startVictim(t, kind)
	for _, addr := range []string{v.RPC, v.TLS, v.Streams, v.HTTP} {
		host, _, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		require.True(t, net.ParseIP(host).IsLoopback(), "attacks are for loopback, not for %s", addr)
	}
	return v
}

// startVictim starts the process. It must be alive at the end of the test.
func startVictim(t *testing.T, kind string) *victim {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	v := &victim{cmd: exec.Command(self)}
	v.cmd.Env = append(os.Environ(), "ATTACK_VICTIM="+kind, "GORACE=atexit_sleep_ms=0")
	v.cmd.Stderr = &v.log
	v.stdin, err = v.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := v.cmd.StdoutPipe()
	require.NoError(t, err)
	v.out = json.NewDecoder(stdout)
	require.NoError(t, v.cmd.Start())
	t.Cleanup(func() {
		v.stdin.Close()
		if err := v.cmd.Wait(); err != nil {
			t.Errorf("the victim: %v\n%s", err, v.log.Bytes())
		}
	})
	require.NoError(t, v.out.Decode(&v.address))
	return v
}

// ask tells the victim something, and returns what it says of itself.
func (v *victim) ask(t *testing.T, what string) (s state) {
	t.Helper()
	v.tell(t, what, &s)
	return s
}

// tell tells the victim something, and takes its answer.
func (v *victim) tell(t *testing.T, what string, answer any) {
	t.Helper()
	v.mu.Lock()
	defer v.mu.Unlock()
	_, err := fmt.Fprintln(v.stdin, what)
	require.NoError(t, err, "the victim is gone")
	require.NoError(t, v.out.Decode(answer), "the victim is gone")
}
