package metrics_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/rpc"
)

var echo = rpc.Method[string, string]("Test.Echo")

// handle fails as it is told to, and holds calls that say so until hold is closed.
func handle(hold <-chan struct{}) func(context.Context, *string) (*string, error) {
	return func(ctx context.Context, text *string) (*string, error) {
		switch *text {
		case "missing":
			return nil, rpc.NotFound
		case "plain":
			return nil, errors.New("no code")
		case "odd":
			return nil, rpc.Code(99)
		case "panic":
			panic("at the handler")
		case "huge":
			*text = strings.Repeat("x", 100_000)
		case "held":
			<-hold
		}
		return text, nil
	}
}

// serve serves on a free port for the length of the test and returns the address.
func serve(t testing.TB, hold <-chan struct{}, opts ...rpc.ServerOption) string {
	t.Helper()
	srv := streamServer(t, opts...)
	require.NoError(t, echo.Handle(srv, handle(hold)))
	ln, err := rpc.Listen("127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, rpc.ErrServerClosed)
	})
	return ln.Addr().String()
}

func dial(t testing.TB, addr string, opts ...rpc.ClientOption) *rpc.Client {
	t.Helper()
	client, err := rpc.Dial(t.Context(), addr, opts...)
	require.NoError(t, err)
	t.Cleanup(func() { client.Close() })
	return client
}

func newServer(t testing.TB, reg prometheus.Registerer) *metrics.Server {
	t.Helper()
	m, err := metrics.NewServer(reg)
	require.NoError(t, err)
	return m
}

func newClient(t testing.TB, reg prometheus.Registerer, opts ...metrics.Option) *metrics.Client {
	t.Helper()
	m, err := metrics.NewClient(reg, opts...)
	require.NoError(t, err)
	return m
}

// gather returns the metrics of a name.
func gather(t testing.TB, reg prometheus.Gatherer, name string) []*dto.Metric {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()
		}
	}
	return nil
}

// value returns what a metric is, a histogram's count, or -1 if it is not there.
// Labels are pairs of name and value.
func value(t testing.TB, reg prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	for _, m := range gather(t, reg, name) {
		if hasLabels(m, labels) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return -1
}

func hasLabels(m *dto.Metric, labels []string) bool {
	found := 0
	for _, pair := range m.GetLabel() {
		for i := 0; i < len(labels); i += 2 {
			if pair.GetName() == labels[i] && pair.GetValue() == labels[i+1] {
				found += 2
			}
		}
	}
	return found == len(labels)
}

// network is where a pool dials: names lead to servers, as long as they are there.
type network map[string]*rpc.Server

func (n network) dial(_ context.Context, addr string) (net.Conn, error) {
	srv := n[addr]
	if srv == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	go srv.ServeConn(far)
	return near, nil
}
