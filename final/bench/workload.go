package main

// A workload is one way of loading a peer: so many callers on so many connections, each with one call in flight.
type workload struct {
	id    string // for -workloads and the files
	title string // for people

	callers     int
	connections int // a peer that does not multiplex gets one per caller instead
	body        int // bytes to echo; 0 is CheckStock

	// oursOnly keeps the peers out: the load is there to see whether our own rate holds.
	oursOnly bool
}

// workloads are the loads of the timed rounds, in the order of the tables. idleWorkload, measured in another way, comes after.
var workloads = []workload{
	{id: "c1", title: "1 caller", callers: 1, connections: 1},
	{id: "c4", title: "4 callers, 1 connection", callers: 4, connections: 1},
	{id: "c64", title: "64 callers, 1 connection", callers: 64, connections: 1},
	{id: "c512", title: "512 callers, 8 connections", callers: 512, connections: 8},
	{id: "echo1k", title: "1 KiB echo, 64 callers", callers: 64, connections: 1, body: 1 << 10},
	{id: "echo64k", title: "64 KiB echo, 16 callers", callers: 16, connections: 1, body: 64 << 10},
	{id: "sweep64", title: "64 callers, 8 connections", callers: 64, connections: 8, oursOnly: true},
	{id: "sweep256", title: "256 callers, 8 connections", callers: 256, connections: 8, oursOnly: true},
	{id: "sweep1024", title: "1,024 callers, 8 connections", callers: 1024, connections: 8, oursOnly: true},
	{id: "sweep4096", title: "4,096 callers, 8 connections", callers: 4096, connections: 8, oursOnly: true},
}

// idleWorkload is the name of the idle connections for -workloads.
const idleWorkload = "idle"

// runs says whether the workload is one for p.
func (w workload) runs(p peer) bool { return p.ours || !w.oursOnly }

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
