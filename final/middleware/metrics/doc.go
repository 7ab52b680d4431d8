// Package metrics counts calls and streams for Prometheus, on both sides. It counts calls
// started, in flight and finished by method and code, their durations, bytes,
// and connections, and shows what a pool is connected to. Give it to a server
// like this:
//
//	m, err := metrics.NewServer(prometheus.DefaultRegisterer)
//	srv := rpc.NewServer(m.Options())
//
// A client or a pool, and the state of a pool's connections:
//
//	m, err := metrics.NewClient(prometheus.DefaultRegisterer)
//	pool := rpc.NewPool(resolver, m.Options())
//	err = prometheus.Register(metrics.NewPool("inventory", pool))
//
// The metrics of a server follow. A client has the same under rpc_client_, but
// no failed replies, and its attempts, rpc_client_attempts_total{method,code}:
//
//	rpc_server_calls_started_total{method}        calls that arrived, refused ones too
//	rpc_server_calls_finished_total{method,code}  calls that ended, refused ones too
//	rpc_server_calls_in_flight{method}            calls that run now
//	rpc_server_call_duration_seconds{method}      histogram, classic and native
//	rpc_server_replies_failed_total{method,code}  results that could not be sent
//	rpc_server_open_streams{method}               streams that run now
//	rpc_server_stream_messages_total{method,direction}  direction is sent or received
//	rpc_server_stream_bytes_total{method,direction}     of these messages, as they travelled
//	rpc_server_stream_duration_seconds{method}    histogram, classic and native
//	rpc_server_read_bytes_total                   of frames: neither hellos nor TLS
//	rpc_server_written_bytes_total
//	rpc_server_connections_opened_total
//	rpc_server_open_connections
//
// And of a pool:
//
//	rpc_pool_members{pool,state}         state is connected, ejected, backing_off or idle
//	rpc_pool_calls_in_flight{pool,addr}  without streams
//	rpc_pool_open_streams{pool,addr}
//
// Codes have their gRPC names in lower case: "ok", "not_found". Streams count among the
// calls that were started and finished; started less finished is what is in flight, and
// the streams that are open. Messages are counted as they travel, not at the end.
//
// No peer can make up label values. A server's labels are its registered
// methods; [Unknown] is for calls of all others. A client's labels are the
// names that its own program calls, which may come from outside: only the first
// 100 have a label of their own, see [WithMaxMethods].
//
// A client counts calls as its program made them: however often one is tried, it
// is one call, and its duration includes all attempts and the pauses between. Its
// attempts are counted apart.
package metrics
