//go:build unix

package rpc

import (
	"fmt"
	"math"
	"net"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// warningsOf returns what a server reports that serves two listeners of a kind.
func warningsOf(t *testing.T, conns int, wrap func(net.Listener) net.Listener) []string {
	t.Helper()
	var mu sync.Mutex
	var told []string
	srv := newInventory().server(t, WithMaxConns(conns), WithErrorHandler(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, err.Error())
	}))
	served := make(chan error, 2)
	for range 2 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		go func() { served <- srv.Serve(wrap(ln)) }()
		client := dial(t, ln.Addr().String())
		require.NoError(t, client.Ping(t.Context()))
		client.Close()
	}
	srv.Close()
	for range 2 {
		assert.ErrorIs(t, <-served, ErrServerClosed)
	}
	mu.Lock()
	defer mu.Unlock()
	return told
}

func TestServe_WarnsOfTooFewFiles(t *testing.T) {
	noLeaks(t)
	limit, known := fileLimit()
	require.True(t, known)
	plain := func(ln net.Listener) net.Listener { return ln }
	const many = math.MaxInt - spareFiles
	var want []string // nothing where there is no limit
	if limit < math.MaxInt {
		want = []string{fmt.Sprintf("rpc: WithMaxConns(%d) and 16 files for the rest of the process are more than the limit of open files, which is %d (ulimit -n): accepting connections will fail before that", many, limit)}
	}
	assert.Equal(t, want, warningsOf(t, many, plain), "once, for two listeners")
	assert.Empty(t, warningsOf(t, 10, plain))
	assert.Empty(t, warningsOf(t, many, func(ln net.Listener) net.Listener { return struct{ net.Listener }{ln} }), "connections that may need no files")
}
