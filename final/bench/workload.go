package main

import "slices"

// A workload is one way of loading a peer: so many callers on so many connections, each with one call in flight.
type workload struct {
	id    string // for -workloads and the files
	title string // for people
	short string // for the head of a column

	callers     int
	connections int // a peer that does not multiplex gets one per caller instead
	body        int // bytes to echo; 0 is CheckStock

	// stream is what callers have instead of calls, with items of body bytes. The clock is read once in so many messages.
	stream   streamKind
	messages int
	unit     string // what is counted, for people; empty for calls

	// oursOnly keeps the peers out: the load is there to see whether our own rate holds.
	oursOnly bool
}

// workloads are the loads of the timed rounds, in the order of the tables. The idle ones, measured in another way, come after.
var workloads = []workload{
	{id: "c1", title: "1 caller", short: "1 caller", callers: 1, connections: 1},
	{id: "c4", title: "4 callers, 1 connection", short: "4 callers", callers: 4, connections: 1},
	{id: "c64", title: "64 callers, 1 connection", short: "64 callers", callers: 64, connections: 1},
	{id: "c512", title: "512 callers, 8 connections", short: "512 callers", callers: 512, connections: 8},
	{id: "echo1k", title: "1 KiB echo, 64 callers", short: "1 KiB", callers: 64, connections: 1, body: 1 << 10},
	{id: "echo64k", title: "64 KiB echo, 16 callers", short: "64 KiB", callers: 16, connections: 1, body: 64 << 10},
	{id: "stream", title: "1 stream, small messages one way", short: "1 stream", callers: 1, connections: 1, body: 5, stream: watching, messages: 32, unit: "message"},
	{id: "stream64", title: "64 streams on 1 connection, small messages one way", short: "64 streams", callers: 64, connections: 1, body: 5, stream: watching, messages: 32, unit: "message"},
	{id: "streamping", title: "1 stream, ping-pong", short: "ping-pong", callers: 1, connections: 1, body: 5, stream: talking, messages: 1, unit: "round trip"},
	{id: "stream64k", title: "1 stream, 64 KiB one way", short: "64 KiB", callers: 1, connections: 1, body: 64 << 10, stream: watching, messages: 1, unit: "message"},
	{id: "sweep64", title: "64 callers, 8 connections", callers: 64, connections: 8, oursOnly: true},
	{id: "sweep256", title: "256 callers, 8 connections", callers: 256, connections: 8, oursOnly: true},
	{id: "sweep1024", title: "1,024 callers, 8 connections", callers: 1024, connections: 8, oursOnly: true},
	{id: "sweep4096", title: "4,096 callers, 8 connections", callers: 4096, connections: 8, oursOnly: true},
}

// workloadNamed returns the workload with that ID, or none.
func workloadNamed(id string) workload {
	for _, w := range workloads {
		if w.id == id {
			return w
		}
	}
	return workload{}
}

// The names of the idle connections and streams for -workloads.
const (
	idleWorkload       = "idle"
	idleStreamWorkload = "streamidle"
)

// runs says whether the workload is one for p.
func (w workload) runs(p peer) bool {
	if p.only != nil {
		return slices.Contains(p.only, w.id)
	}
	return (p.ours || !w.oursOnly) && (p.streams || w.stream == noStream)
}

// counted is what its rounds count, for people.
func (w workload) counted() string {
	if w.unit == "" {
		return "call"
	}
	return w.unit
}

// connectionsFor returns how many connections the workload's callers need with p.
func (w workload) connectionsFor(p peer) int {
	if p.multiplexes {
		return w.connections
	}
	return w.callers
}

// payload returns n bytes that look random and are the same in every run: a body of zeros would flatter any compression.
func payload(n int) []byte {
	body := make([]byte, n)
	x := uint32(2463534242) // xorshift32, George Marsaglia, "Xorshift RNGs", 2003
	for i := range body {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		body[i] = byte(x)
	}
	return body
}
