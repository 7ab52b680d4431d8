package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// echoWord answers with its params.
var echoWord = Method[string, string]("Echo.Word")

// What a connection that has become quiet holds, both sides together, must not
// depend on how large its messages have been.
func TestConn_AQuietOneHoldsLittleMemory(t *testing.T) {
	for name, c := range map[string]struct {
		codec Codec
		tls   bool
		opts  []MethodOption
		more  int // than with small messages
		most  int
	}{
		"json":               {codec: JSON, most: 24 << 10},
		"json, non-blocking": {codec: JSON, opts: []MethodOption{NonBlocking()}, most: 24 << 10},
		"gob":                {codec: Gob, most: 32 << 10},
		"gob, non-blocking":  {codec: Gob, opts: []MethodOption{NonBlocking()}, most: 32 << 10},
		"json over TLS":      {codec: JSON, tls: true, more: 72 << 10, most: 112 << 10}, // crypto/tls keeps records of both sides,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ca := newAuthority(t) // of the bubble's time
				server := &tls.Config{Certificates: []tls.Certificate{ca.issue(func(*x509.Certificate) {})}}
				client := &tls.Config{RootCAs: ca.pool, ServerName: "127.0.0.1"}
				srv := NewServer(WithCodecs(Gob), WithMaxConns(1000), WithMaxMessage(8<<20))
				require.NoError(t, echoWord.Handle(srv, func(_ context.Context, text *string) (*string, error) { return text, nil }, c.opts...))
				defer srv.Close()
				open := func(callers, size int) func() {
					return func() {
						near, far := net.Pipe()
						if c.tls {
							near, far = tls.Client(near, client), tls.Server(far, server)
						}
						go srv.ServeConn(far)
						client := NewClient(near, WithCodec(c.codec), WithMaxMessage(8<<20))
						t.Cleanup(func() { client.Close() })
						echoAtOnce(t, client, callers, size)
					}
				}
				settle := func() { <-time.After(75 * time.Second) } // between two pings
				small := perConn(6, open(1, 10), settle)
				for _, burst := range []struct{ callers, size int }{{1, 12 << 10}, {64, 4 << 10}, {1, 40 << 10}, {1, 900 << 10}, {1, 4<<20 + 1}} {
					conns := 6
					if burst.size > 100<<10 {
						conns = 2 // large messages take their time under the race detector
					}
					if burst.size > maxGobMessage && name != "json" {
						continue // more than gob may have, and one case is enough
					}
					held := math.MaxInt
					for round := 0; round < 3 && held >= min(small+8<<10+c.more, c.most); round++ { // what else the heap holds is chance
						held = min(held, perConn(conns, open(burst.callers, burst.size), settle))
					}
					t.Logf("%d messages of %d bytes: %d bytes held, of 10 bytes: %d", burst.callers, burst.size, held, small)
					assert.Less(t, held, small+8<<10+c.more, "%v", burst)
					assert.Less(t, held, c.most, "%v", burst)
				}
			})
		})
	}
}

// What only streams, metadata and connecting need is there while it is needed: a connection
// that was dialled, made a call and is quiet holds little more than what calls need, both
// sides together. Stacks, and what the system holds, come on top.
func TestConn_AnIdleOneHoldsWhatCallsNeed(t *testing.T) {
	held := math.MaxInt
	for range 2 { // goroutines of the first round are used again: their records are none of ours
		bubble(t, func(t *testing.T) {
			srv := NewServer(WithMaxConns(1000))
			require.NoError(t, echoWord.Handle(srv, func(_ context.Context, text *string) (*string, error) { return text, nil }, NonBlocking()))
			defer srv.Close()
			n := newNetwork()
			n.set("a", srv)
			held = min(held, perConn(40, func() {
				client, err := Dial(t.Context(), "a", WithDialer(n.dial))
				require.NoError(t, err)
				t.Cleanup(func() { client.Close() })
				echoAtOnce(t, client, 1, 10)
			}, func() { <-time.After(12 * time.Second) })) // longer than buffers are kept
		})
	}
	t.Logf("%d bytes held", held)
	assert.Less(t, held, 10<<10)
}

// echoAtOnce makes calls whose params and replies have size bytes.
func echoAtOnce(t *testing.T, client *Client, callers, size int) {
	t.Helper()
	text := strings.Repeat("x", size)
	var calls sync.WaitGroup
	for range callers {
		calls.Go(func() {
			reply, err := echoWord.Call(t.Context(), client, &text)
			if assert.NoError(t, err) {
				assert.Len(t, *reply, size)
			}
		})
	}
	calls.Wait()
}
