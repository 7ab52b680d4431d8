package rpc

import (
	"math"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// A server that sends its hello byte by byte has the time of one hello for all of it.
func TestHostileServer_HelloByteByByte(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		client := NewClient(near, WithHandshakeTimeout(5*time.Second))
		defer client.Close()
		_, err := wire.ReadHello(far, wire.MaxHello)
		require.NoError(t, err)
		hello := (&wire.ServerHello{InFlight: 1, MaxMessage: 4 << 20, Text: strings.Repeat("x", 500)}).Append(nil)
		left := make(chan struct{})
		go func() {
			defer close(left)
			for _, b := range hello {
				if _, err := far.Write([]byte{b}); err != nil {
					return
				}
				<-time.After(time.Second)
			}
		}()
		begun := time.Now()
		err = client.Call(t.Context(), "Test.Any", nil, nil)
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.True(t, NeverRan(err))
		assert.Equal(t, 5*time.Second, time.Since(begun))
		<-left
	})
}

// A server that claims a long hello is left before that is read.
func TestHostileServer_HelloThatIsTooLong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		near, far := net.Pipe()
		client := NewClient(near)
		defer client.Close()
		_, err := wire.ReadHello(far, wire.MaxHello)
		require.NoError(t, err)
		go far.Write([]byte("\x93RPC\x01\xff\xff"))
		err = client.Call(t.Context(), "Test.Any", nil, nil)
		assert.True(t, NeverRan(err), "%v", err)
		assert.ErrorContains(t, err, "hello of 65535 bytes")
	})
}

// Go-aways again and again pile up nothing, and the calls in flight go on.
func TestHostileServer_GoAwaysAgainAndAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		done := make(chan error, 1)
		go func() { done <- client.Call(t.Context(), "Test.Any", nil, nil) }()
		f := raw.read()
		goAway := appendGoAway(nil, f.ID, Errorf(Unavailable, "%s", strings.Repeat("x", 1000)))
		before := int64(heapInUse())
		for range 20_000 { // 20 MB
			raw.write(goAway)
		}
		synctest.Wait()
		assert.Less(t, int64(heapInUse())-before, int64(1<<20))
		raw.write(frameOf(wire.KindResponse, 0, f.ID, "{}"))
		assert.NoError(t, <-done)
		assert.True(t, NeverRan(client.Call(t.Context(), "Test.Any", nil, nil)))
	})
}

// A server that never reads, and keeps the connection open, has the time of a write.
func TestHostileServer_NeverReads(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, _ := rawServer(t, WithWriteTimeout(5*time.Second), WithKeepalive(0))
		begun := time.Now()
		for range 100 {
			go client.Call(t.Context(), "Test.Any", strings.Repeat("x", 1<<10), nil)
		}
		err := client.Call(t.Context(), "Test.Any", nil, nil)
		assert.Equal(t, Unavailable, CodeOf(err))
		assert.LessOrEqual(t, time.Since(begun), 6*time.Second)
	})
}

// Details beyond what the protocol allows are dropped: as a map they would take many times
// their bytes, for each call that has failed.
func TestHostileServer_DetailsBeyondTheLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, raw := rawServer(t)
		for _, c := range []struct{ size, kept int }{{wire.MaxDetails, 1}, {wire.MaxDetails + 1, 0}} {
			done := make(chan error, 1)
			go func() { done <- client.Call(t.Context(), "Test.Any", nil, nil) }()
			reason := &wire.Reason{Code: wire.NotFound, Text: "no", Details: map[string]string{"a": strings.Repeat("b", c.size-5)}}
			raw.write(wire.AppendError(nil, 0, raw.read().ID, reason))
			err := <-done
			assert.Equal(t, NotFound, CodeOf(err))
			assert.Equal(t, c.kept, len(toError(err).Details), "of %d bytes", c.size)
		}
	})
}

// A server that allows any number of calls, and answers none, does not make the client keep
// any number of those whose callers have left.
func TestHostileServer_AllowsAnyNumberOfCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		client, _ := rawServerSaying(t, wire.ServerHello{InFlight: math.MaxUint32, MaxMessage: math.MaxUint32})
		synctest.Wait()
		client.fixed.mu.Lock()
		defer client.fixed.mu.Unlock()
		assert.LessOrEqual(t, client.fixed.maxInFlight, 262_144)
	})
}
