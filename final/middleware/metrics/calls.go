package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/rpc"
)

// side is what both a Server and a Client measure. It is a
// [prometheus.Collector].
type side struct {
	started, finished *prometheus.CounterVec
	inFlight          *prometheus.GaugeVec
	duration          *prometheus.HistogramVec
	streams           *streams
	read, written     prometheus.Counter
	opened            prometheus.Counter
	open              prometheus.Gauge
	all               []prometheus.Collector // each of the above
}

// newSide makes the metrics whose names begin with prefix.
func newSide(prefix string, o options) *side {
	byMethod := []string{"method"}
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Name: prefix + name, Help: help}
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: prefix + name, Help: help}
	}
	s := &side{
		started:  prometheus.NewCounterVec(counter("calls_started_total", "Calls and streams that began, those that were refused included."), byMethod),
		finished: prometheus.NewCounterVec(counter("calls_finished_total", "Calls and streams that ended, those that were refused included, by their code."), []string{"method", "code"}),
		inFlight: prometheus.NewGaugeVec(gauge("calls_in_flight", "Calls that have begun and not ended."), byMethod),
		duration: prometheus.NewHistogramVec(durations(prefix+"call_duration_seconds", "How long calls took that were not refused.", o.buckets), byMethod),
		streams:  newStreams(prefix, o),
		read:     prometheus.NewCounter(counter("read_bytes_total", "Bytes of frames that were read.")),
		written:  prometheus.NewCounter(counter("written_bytes_total", "Bytes of frames that were written.")),
		opened:   prometheus.NewCounter(counter("connections_opened_total", "Connections that were opened.")),
		open:     prometheus.NewGauge(gauge("open_connections", "Connections that are open.")),
	}
	s.all = []prometheus.Collector{s.started, s.finished, s.inFlight, s.duration, s.read, s.written, s.opened, s.open}
	s.all = append(s.all, s.streams.all()...)
	return s
}

// durations are the options of a histogram.
func durations(name, help string, buckets []float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name:    name,
		Help:    help,
		Buckets: buckets,
		// What client_golang recommends: the precision of a tenth, and an
		// end to the memory that unusual durations take.
		NativeHistogramBucketFactor:     1.1,
		NativeHistogramMaxBucketNumber:  160,
		NativeHistogramMinResetDuration: time.Hour,
	}
}

// Describe implements [prometheus.Collector].
func (s *side) Describe(to chan<- *prometheus.Desc) {
	for _, c := range s.all {
		c.Describe(to)
	}
}

// Collect implements [prometheus.Collector].
func (s *side) Collect(to chan<- prometheus.Metric) {
	s.streams.countOpen()
	for _, c := range s.all {
		c.Collect(to)
	}
}

// observer counts connections and bytes.
func (s *side) observer() rpc.Observer {
	return rpc.Observer{
		ConnOpened: func() {
			s.opened.Inc()
			s.open.Inc()
		},
		ConnClosed:   s.open.Dec,
		BytesRead:    func(n int) { s.read.Add(float64(n)) },
		BytesWritten: func(n int) { s.written.Add(float64(n)) },
	}
}

// method holds one method's metrics, so that a call does not look for them.
type method struct {
	started, ok prometheus.Counter
	inFlight    prometheus.Gauge
	duration    prometheus.Observer
	finished    *prometheus.CounterVec // for the codes that are not OK
	streams     *streams
	name        string
}

// method makes the metrics of a method. Its name must be valid UTF-8.
func (s *side) method(name string) *method {
	return &method{
		started:  s.started.WithLabelValues(name),
		ok:       s.finished.WithLabelValues(name, rpc.OK.String()),
		inFlight: s.inFlight.WithLabelValues(name),
		duration: s.duration.WithLabelValues(name),
		finished: s.finished,
		streams:  s.streams,
		name:     name,
	}
}

// measure counts one call, which run is.
func (m *method) measure(run func() error) error {
	m.started.Inc()
	m.inFlight.Inc()
	begun, code := time.Now(), rpc.Internal // if run panics
	defer func() {
		m.duration.Observe(time.Since(begun).Seconds())
		m.inFlight.Dec()
		m.end(code)
	}()
	err := run()
	code = rpc.CodeOf(err)
	return err
}

// refused counts a call that was not run.
func (m *method) refused(code rpc.Code) {
	m.started.Inc()
	m.end(code)
}

func (m *method) end(code rpc.Code) {
	if code == rpc.OK {
		m.ok.Inc()
		return
	}
	m.finished.WithLabelValues(m.name, codeLabel(code)).Inc()
}

// codeLabel names a code as its caller will see it: a handler may return one
// that does not exist, which arrives as Unknown.
func codeLabel(code rpc.Code) string {
	if code > rpc.Unauthenticated {
		code = rpc.Unknown
	}
	return code.String()
}

// register registers c with reg, or returns the one of its kind that is there already.
func register[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	if err == nil {
		return c, nil
	}
	var already prometheus.AlreadyRegisteredError
	if causes.As(err, &already) {
		if shared, ok := already.ExistingCollector.(C); ok {
			return shared, nil
		}
	}
	var none C
	return none, fmt.Errorf("metrics: %w", err)
}
