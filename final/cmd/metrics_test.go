package cmd_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/inventory"
	"example.com/rpc-from-scratch/final/rpc"
)

// metricsURL reads where the process, which has just printed its address, serves
// its metrics.
func (p *process) metricsURL() (string, error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", err
	}
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "metrics on ")
	if !ok {
		return "", fmt.Errorf("it printed %q, not where its metrics are", line)
	}
	return url, nil
}

// fetch returns what is at url, for a host of that name if one is given.
func fetch(url string, host ...string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	req.Host = strings.Join(host, "")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text), err
}

// scrape PROG [PATH [HOST]] prints the metrics of a program that serve started, or
// what else is there under PATH. It fails if that is nothing.
func scrape(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 || len(args) > 3 {
		ts.Fatalf("usage: scrape PROG [PATH [HOST]]")
	}
	url := ts.Getenv(args[0] + "_metrics")
	if url == "" {
		var err error
		url, err = started(ts, args[0]).metricsURL()
		ts.Check(err)
		ts.Setenv(args[0]+"_metrics", url)
	}
	var host []string
	if len(args) > 1 {
		host = args[2:]
		url = strings.TrimSuffix(url, "/metrics") + args[1]
	}
	status, body, err := fetch(url, host...)
	if failed := err != nil || status != http.StatusOK; failed != neg {
		ts.Fatalf("%s: status %d, %v", url, status, err)
	}
	fmt.Fprint(ts.Stdout(), body)
}

func TestInventory_MetricsAreThoseOfItsCalls(t *testing.T) {
	p, err := startProcess(t.TempDir(), t.Output(), "inventory", "-metrics", "127.0.0.1:0")
	require.NoError(t, err)
	defer p.kill()
	url, err := p.metricsURL()
	require.NoError(t, err)
	assert.Regexp(t, `^http://127\.0\.0\.1:\d+/metrics$`, url)

	ctx := t.Context()
	client, err := rpc.Dial(ctx, p.addr)
	require.NoError(t, err)
	defer client.Close()
	for range 7 {
		_, err := inventory.CheckStock.Call(ctx, client, &inventory.CheckStockRequest{Item: "item1"})
		require.NoError(t, err)
	}
	_, err = inventory.CheckStock.Call(ctx, client, &inventory.CheckStockRequest{Item: "nib"})
	require.ErrorIs(t, err, rpc.NotFound)
	for i := range 3 {
		require.ErrorIs(t, client.Call(ctx, fmt.Sprintf("Made.Up%d", i), nil, nil), rpc.Unimplemented)
	}

	status, body, err := fetch(url)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	require.NoError(t, err)
	counts := map[string]float64{}
	for _, m := range families["rpc_server_calls_finished_total"].GetMetric() {
		if n := m.GetCounter().GetValue(); n > 0 {
			counts[m.GetLabel()[1].GetValue()+" "+m.GetLabel()[0].GetValue()] = n
		}
	}
	assert.Equal(t, map[string]float64{"Inventory.CheckStock ok": 7, "Inventory.CheckStock not_found": 1, "(unknown) unimplemented": 3}, counts)
	assert.Equal(t, 1.0, families["rpc_server_open_connections"].GetMetric()[0].GetGauge().GetValue())
	assert.Positive(t, families["rpc_server_read_bytes_total"].GetMetric()[0].GetCounter().GetValue())
	assert.Contains(t, families, "go_goroutines")
	for _, m := range families["rpc_server_call_duration_seconds"].GetMetric() {
		if m.GetLabel()[0].GetValue() == "Inventory.CheckStock" {
			assert.Equal(t, uint64(8), m.GetHistogram().GetSampleCount())
		}
	}

	require.NoError(t, p.stdin.Close())
	require.NoError(t, p.cmd.Wait())
	_, _, err = fetch(url)
	assert.Error(t, err, "the page ends with the server")
}
