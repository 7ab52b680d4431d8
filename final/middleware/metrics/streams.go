package metrics

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/rpc-from-scratch/final/rpc"
)

// streams measures the streams of a side. Those that are open are counted when somebody
// looks, and at their end: an item costs nothing, and a stream that goes on for days is seen.
type streams struct {
	open            *prometheus.GaugeVec
	messages, bytes *prometheus.CounterVec
	duration        *prometheus.HistogramVec

	mu  sync.Mutex
	now map[*stream]struct{} // that are open
}

func newStreams(prefix string, o options) *streams {
	byDirection := []string{"method", "direction"}
	return &streams{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: prefix + "open_streams", Help: "Streams that have begun and not ended."}, []string{"method"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "stream_messages_total", Help: "Messages of streams, those that are open included."}, byDirection),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: prefix + "stream_bytes_total", Help: "Bytes of these messages, as they travelled."}, byDirection),
		duration: prometheus.NewHistogramVec(
			durations(prefix+"stream_duration_seconds", "How long streams took that were not refused.", o.buckets), []string{"method"}),
		now: map[*stream]struct{}{},
	}
}

func (s *streams) all() []prometheus.Collector {
	return []prometheus.Collector{s.open, s.messages, s.bytes, s.duration}
}

// countOpen counts what has travelled on the streams that are open.
func (s *streams) countOpen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.now {
		one.count()
	}
}

// stream is one that is measured.
type stream struct {
	method  *method
	stats   func() rpc.StreamStats
	begun   time.Time
	counted rpc.StreamStats // guarded by the lock of streams
}

// streamBegins counts a stream that has begun.
func (m *method) streamBegins(s rpc.Stream) *stream {
	m.started.Inc()
	m.streams.open.WithLabelValues(m.name).Inc()
	one := &stream{method: m, stats: s.Stats, begun: time.Now()}
	m.streams.mu.Lock()
	defer m.streams.mu.Unlock()
	m.streams.now[one] = struct{}{}
	return one
}

// ended counts the end of a stream.
func (one *stream) ended(code rpc.Code) {
	m := one.method
	m.streams.open.WithLabelValues(m.name).Dec()
	m.streams.duration.WithLabelValues(m.name).Observe(time.Since(one.begun).Seconds())
	m.end(code)
	m.streams.mu.Lock()
	defer m.streams.mu.Unlock()
	delete(m.streams.now, one)
	one.count()
}

// count counts what has travelled since it was last called.
func (one *stream) count() {
	all, m, now, before := one.method.streams, one.method.name, one.stats(), one.counted
	one.counted = now
	all.messages.WithLabelValues(m, "sent").Add(float64(now.Sent - before.Sent))
	all.messages.WithLabelValues(m, "received").Add(float64(now.Received - before.Received))
	all.bytes.WithLabelValues(m, "sent").Add(float64(now.BytesSent - before.BytesSent))
	all.bytes.WithLabelValues(m, "received").Add(float64(now.BytesReceived - before.BytesReceived))
}
