package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"example.com/rpc-from-scratch/final/internal/misuse"
	"example.com/rpc-from-scratch/final/rpc"
)

// maxAddrs is how many addresses of a pool have a label of their own.
const maxAddrs = 100

// Pool reports the state of a [rpc.Pool]'s connections when Prometheus asks. It
// is a [prometheus.Collector]; unregister it when the pool is closed.
type Pool struct {
	pool                       *rpc.Pool
	members, inFlight, streams *prometheus.Desc
}

// NewPool returns the metrics of a pool, to be registered. name is the value of
// the label "pool"; registering two pools with the same name fails. The first
// 100 addresses have a label of their own; the others share [Other]. It panics
// if pool is nil.
func NewPool(name string, pool *rpc.Pool) *Pool {
	misuse.NotNil("metrics: NewPool", "pool", pool)
	label := prometheus.Labels{"pool": name}
	return &Pool{
		pool:     pool,
		members:  prometheus.NewDesc("rpc_pool_members", "Connections of a pool, those that are to be made included, by their state.", []string{"state"}, label),
		inFlight: prometheus.NewDesc("rpc_pool_calls_in_flight", "Calls that a pool waits for, by the server's address.", []string{"addr"}, label),
		streams:  prometheus.NewDesc("rpc_pool_open_streams", "Streams of a pool that are open, by the server's address.", []string{"addr"}, label),
	}
}

// Describe implements [prometheus.Collector].
func (p *Pool) Describe(to chan<- *prometheus.Desc) {
	to <- p.members
	to <- p.inFlight
	to <- p.streams
}

// Collect implements [prometheus.Collector].
func (p *Pool) Collect(to chan<- prometheus.Metric) {
	states := map[string]int{"connected": 0, "ejected": 0, "backing_off": 0, "idle": 0}
	inFlight, streams := map[string]int{}, map[string]int{}
	for _, member := range p.pool.Members() {
		states[state(member)]++
		addr := strings.ToValidUTF8(member.Addr, "?")
		if _, known := inFlight[addr]; !known && len(inFlight) >= maxAddrs {
			addr = Other
		}
		inFlight[addr] += member.InFlight
		streams[addr] += member.Streams
	}
	collect(to, p.members, states)
	collect(to, p.inFlight, inFlight)
	collect(to, p.streams, streams)
}

func collect(to chan<- prometheus.Metric, desc *prometheus.Desc, values map[string]int) {
	for label, value := range values {
		to <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), label)
	}
}

func state(m rpc.PoolMember) string {
	switch {
	case m.Ejected: // connected or not: it gets no calls
		return "ejected"
	case m.Connected:
		return "connected"
	case m.BackingOff:
		return "backing_off"
	}
	return "idle"
}
