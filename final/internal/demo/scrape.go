package demo

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// scraped is what the demo takes from the inventory's page of metrics.
type scraped struct {
	url           string
	methods       []methodMetrics // that were called, by name
	read, written float64         // bytes
}

// methodMetrics are those of one method.
type methodMetrics struct {
	name        string
	ok, refused float64
	mean        time.Duration
}

// scrape reads a page of metrics as Prometheus does. A nil browser is the default one.
func scrape(ctx context.Context, browser *http.Client, url string) (*scraped, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := cmp.Or(browser, http.DefaultClient).Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %s", url, resp.Status)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", url, err)
	}
	return readMetrics(url, families), nil
}

func readMetrics(url string, families map[string]*dto.MetricFamily) *scraped {
	s := &scraped{
		url:     url,
		read:    sumOf(families["rpc_server_read_bytes_total"]),
		written: sumOf(families["rpc_server_written_bytes_total"]),
	}
	byName := map[string]*methodMetrics{}
	for _, m := range families["rpc_server_calls_finished_total"].GetMetric() {
		name, code := labelOf(m, "method"), labelOf(m, "code")
		if byName[name] == nil {
			byName[name] = &methodMetrics{name: name}
		}
		if code == "ok" {
			byName[name].ok += m.GetCounter().GetValue()
		} else {
			byName[name].refused += m.GetCounter().GetValue()
		}
	}
	for _, m := range families["rpc_server_call_duration_seconds"].GetMetric() {
		h := m.GetHistogram()
		if method := byName[labelOf(m, "method")]; method != nil && h.GetSampleCount() > 0 {
			method.mean = time.Duration(h.GetSampleSum() / float64(h.GetSampleCount()) * float64(time.Second))
		}
	}
	for _, m := range byName {
		if m.ok+m.refused > 0 {
			s.methods = append(s.methods, *m)
		}
	}
	slices.SortFunc(s.methods, func(a, b methodMetrics) int { return int(b.ok + b.refused - a.ok - a.refused) })
	return s
}

// sumOf adds up a counter's values, whatever their labels.
func sumOf(family *dto.MetricFamily) (sum float64) {
	for _, m := range family.GetMetric() {
		sum += m.GetCounter().GetValue()
	}
	return sum
}

func labelOf(m *dto.Metric, name string) string {
	for _, l := range m.GetLabel() {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}
