package main

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A brokenClient answers every call with the same quantity, body and error.
type brokenClient struct {
	quantity int64
	body     []byte
	err      error
}

func (c brokenClient) CheckStock(context.Context, string) (int64, error) { return c.quantity, c.err }
func (c brokenClient) Echo(context.Context, []byte) ([]byte, error)      { return c.body, c.err }
func (c brokenClient) Close() error                                      { return nil }
func (c brokenClient) serve(ln net.Listener) (stop func(), err error) {
	return func() { ln.Close() }, nil
}
func (c brokenClient) connect(dialFunc) (client, error) { return c, nil }
func (c brokenClient) peer() peer                       { return peer{name: "broken", serve: c.serve, connect: c.connect} }
func (c brokenClient) round(t *testing.T, w workload) error {
	t.Helper()
	_, err := runRound(t.Context(), c.peer(), w, time.Millisecond)
	return err
}

func TestRunRound_MeasuresEveryPeerUnderEveryWorkload(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		for _, w := range workloads {
			if !w.runs(p) {
				continue
			}
			got, err := runRound(t.Context(), p, w, 20*time.Millisecond)
			require.NoError(t, err)
			assert.Equal(t, p.name, got.Peer)
			assert.Equal(t, w.id, got.Workload)
			assert.Positive(t, got.Elapsed)
			assert.LessOrEqual(t, got.P50, got.P99)
		}
	})
}

func TestRunRound_ComputesRatesFromWhatCallersRecorded(t *testing.T) {
	var h histogram
	for range 200 {
		h.record(time.Millisecond)
	}
	got := round{Elapsed: 2 * time.Second, AllocsPerCall: 1000, CPUPerCall: time.Second}.withCalls(&h, 1)
	assert.Equal(t, 200, got.Calls)
	assert.Equal(t, 100.0, got.CallsPerSec)
	assert.Equal(t, 5.0, got.AllocsPerCall)
	assert.Equal(t, 5*time.Millisecond, got.CPUPerCall)
	assert.Equal(t, 0.5, got.Busy)
}

func TestRunRound_FailsOnAnErrorOrAWrongReply(t *testing.T) {
	lost := errors.New("connection lost")
	echo := workload{callers: 1, connections: 1, body: 8}
	assert.ErrorIs(t, brokenClient{err: lost}.round(t, workload{callers: 2}), lost)
	assert.ErrorIs(t, brokenClient{quantity: 7}.round(t, workload{callers: 1}), errWrongReply)
	assert.ErrorIs(t, brokenClient{err: lost}.round(t, echo), lost)
	assert.ErrorIs(t, brokenClient{body: payload(7)}.round(t, echo), errWrongReply)
	assert.ErrorIs(t, brokenClient{body: make([]byte, 8)}.round(t, echo), errWrongReply)
}

func TestRunRound_StopsWhenItsContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := runRound(ctx, rawTCP, workloads[0], time.Hour)
	assert.ErrorIs(t, err, context.Canceled)
}
