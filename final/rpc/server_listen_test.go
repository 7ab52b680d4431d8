//go:build unix

package rpc

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Not a test: it is what killedListener runs, and in that process it listens
// until it is killed.
func TestListen_InAProcessToBeKilled(t *testing.T) {
	addr := os.Getenv("RPC_LISTEN")
	if addr == "" {
		return
	}
	srv := newInventory().server(t)
	ln, err := Listen(addr)
	require.NoError(t, err)
	fmt.Println("listening")
	t.Error(srv.Serve(ln))
}

// killedListener lets another process serve on a socket, and kills it.
func killedListener(t *testing.T, path string) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestListen_InAProcessToBeKilled$")
	cmd.Env = append(os.Environ(), "RPC_LISTEN=unix:"+path)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "listening\n", line)

	_, err = Listen("unix:" + path)
	assert.ErrorIs(t, err, syscall.EADDRINUSE)
	assert.ErrorContains(t, err, "listen unix "+path+": ")
	assert.ErrorContains(t, err, "another process listens there")
	client := dial(t, "unix:"+path)
	_, err = checkStock.Call(t.Context(), client, &stockRequest{Item: "item1"})
	require.NoError(t, err, "it still has its socket")

	require.NoError(t, cmd.Process.Kill())
	cmd.Wait() // says that it was killed
	info, err := os.Lstat(path)
	require.NoError(t, err)
	require.Equal(t, os.ModeSocket, info.Mode().Type(), "the killed process has left its socket")
}

func TestListen_TakesTheSocketOfAKilledProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	killedListener(t, path)
	ln, err := Listen("unix:" + path)
	require.NoError(t, err)
	srv := newInventory().server(t)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	_, err = checkStock.Call(t.Context(), dial(t, "unix:"+path), &stockRequest{Item: "item1"})
	require.NoError(t, err)
	require.NoError(t, srv.Close())
	assert.ErrorIs(t, <-served, ErrServerClosed)
	_, err = os.Lstat(path)
	assert.ErrorIs(t, err, os.ErrNotExist, "a listener that is closed removes its socket")
}

// staleSocket leaves a socket on which nothing listens.
func staleSocket(t *testing.T, path string) {
	t.Helper()
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	ln.SetUnlinkOnClose(false)
	require.NoError(t, ln.Close())
}

func TestListen_OneOfManyTakesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	staleSocket(t, path)
	const many = 8
	won := make(chan net.Listener, many)
	var wg sync.WaitGroup
	for range many {
		wg.Go(func() {
			ln, err := Listen("unix:" + path)
			if err == nil {
				won <- ln
				return
			}
			assert.ErrorIs(t, err, syscall.EADDRINUSE)
		})
	}
	wg.Wait()
	require.Len(t, won, 1)
	ln := <-won
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err, "the socket is the winner's")
	conn.Close()
}

func TestListen_LeavesAloneWhatIsNoStaleSocket(t *testing.T) {
	dir := t.TempDir()
	file, stale := filepath.Join(dir, "file"), filepath.Join(dir, "stale")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	staleSocket(t, stale)
	require.NoError(t, os.Symlink(file, filepath.Join(dir, "link")))
	require.NoError(t, os.Symlink(stale, filepath.Join(dir, "link to a socket")))
	require.NoError(t, os.Symlink(filepath.Join(dir, "nothing"), filepath.Join(dir, "dangling")))
	for _, name := range []string{"file", "folder", "fifo", "link", "link to a socket", "dangling"} {
		before, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err)
		_, err = Listen("unix:" + filepath.Join(dir, name))
		assert.ErrorIs(t, err, syscall.EADDRINUSE, name)
		assert.ErrorContains(t, err, "the file is not a socket", name)
		after, err := os.Lstat(filepath.Join(dir, name))
		require.NoError(t, err, name)
		assert.True(t, os.SameFile(before, after), name)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(text))
}

func TestUnixPath_ThatCanBeNoneSaysSo(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("x", 200))
	for path, want := range map[string]string{
		"":       `address "unix:": want unix: and a path`,
		"a\x00b": `address "unix:a\x00b": want unix: and a path`,
		long:     fmt.Sprintf("unix socket path of %d bytes: at most %d are allowed: %s", len(long), maxUnixPath, long),
	} {
		_, err := Listen("unix:" + path)
		assert.ErrorIs(t, err, InvalidArgument)
		assert.ErrorContains(t, err, want)
		err = new(Server).ListenAndServe("unix:" + path)
		assert.ErrorContains(t, err, want)
	}
	longest := filepath.Join(t.TempDir(), "x")
	if n := maxUnixPath - len(longest); n > 0 {
		longest += strings.Repeat("x", n)
		ln, err := Listen("unix:" + longest)
		require.NoError(t, err)
		require.NoError(t, ln.Close())
	}
}

// timeoutError is a net.Error.
type timeoutError struct{ timeout bool }

func (timeoutError) Error() string     { return "a listener's own error" }
func (e timeoutError) Timeout() bool   { return e.timeout }
func (e timeoutError) Temporary() bool { return false }

// passingError says of itself that it may pass.
type passingError struct{ error }

func (passingError) Temporary() bool { return true }

func TestServe_TriesAgainOnlyWhatMayPass(t *testing.T) {
	dead := errors.New("session shut down")
	for _, c := range []struct {
		err   error
		again bool
	}{
		{syscall.EMFILE, true},
		{syscall.ENFILE, true},
		{syscall.ECONNABORTED, true},
		{&net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}, true},
		{fmt.Errorf("wrapped: %w", os.NewSyscallError("accept4", syscall.ENOBUFS)), true},
		{timeoutError{timeout: true}, true},
		{os.ErrDeadlineExceeded, true},
		{passingError{dead}, true},
		{dead, false},
		{fmt.Errorf("wrapped: %w", dead), false},
		{timeoutError{}, false},
		{net.ErrClosed, false},
		{syscall.EINVAL, false},
		{syscall.ENOTSOCK, false},
		{&net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EBADF)}, false},
	} {
		t.Run(c.err.Error(), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var reported []error
				srv := newInventory().server(t, WithErrorHandler(func(err error) { reported = append(reported, err) }))
				ln := newPipeListener()
				ln.fail <- c.err
				served := make(chan error, 1)
				go func() { served <- srv.Serve(ln) }()
				if !c.again {
					err := <-served
					assert.ErrorIs(t, err, c.err)
					assert.NotErrorIs(t, err, ErrServerClosed)
					assert.Empty(t, reported, "it is Serve's to return")
					return
				}
				client := NewClient(ln.dial())
				defer client.Close()
				require.NoError(t, client.Ping(t.Context()))
				require.Len(t, reported, 1)
				assert.ErrorIs(t, reported[0], c.err)
			})
		})
	}
}

func TestServe_RefusesNil(t *testing.T) {
	srv := newServer(t)
	assert.EqualError(t, srv.Serve(nil), "rpc: invalid_argument: Serve: the listener is nil")
	assert.EqualError(t, srv.Serve((*net.TCPListener)(nil)), "rpc: invalid_argument: Serve: the listener is nil: (*net.TCPListener)(nil)")
	assert.Equal(t, "rpc: ServeConn: the connection is nil", panicText(func() { srv.ServeConn(nil) }))
}

func TestPeer_OfAUnixSocketHasAnAddressToPrint(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := Listen("unix:" + path)
	require.NoError(t, err)
	srv := newServer(t)
	require.NoError(t, srv.RegisterFunc("Test.Peer", func(ctx context.Context) (string, error) {
		peer, _ := PeerFrom(ctx)
		return peer.Addr.Network() + " " + peer.Addr.String(), nil
	}))
	go srv.Serve(ln)
	client, err := Dial(timeout(t, 10*time.Second), "unix:"+path)
	require.NoError(t, err)
	defer client.Close()
	var addr string
	require.NoError(t, client.Call(timeout(t, 10*time.Second), "Test.Peer", nil, &addr))
	assert.Equal(t, "unix "+path, addr)
}
