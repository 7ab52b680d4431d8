package rpc_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// modelProgram is a random program: a setting, and operations one after the
// other. A seed makes it.
type modelProgram struct {
	seed int
	modelSetting
	ops []modelOp
}

// How much a program does to its calls. What a call may fail with depends on it.
type modelClass int

const (
	modelCalm     modelClass = iota // nothing: no call is lost
	modelGraceful                   // servers go away politely and come back
	modelRough                      // connections are cut and stalled, servers closed
)

func (c modelClass) String() string { return [...]string{"calm", "graceful", "rough"}[c] }

type modelSetting struct {
	class        modelClass
	caller       string // "Client" of Dial, "NewClient", or "Pool"
	codec        string
	path         string // "inline" and caller reads, "goroutine", "tls", or "tcp", which is real
	servers      int
	slots        int // WithMaxInFlight
	handlers     int // WithMaxHandlers
	window       int
	chunk        int
	latency      time.Duration
	big          bool // bodies that fill what may wait to be written
	interceptors bool
	compress     bool
	eject        bool
	abrupt       bool // closes while calls are in flight
	quiet        bool // force comes when nothing else happens
}

func (s modelSetting) String() string {
	return fmt.Sprintf("%v %s, codec %s, path %s, %d servers, %d slots, %d handlers, window %d, chunk %d, latency %v, big bodies %v, interceptors %v, compression %v, ejection %v, abrupt %v, quiet %v",
		s.class, s.caller, s.codec, s.path, s.servers, s.slots, s.handlers, s.window, s.chunk, s.latency, s.big, s.interceptors, s.compress, s.eject, s.abrupt, s.quiet)
}

// tight reports whether calls may be refused because too many handlers run.
func (s modelSetting) tight() bool { return s.handlers <= s.slots }

// opaque reports whether requests cannot be seen on the network.
func (s modelSetting) opaque() bool { return s.path == "tls" || s.path == "tcp" || s.compress }

// modelOp is one operation. Calls are named by the index of the operation that
// makes them, so that a program makes sense without some of its operations.
type modelOp struct {
	index  int
	kind   string
	call   int           // of cancel and release
	server int           // of what happens to a server
	n      int           // bytes, or which servers
	d      time.Duration // a deadline, or a pause
	do     string        // what the handler does
	fast   bool          // its method is NonBlocking
	again  bool          // it is idempotent
	async  bool          // by Go
}

func (op modelOp) String() string {
	switch op.kind {
	case "call":
		text := fmt.Sprintf("%d: call %s", op.index, op.do)
		for flag, set := range map[string]bool{"non-blocking": op.fast, "idempotent": op.again, "by Go": op.async} {
			if set {
				text += ", " + flag
			}
		}
		if op.d > 0 {
			text += fmt.Sprintf(", deadline %v", op.d)
		}
		return text + fmt.Sprintf(", %d bytes", op.n)
	case "cancel", "release":
		return fmt.Sprintf("%d: %s call %d", op.index, op.kind, op.call)
	case "settle", "ping", "swap":
		return fmt.Sprintf("%d: %s", op.index, op.kind)
	case "advance":
		return fmt.Sprintf("%d: advance %v", op.index, op.d)
	}
	return fmt.Sprintf("%d: %s server %d, %d, %v", op.index, op.kind, op.server, op.n, op.d)
}

func newModelProgram(seed int) *modelProgram {
	r := rand.New(rand.NewPCG(uint64(seed), 11))
	p := &modelProgram{seed: seed, modelSetting: newModelSetting(r)}
	for i := range 8 + r.IntN(40) {
		op := p.randomOp(r)
		op.index = i
		p.ops = append(p.ops, op)
	}
	return p
}

func newModelSetting(r *rand.Rand) modelSetting {
	s := modelSetting{
		class:        modelClass(r.IntN(3)),
		caller:       []string{"Client", "NewClient", "Pool", "Pool"}[r.IntN(4)],
		codec:        []string{"json", "json", "gob"}[r.IntN(3)],
		path:         []string{"inline", "inline", "inline", "goroutine", "goroutine", "tls"}[r.IntN(6)],
		servers:      1,
		slots:        1 + r.IntN(4),
		window:       []int{16, 4 << 10, 1 << 20}[r.IntN(3)],
		chunk:        []int{0, 0, 7}[r.IntN(3)],
		interceptors: r.IntN(3) == 0,
		compress:     r.IntN(6) == 0,
		eject:        r.IntN(4) == 0,
		abrupt:       r.IntN(3) == 0,
		quiet:        r.IntN(2) == 0,
	}
	s.handlers = 1000
	if r.IntN(4) == 0 {
		s.handlers = max(1, s.slots-r.IntN(2))
	}
	if s.caller == "Pool" {
		s.servers = 1 + r.IntN(3)
	}
	if s.caller == "NewClient" && s.class == modelGraceful {
		s.class = modelCalm // it has one connection
	}
	s.randomNet(r)
	return s
}

// randomNet settles what depends on the rest.
func (s *modelSetting) randomNet(r *rand.Rand) {
	if s.window > 1<<10 && r.IntN(3) == 0 {
		s.latency = time.Duration(r.IntN(3000)) * time.Microsecond
	}
	if s.path == "tls" {
		s.window, s.chunk = 1<<20, 0
	}
	if r.IntN(16) == 0 {
		s.big, s.compress = true, false
		s.slots, s.window, s.chunk = 8, 64<<10, 0
		s.latency = time.Duration(r.IntN(3000)) * time.Microsecond
		s.handlers = 1000
	}
}

func (p *modelProgram) randomOp(r *rand.Rand) modelOp {
	kinds := "call call call call call call cancel cancel release release release swap swap settle settle advance ping"
	if p.caller == "Pool" {
		kinds += " servers servers"
	}
	switch p.class {
	case modelGraceful:
		kinds += " shutdown restart"
	case modelRough:
		kinds += " cut cut-after stall unstall shutdown shutdown-within close restart restart"
	}
	all := strings.Fields(kinds)
	op := modelOp{kind: all[r.IntN(len(all))], server: r.IntN(p.servers), call: p.randomIndex(r)}
	switch op.kind {
	case "call":
		p.randomCall(r, &op)
	case "advance":
		op.d = time.Duration(r.IntN(40)) * time.Millisecond
	case "shutdown-within":
		op.d = []time.Duration{0, 10 * time.Millisecond, time.Second}[r.IntN(3)]
	case "servers":
		op.n = r.IntN(1 << p.servers) // a set; empty for none
		if p.class == modelCalm && r.IntN(2) == 0 {
			op.n = 1<<p.servers - 1
		}
	case "stall":
		op.n = r.IntN(2) // the direction
	case "cut-after":
		op.n = r.IntN(400)
	}
	return op
}

// randomIndex returns the index of a call, rather a late one; -1 if there is none yet.
func (p *modelProgram) randomIndex(r *rand.Rand) int {
	index := -1
	for _, op := range p.ops {
		if op.kind == "call" && (index < 0 || r.IntN(3) == 0) {
			index = op.index
		}
	}
	return index
}

func (p *modelProgram) randomCall(r *rand.Rand, op *modelOp) {
	op.do = []string{"echo", "echo", "hang", "hang", "hang", "deaf", "sleep", "panic", "goexit", "fail"}[r.IntN(10)]
	op.fast, op.again, op.async = r.IntN(4) == 0, r.IntN(3) == 0, r.IntN(3) == 0
	if op.do == "goexit" {
		op.fast = false // it ends the goroutine that reads
	}
	if r.IntN(3) == 0 {
		op.d = time.Duration(1+r.IntN(300)) * time.Millisecond
		if r.IntN(8) == 0 {
			op.d = 500 * time.Microsecond // too short to be sent
		}
	}
	switch {
	case p.big && r.IntN(2) == 0:
		op.n = r.IntN(500_000)
	case r.IntN(6) == 0:
		op.n = r.IntN(20_000)
		if p.window < 1<<10 || p.chunk > 0 {
			op.n /= 20
		}
	}
}

// quietTime is how long nothing happens before nothing more is on its way.
func (s modelSetting) quietTime() time.Duration {
	if s.big {
		return time.Second
	}
	return 100 * time.Millisecond
}

// only keeps the operations with these indices; nil keeps all.
func (p *modelProgram) only(keep []int) {
	if keep != nil {
		p.ops = slices.DeleteFunc(p.ops, func(op modelOp) bool { return !slices.Contains(keep, op.index) })
	}
}

func (p *modelProgram) String() string {
	lines := []string{fmt.Sprintf("program %d: %v", p.seed, p.modelSetting)}
	for _, op := range p.ops {
		lines = append(lines, "  "+op.String())
	}
	return strings.Join(lines, "\n")
}
