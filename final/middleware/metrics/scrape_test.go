package metrics_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/middleware/metrics"
	"example.com/rpc-from-scratch/final/rpc"
)

// exported serves the metrics of a server, a client and a pool that have made calls.
func exported(t *testing.T) (url string) {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	addr := serve(t, nil, newServer(t, reg).Options())
	pool := rpc.NewPool(rpc.StaticResolver{addr}, newClient(t, reg).Options(), rpc.WithMaxMessage(4096))
	t.Cleanup(func() { pool.Close() })
	require.NoError(t, reg.Register(metrics.NewPool("shop", pool)))
	for _, text := range []string{"a", "b", "missing", "huge"} {
		echo.Call(t.Context(), pool, &text)
	}
	pool.Call(t.Context(), "Test.Nope", nil, nil)
	stream(t, pool)
	page := httptest.NewServer(promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	t.Cleanup(page.Close)
	return page.URL
}

// stream has one item sent and received, and returns when the client has counted the end.
func stream(t *testing.T, c rpc.StreamCaller) {
	t.Helper()
	s, err := c.OpenStream(t.Context(), rpc.BidiStreaming, syncing.Name(), nil)
	require.NoError(t, err)
	ended := make(chan error, 1)
	s.OnEnd(func(err error) { ended <- err })
	text := "12345"
	require.NoError(t, s.Send(t.Context(), &text))
	require.NoError(t, s.CloseSend())
	require.NoError(t, s.Receive(t.Context(), &text))
	require.NoError(t, <-ended)
}

func get(t *testing.T, url, accept string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, http.StatusOK, resp.StatusCode)
	return resp
}

func TestScrape_TextParses(t *testing.T) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(get(t, exported(t), "text/plain").Body)
	require.NoError(t, err)
	finished := map[string]float64{}
	for _, m := range families["rpc_server_calls_finished_total"].GetMetric() {
		finished[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
	}
	assert.Equal(t, map[string]float64{
		"Test.Echo ok": 3, "Test.Echo not_found": 1, "(unknown) ok": 0, "(unknown) unimplemented": 1,
		"Test.Sync ok": 1, "Test.Watch ok": 0,
	}, finished)
	assert.Equal(t, dto.MetricType_HISTOGRAM, families["rpc_client_call_duration_seconds"].GetType())
	assert.Len(t, families["rpc_server_stream_messages_total"].GetMetric(), 2)
	assert.Equal(t, 1.0, families["rpc_server_open_connections"].GetMetric()[0].GetGauge().GetValue())
}

// Native histograms travel only as Protocol Buffers.
func TestScrape_HistogramsAreNativeToo(t *testing.T) {
	resp := get(t, exported(t), string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	decoder := expfmt.NewDecoder(resp.Body, expfmt.ResponseFormat(resp.Header))
	native := 0
	for {
		var f dto.MetricFamily
		err := decoder.Decode(&f)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		for _, m := range f.GetMetric() {
			if h := m.GetHistogram(); h.GetSampleCount() > 0 {
				assert.NotEmpty(t, h.GetPositiveSpan(), f.GetName())
				assert.Len(t, h.GetBucket(), 16, f.GetName())
				native++
			}
		}
	}
	assert.Equal(t, 5, native, "Test.Echo and Test.Sync on both sides, Test.Nope at the client")
}

func TestScrape_PromtoolHasNothingToSay(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: Debian's package prometheus has it")
	}
	cmd := exec.CommandContext(t.Context(), promtool, "check", "metrics")
	cmd.Stdin = get(t, exported(t), "text/plain").Body
	out, err := cmd.CombinedOutput()
	assert.NoError(t, err)
	assert.Empty(t, string(out))
}

func TestOptions_AnObserverOfYoursIsToldToo(t *testing.T) {
	reg := prometheus.NewRegistry()
	var opened atomic.Int32
	own := rpc.Observer{ConnOpened: func() { opened.Add(1) }}
	client := dial(t, serve(t, nil, newServer(t, reg).Options(), rpc.WithObserver(own)))
	require.NoError(t, client.Call(context.Background(), "Test.Echo", "a", nil))
	assert.Equal(t, 1.0, value(t, reg, "rpc_server_open_connections"))
	assert.EqualValues(t, 1, opened.Load())
}
