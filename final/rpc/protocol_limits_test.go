package rpc

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// The numbers in PROTOCOL.md's Limits are those of the code.
func TestProtocolMD_LimitsAreTheDefaults(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "PROTOCOL.md"))
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(page), "\n## Limits")
	table, _, _ = strings.Cut(table, "\n## ")
	server, client := defaultServerOptions(), defaultClientOptions()
	require.Equal(t, server.handshakeTimeout, client.handshakeTimeout)
	require.Equal(t, server.writeTimeout, client.writeTimeout)
	count := func(n int) string { return fmt.Sprintf("%d,%03d", n/1000, n%1000) }
	for what, want := range map[string]string{
		"a message that the server reads":        fmt.Sprintf("%d MiB; gob 1 MiB; at least 1 KiB", server.maxMessage>>20),
		"a message that the client reads":        fmt.Sprintf("%d MiB; at least 1 KiB", client.maxMessage>>20),
		"calls in flight on a connection":        count(int(server.maxInFlight)),
		"calls and streams that run on a server": count(server.maxHandlers),
		"streams that are open on a connection":  count(server.maxStreams),
		"window of a stream at its open":         fmt.Sprintf("%d KiB; at least %d KiB", streamWindow>>10, wire.MinWindow>>10),
		"memory of streams":                      fmt.Sprintf("%d MiB on a server, %d MiB on a connection", streamMemoryForAll*defaultStreamMemory>>20, defaultStreamMemory>>20),
		"a part of an item":                      fmt.Sprintf("at least %s bytes; always", count(wire.MinFragment)),
		"connections of a server":                count(server.maxConns),
		"memory of the params of calls that run": fmt.Sprintf("%d GiB on a server, %d MiB on a connection", server.paramsMemory.server>>30, server.paramsMemory.conn>>20),
		"memory of replies that are not written": fmt.Sprintf("%d MiB on a server, %d MiB on a connection", server.replyMemory.server>>20, server.replyMemory.conn>>20),
		"metadata of a call, and of a hello":     fmt.Sprintf("%d KiB, %d pairs", server.maxMetadata>>10, wire.MaxPairs),
		"a client's hello, after":                "the metadata's limit and 128 bytes: " + count(int(server.maxMetadata)+helloRoom),
		"a server's hello, after":                fmt.Sprintf("%d KiB", wire.MaxHello>>10),
		"a method's name":                        fmt.Sprintf("%d bytes", server.maxMethodName),
		"from connecting to the end":             fmt.Sprintf("%d s", server.handshakeTimeout/time.Second),
		"from a frame's first byte":              fmt.Sprintf("%d s", server.readFrameTimeout/time.Second),
		"one write":                              fmt.Sprintf("%d s", server.writeTimeout/time.Second),
		"unread answers to a client that sends":  fmt.Sprintf("%d MiB", 2*highWater>>20),
		"pings of a client":                      fmt.Sprintf("%s at once, and then %d per second", count(pingBurst), pingRate),
		"nothing from the client and nothing":    fmt.Sprintf("%d min", server.idleTimeout/time.Minute),
	} {
		found := 0
		for line := range strings.Lines(table) {
			if cells := strings.Split(line, "|"); len(cells) > 3 && strings.HasPrefix(strings.TrimSpace(cells[1]), what) {
				assert.Equal(t, want, strings.TrimSpace(cells[2]), what)
				found++
			}
		}
		assert.Equal(t, 1, found, what)
	}
}
