package rpc_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// stormProgram is what a seed makes: a network, servers, callers, and steps with the
// time of each. Only the order of goroutines is left open.
type stormProgram struct {
	seed    int
	net     stormNet
	hosts   []stormHost
	callers []stormCaller
	steps   []stormStep
}

type stormNet struct {
	window  int
	chunk   int
	rate    int
	latency time.Duration
	jitter  time.Duration
	inline  bool
	tls     bool
	shared  int // callers have IP addresses, so many different ones; 0: they have none
}

// stormHost is a server's options. Zero is the default.
type stormHost struct {
	slots, handlers, conns int
	params, replies        int // WithParamsMemory and WithReplyMemory of the server
	idle, write, frame     time.Duration
	handler                time.Duration
	compress, chained      bool
	age, keepalive         time.Duration
	peerConns, peerCalls   int // WithPeerShare
}

// stormCaller is a client's or a pool's options. Those of a calm caller meet no fault:
// they have a host of their own, or hosts that are left alone.
type stormCaller struct {
	kind               string // "Client" of Dial, "NewClient", or "Pool"
	calm               bool
	hosts              int // a set, which a Pool's resolver changes
	codec              string
	conns              int // WithConnsPerAddr
	balancing          int
	keepalive          time.Duration
	backoff, backoffTo time.Duration
	attempts           int
	percent, reserve   int // WithRetryBudget
	wait               time.Duration
	waiting            int
	timeout            time.Duration
	ejectAfter         int
	failFast           bool
	compress, chained  bool
}

// stormStep is one step. Calls are named by the index of the step that makes them.
type stormStep struct {
	index  int
	at     time.Duration
	kind   string
	caller int
	host   int
	call   int // of cancel and release
	n      int // calls at once, bytes, or which hosts
	bytes  int
	d      time.Duration
	do     string
	again  bool
	fast   bool
	async  bool
	way    bool // a direction
}

func (s stormStep) String() string {
	text := fmt.Sprintf("%d: %v %s", s.index, s.at, s.kind)
	switch s.kind {
	case "call":
		text += fmt.Sprintf(" %s ×%d by %d, %d bytes", s.do, s.n, s.caller, s.bytes)
		for _, flag := range []struct {
			set  bool
			name string
		}{{s.again, "idempotent"}, {s.fast, "non-blocking"}, {s.async, "by Go"}} {
			if flag.set {
				text += ", " + flag.name
			}
		}
		if s.d > 0 {
			text += fmt.Sprintf(", deadline %v", s.d)
		}
	case "cancel", "release":
		text += fmt.Sprintf(" %d", s.call)
	case "leave", "resolver fails":
		text += fmt.Sprintf(" %d", s.caller)
	case "list":
		text += fmt.Sprintf(" %b for %d", s.n, s.caller)
	case "wait":
	case "ping":
		text += fmt.Sprintf(" by %d", s.caller)
	default:
		text += fmt.Sprintf(" host %d, caller %d, %d, %v, %v", s.host, s.caller, s.n, s.d, s.way)
	}
	return text
}

func (p *stormProgram) String() string {
	lines := []string{fmt.Sprintf("storm %d: network %+v", p.seed, p.net)}
	for i, h := range p.hosts {
		lines = append(lines, fmt.Sprintf("  host %d: %+v", i, h))
	}
	for i, c := range p.callers {
		lines = append(lines, fmt.Sprintf("  caller %d: %+v", i, c))
	}
	for _, s := range p.steps {
		lines = append(lines, "  "+s.String())
	}
	return strings.Join(lines, "\n")
}

func oneOf[T any](r *rand.Rand, values ...T) T { return values[r.IntN(len(values))] }

func newStormProgram(seed int) *stormProgram {
	r := rand.New(rand.NewPCG(uint64(seed), 23))
	p := &stormProgram{seed: seed}
	p.net = stormNet{
		window: oneOf(r, 64, 4<<10, 64<<10, 1<<20),
		chunk:  oneOf(r, 0, 0, 0, 100),
		inline: r.IntN(3) > 0,
		tls:    r.IntN(20) == 0,
	}
	if r.IntN(2) == 0 {
		p.net.latency = time.Duration(r.IntN(2000)) * time.Microsecond
		p.net.jitter = time.Duration(r.IntN(1000)) * time.Microsecond
	}
	if p.net.window < 1<<10 {
		p.net.latency, p.net.jitter = 0, 0
	}
	if p.net.tls {
		p.net.window, p.net.chunk, p.net.inline = 1<<20, 0, false
	}
	if r.IntN(6) == 0 {
		p.net.rate = oneOf(r, 20_000, 1_000_000)
	}
	for range 1 + r.IntN(4) {
		p.hosts = append(p.hosts, newStormHost(r))
	}
	for i := range 1 + r.IntN(4) {
		p.callers = append(p.callers, p.newCaller(r, i))
	}
	p.bound(rand.New(rand.NewPCG(uint64(seed), 24)))
	at := time.Duration(0)
	for i := range 15 + r.IntN(60) {
		at += p.gap(r)
		s := p.newStep(r)
		s.index, s.at = i, at
		p.steps = append(p.steps, s)
	}
	return p
}

func newStormHost(r *rand.Rand) stormHost {
	h := stormHost{
		slots:    1 + r.IntN(6),
		idle:     oneOf(r, 0, 3*time.Second, time.Minute),
		write:    oneOf(r, 0, 2*time.Second),
		frame:    oneOf(r, 0, 2*time.Second),
		compress: r.IntN(6) == 0,
		chained:  r.IntN(4) == 0,
	}
	if r.IntN(4) == 0 {
		h.handlers = 1 + r.IntN(6)
	}
	if r.IntN(6) == 0 {
		h.conns = 1 + r.IntN(3)
	}
	if r.IntN(4) == 0 {
		h.params = oneOf(r, 256<<10, 2<<20)
	}
	if r.IntN(4) == 0 {
		h.replies = oneOf(r, 64<<10, 1<<20)
	}
	if r.IntN(6) == 0 {
		h.handler = 500 * time.Millisecond
	}
	return h
}

// bound sets what ends connections of some servers, and what one address may have of them.
func (p *stormProgram) bound(r *rand.Rand) {
	if r.IntN(3) == 0 {
		p.net.shared = 1 + r.IntN(3)
	}
	for i := range p.hosts {
		h := &p.hosts[i]
		if r.IntN(3) == 0 {
			h.age = oneOf(r, 300*time.Millisecond, 2*time.Second, 10*time.Second)
		}
		if h.keepalive = oneOf(r, 0, 500*time.Millisecond, 2*time.Second); h.keepalive > 0 && p.net.rate > 0 {
			h.keepalive = 5 * time.Second // a ping waits for what is written before it
		}
		if p.leftAlone(i) {
			if c := p.callers[0]; c.kind == "NewClient" || c.attempts < 4 {
				h.age = 0 // a call that crosses the end of its connection fails
			}
			continue
		}
		if p.net.shared > 0 && r.IntN(2) == 0 {
			h.conns, h.handlers = 4+r.IntN(4), 4+r.IntN(4) // of fewer there is no quarter
			h.peerConns, h.peerCalls = 1+r.IntN(2), 1+r.IntN(2)
		}
	}
}

// mostOf is what one address may have of so many places, by WithPeerShare.
func mostOf(places, share int) int {
	if share == 0 {
		return places
	}
	return max(places-places/4, share)
}

func (p *stormProgram) newCaller(r *rand.Rand, i int) stormCaller {
	c := stormCaller{
		kind:      oneOf(r, "Client", "NewClient", "Pool", "Pool", "Pool"),
		codec:     oneOf(r, "json", "json", "json", "gob"),
		conns:     oneOf(r, 1, 1, 2),
		balancing: r.IntN(3),
		keepalive: oneOf(r, 500*time.Millisecond, 2*time.Second),
		backoff:   oneOf(r, time.Millisecond, 20*time.Millisecond),
		backoffTo: oneOf(r, 100*time.Millisecond, time.Second, 5*time.Second),
		attempts:  oneOf(r, 1, 2, 4, 4),
		percent:   oneOf(r, 20, 100, 1),
		reserve:   oneOf(r, 100, 100, 1, 3),
		wait:      oneOf(r, 30*time.Second, 30*time.Second, 2*time.Second, 0),
		waiting:   oneOf(r, 0, 0, 0, 4),
		failFast:  r.IntN(8) == 0,
		compress:  r.IntN(4) == 0,
		chained:   r.IntN(4) == 0,
	}
	c.ejectAfter = oneOf(r, 0, 2, 5)
	if p.net.rate > 0 {
		c.keepalive = 5 * time.Second // a ping waits for what is written before it
	}
	if r.IntN(6) == 0 {
		c.timeout = time.Duration(100+r.IntN(2000)) * time.Millisecond
	}
	c.hosts = 1 << r.IntN(len(p.hosts))
	if c.kind == "Pool" {
		c.hosts = 1 + r.IntN(1<<len(p.hosts)-1)
	}
	if i == 0 && r.IntN(2) == 0 { // it has a host to itself, and no bound is in its way
		p.hosts = append(p.hosts, stormHost{slots: 4, compress: c.compress})
		c.calm, c.hosts = true, 1<<(len(p.hosts)-1)
		c.wait, c.waiting, c.failFast, c.timeout = 30*time.Second, 0, false, 0
	}
	return c
}

// gap is the time before a step: often none, so that much happens at once.
func (p *stormProgram) gap(r *rand.Rand) time.Duration {
	switch r.IntN(8) {
	case 0, 1, 2:
		return 0
	case 3, 4:
		return time.Duration(r.IntN(3_000_000))
	case 5, 6:
		return time.Duration(r.IntN(200_000_000))
	}
	return time.Duration(r.IntN(3_000_000_000))
}

// stormKinds is what may happen, with weights.
var stormKinds = strings.Fields(strings.Repeat("call ", 24) + strings.Repeat("cancel release ", 4) +
	"list list resolver-fails leave wait ping ping " +
	"cut cut cut-after cut-after stall unstall slow split split heal heal heal vanish vanish " +
	"busy idle kill kill power-off power-on shutdown shutdown shutdown-within close restart restart restart restart")

func (p *stormProgram) newStep(r *rand.Rand) stormStep {
	s := stormStep{
		kind: strings.ReplaceAll(oneOf(r, stormKinds...), "-", " "), caller: r.IntN(len(p.callers)),
		host: r.IntN(len(p.hosts)), way: r.IntN(2) == 0, call: -1,
	}
	for _, before := range p.steps {
		if before.kind == "call" && (s.call < 0 || r.IntN(3) == 0) {
			s.call = before.index
		}
	}
	if p.leftAlone(s.host) && s.kind != "call" && s.kind != "ping" { // its caller is calm
		s.host = 0
		if p.leftAlone(0) {
			s.kind = "wait"
		}
	}
	switch s.kind {
	case "call":
		p.randomCall(r, &s)
	case "list":
		if s.n = r.IntN(1<<len(p.hosts)) & p.mayKnow(s.caller); p.callers[s.caller].calm {
			s.n = p.callers[s.caller].hosts
		}
	case "leave", "resolver fails":
		if p.callers[s.caller].calm {
			s.kind = "wait"
		}
	case "cut after":
		s.n = r.IntN(600)
	case "slow":
		s.d = time.Duration(r.IntN(200)) * time.Millisecond
	case "shutdown within":
		s.d = oneOf(r, 0, 10*time.Millisecond, time.Second)
	case "split", "heal":
		if s.n = -1; r.IntN(2) == 0 { // of all callers
			s.n = s.caller
		}
	}
	return s
}

// leftAlone reports whether a host belongs to a calm caller.
func (p *stormProgram) leftAlone(host int) bool {
	return slices.ContainsFunc(p.callers, func(c stormCaller) bool { return c.calm && c.hosts == 1<<host })
}

// mayKnow is the set of hosts that a caller's resolver may name.
func (p *stormProgram) mayKnow(caller int) int {
	if c := p.callers[caller]; c.calm {
		return c.hosts
	}
	all := 1<<len(p.hosts) - 1
	for i := range p.hosts {
		if p.leftAlone(i) {
			all &^= 1 << i
		}
	}
	return all
}

func (p *stormProgram) randomCall(r *rand.Rand, s *stormStep) {
	s.do = oneOf(r, "echo", "echo", "echo", "hang", "hang", "deaf", "sleep", "sleep", "panic", "goexit", "fail", "refuse")
	s.again, s.fast, s.async = r.IntN(2) == 0, r.IntN(5) == 0, r.IntN(4) == 0
	if s.do == "goexit" {
		s.fast = false // it ends the goroutine that reads
	}
	s.n = oneOf(r, 1, 1, 1, 1, 2, 3, 12)
	if r.IntN(2) == 0 {
		s.d = time.Duration(1+r.IntN(2000)) * time.Millisecond
	}
	switch {
	case r.IntN(12) == 0:
		s.bytes, s.n = r.IntN(200_000), min(s.n, 3)
	case r.IntN(5) == 0:
		s.bytes = r.IntN(10_000)
	}
	if p.net.window < 1<<10 || p.net.chunk > 0 || p.net.rate > 0 {
		s.bytes /= 20
	}
}

// only keeps the steps with these indices; nil keeps all.
func (p *stormProgram) only(keep []int) {
	if keep != nil {
		p.steps = slices.DeleteFunc(p.steps, func(s stormStep) bool { return !slices.Contains(keep, s.index) })
	}
}
