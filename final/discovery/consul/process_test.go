package consul_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/discovery/consul/internal/consulbin"
)

// patience bounds every wait for a real Consul, on a machine that is busy.
const patience = time.Minute

// TestMain is also the keeper of a Consul: a process between the test and its
// Consul, which kills it when its standard input closes, so that none outlives a
// test that was killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("KEEP_CONSUL"); path != "" {
		os.Exit(keep(path, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func keep(path string, args []string) int {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// consulServer is a real Consul: a server and agent in one process, on ports of
// the loopback that stay the same when it is stopped and started again.
type consulServer struct {
	t      *testing.T
	path   string
	args   []string
	addr   string
	client *api.Client
	log    *safeBuffer

	keeper *exec.Cmd
	stdin  io.Closer
}

// safeBuffer is read by a failing test while Consul writes to it.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newConsul starts a Consul that keeps its state in folder, or in memory if that is
// "". Where it has not been built the test is skipped, unless CONSUL_REQUIRED is set.
func newConsul(t *testing.T, folder string) *consulServer {
	t.Helper()
	path, err := consulbin.Path()
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CONSUL_REQUIRED") != "" {
			t.Fatalf("CONSUL_REQUIRED is set, and there is no Consul: %v; in discovery/consul: go run ./internal/consulbin/build", err)
		}
		t.Skipf("no Consul at %s; in discovery/consul, go run ./internal/consulbin/build makes it in some minutes", path)
	}
	ports := freePorts(t, 3)
	c := &consulServer{t: t, path: path, addr: "127.0.0.1:" + ports[0], log: new(safeBuffer)}
	c.args = []string{
		"agent", "-node", "test", "-bind", "127.0.0.1", "-client", "127.0.0.1", "-log-level", "warn",
		"-http-port", ports[0], "-server-port", ports[1], "-serf-lan-port", ports[2],
		"-serf-wan-port", "-1", "-https-port", "-1", "-grpc-port", "-1", "-dns-port", "-1",
		"-hcl", "disable_update_check = true", "-hcl", "performance { raft_multiplier = 1 }",
	}
	if folder == "" {
		c.args = append(c.args, "-dev")
	} else {
		c.args = append(c.args, "-server", "-bootstrap-expect", "1", "-data-dir", folder)
	}
	c.client = newClient(t, c.addr)
	t.Cleanup(func() {
		c.stop()
		if t.Failed() {
			t.Logf("Consul said:\n%s", c.log)
		}
	})
	c.start()
	return c
}

// newClient makes a client without connections that outlive their request.
func newClient(t *testing.T, addr string) *api.Client {
	t.Helper()
	config := api.DefaultNonPooledConfig()
	config.Address = addr
	client, err := api.NewClient(config)
	require.NoError(t, err)
	return client
}

// start runs Consul and waits until it knows its own node, so that it answers queries.
func (c *consulServer) start() {
	c.t.Helper()
	self, err := os.Executable()
	require.NoError(c.t, err)
	c.keeper = exec.Command(self, c.args...)
	c.keeper.Env = append(os.Environ(), "KEEP_CONSUL="+c.path, "GORACE=atexit_sleep_ms=0")
	c.keeper.Stdout, c.keeper.Stderr = c.log, c.log
	c.stdin, err = c.keeper.StdinPipe()
	require.NoError(c.t, err)
	require.NoError(c.t, c.keeper.Start())
	require.Eventually(c.t, func() bool {
		services, _, err := c.client.Catalog().Service("consul", "", nil)
		return err == nil && len(services) == 1
	}, patience, 50*time.Millisecond, "Consul does not answer")
}

// stop kills Consul: it says goodbye to nobody.
func (c *consulServer) stop() {
	if c.keeper == nil {
		return
	}
	c.stdin.Close()
	c.keeper.Wait()
	c.keeper = nil
}

// freePorts asks for ports that are free for TCP and UDP, which Serf uses both.
func freePorts(t *testing.T, n int) (ports []string) {
	t.Helper()
	for len(ports) < n {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer ln.Close()
		packets, err := net.ListenPacket("udp", ln.Addr().String())
		if err != nil {
			continue
		}
		defer packets.Close()
		ports = append(ports, strconv.Itoa(ln.Addr().(*net.TCPAddr).Port))
	}
	return ports
}
