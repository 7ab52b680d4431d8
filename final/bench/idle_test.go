package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The idle connections' children are this program in another role, which here is the test program.
func TestMain(m *testing.M) {
	if runRole(os.Args[1:], os.Stdin, os.Stdout) {
		return
	}
	settle = 0 // the tests do not look at the figures
	os.Exit(m.Run())
}

func TestMeasureIdle_ReportsBothProcesses(t *testing.T) {
	got, err := measureIdle(t.Context(), netRPC, idleConnections, 200)
	require.NoError(t, err)
	assert.Equal(t, netRPC.name, got.Peer)
	assert.Equal(t, 200, got.Connections)
	assert.Positive(t, got.Server.Go, "a goroutine and its buffers take room")
	assert.Positive(t, got.Client.Go)
}

func TestOpenIdle_WorksForEveryPeer(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		b, err := openBench(p, workload{}, nil)
		require.NoError(t, err)
		t.Cleanup(b.close)
		clients, err := openIdle(p, b.addr, 3)
		require.NoError(t, err)
		for _, c := range clients {
			assert.NoError(t, c.Close())
		}
	})
}

func TestMeasureIdle_MeasuresStreams(t *testing.T) {
	got, err := measureIdle(t.Context(), finalProtobuf, idleStreams, 200)
	require.NoError(t, err)
	assert.Equal(t, 200, got.Connections)
	assert.Positive(t, got.Server.Heap)
	assert.Positive(t, got.Client.Heap)
}

func TestStreamOpener_WorksForEveryPeer(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		if !p.streams {
			return
		}
		b, err := openBench(p, workload{}, nil)
		require.NoError(t, err)
		t.Cleanup(b.close)
		o := streamOpener{peer: p, addr: b.addr}
		require.NoError(t, o.open(3))
		require.NoError(t, o.open(2))
		assert.Len(t, o.talks, 5)
		assert.Len(t, o.clients, map[bool]int{true: 1, false: 5}[p.multiplexes])
		for _, c := range o.clients {
			assert.NoError(t, c.Close())
		}
	})
}

func TestMeasureIdle_SaysWhichConnectionCouldNotBeOpened(t *testing.T) {
	_, err := openIdle(netRPC, "127.0.0.1:1", 2)
	assert.ErrorContains(t, err, "connection 1: ")
}

func TestChild_ReportsErrorsInAnswers(t *testing.T) {
	c, err := startChild(t.Context(), roleIdleClient, netRPC.name, "127.0.0.1:1")
	require.NoError(t, err)
	defer c.stop()
	_, err = c.ask("connections 1")
	assert.ErrorContains(t, err, "refused")
	_, err = c.ask("connections many")
	assert.ErrorContains(t, err, "many")
}

func TestIdleCost_PrefersWhatTheSystemCounts(t *testing.T) {
	before, after := memory{Go: 1000, Resident: 5000}, memory{Go: 3000, Resident: 9000}
	each := before.perConnection(after, 2)
	assert.Equal(t, memory{Go: 1000, Resident: 2000}, each)
	assert.Equal(t, 4000.0, idleCost{Server: each, Client: each}.total())
	assert.Equal(t, 1000.0, memory{Go: 1000}.seen(), "where the system does not tell")
}

func TestAllowOpenFiles_NeverPromisesMoreThanAsked(t *testing.T) {
	assert.LessOrEqual(t, allowOpenFiles(64), 64)
}
