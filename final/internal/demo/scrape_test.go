package demo

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// page is a page of metrics, shortened.
const page = `# TYPE rpc_server_read_bytes_total counter
rpc_server_read_bytes_total 2048
# TYPE rpc_server_written_bytes_total counter
rpc_server_written_bytes_total 1024
# TYPE rpc_server_calls_finished_total counter
rpc_server_calls_finished_total{code="ok",method="A.Seldom"} 1
rpc_server_calls_finished_total{code="ok",method="A.Often"} 7
rpc_server_calls_finished_total{code="not_found",method="A.Often"} 2
rpc_server_calls_finished_total{code="unavailable",method="A.Often"} 1
rpc_server_calls_finished_total{code="ok",method="A.Never"} 0
# TYPE rpc_server_call_duration_seconds histogram
rpc_server_call_duration_seconds_bucket{method="A.Often",le="+Inf"} 10
rpc_server_call_duration_seconds_sum{method="A.Often"} 0.02
rpc_server_call_duration_seconds_count{method="A.Often"} 10
`

func TestScrape_ReadsCallsByMethod(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Write([]byte(page))
	}))
	defer server.Close()
	got, err := scrape(t.Context(), nil, server.URL+"/metrics")
	require.NoError(t, err)
	assert.Equal(t, []methodMetrics{{"A.Often", 7, 3, 2 * time.Millisecond}, {"A.Seldom", 1, 0, 0}}, got.methods)
	assert.Equal(t, []float64{2048, 1024}, []float64{got.read, got.written})

	_, err = scrape(t.Context(), nil, server.URL+"/elsewhere")
	assert.ErrorContains(t, err, "/elsewhere: 404 Not Found")
}
