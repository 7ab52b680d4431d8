package rpc

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

type (
	// soakItem is an item of a stream. Each has the number of items of its half, so that a
	// half that ends too early is found, and a checksum over all items until this one.
	soakItem struct {
		ID       string
		N, Items int
		Data     string
		Sum      uint64
	}
	soakReport struct {
		ID    string
		Items int
		Sum   uint64
	}
)

var (
	soakWatch  = ServerStream[soakPlan, soakItem]("Soak.Watch")
	soakImport = ClientStream[soakItem, soakReport]("Soak.Import")
	soakSync   = BidiStream[soakItem, soakItem]("Soak.Sync")
)

// soakPlan is what a stream is to do. Its handler gets it as metadata or params.
type soakPlan struct {
	ID    string
	Items int
	Size  int // of an item, at most
	Slow  int // every so manieth item takes a while to be taken; 0: none
	Leave int // the caller leaves after so many items; 0: it does not
}

func randomSoakPlan(id string) soakPlan {
	p := soakPlan{ID: id, Items: 1 + rand.IntN(20), Size: 100}
	switch rand.IntN(24) {
	case 0:
		p.Items, p.Size = 1+p.Items/8, 150_000
	case 1, 2:
		p.Size = 20_000
	case 3, 4:
		p.Items = 200
	}
	if rand.IntN(3) == 0 {
		p.Slow = 1 + rand.IntN(10)
	}
	if rand.IntN(8) == 0 {
		p.Leave = 1 + rand.IntN(p.Items)
	}
	return p
}

// fails reports whether the handler returns an error after its last item.
func (p *soakPlan) fails() bool { return strings.HasPrefix(p.ID, "fail") }

// outcome is what the handler returns.
func (p *soakPlan) outcome() error {
	if p.fails() {
		return Errorf(FailedPrecondition, "%s", p.ID)
	}
	return nil
}

// soakTally counts the items of one half, and adds up their checksum.
type soakTally struct {
	items int
	sum   uint64
}

func (t *soakTally) add(data string) {
	h := fnv.New64a()
	h.Write(binary.BigEndian.AppendUint64(nil, t.sum))
	io.WriteString(h, data)
	t.items, t.sum = t.items+1, h.Sum64()
}

// next returns the next item to be sent.
func (t *soakTally) next(p *soakPlan) *soakItem {
	item := &soakItem{ID: p.ID, N: t.items, Items: p.Items}
	if size := rand.IntN(p.Size); size > 0 {
		item.Data = strings.Repeat(string(rune('a'+rand.IntN(26))), size)
	}
	t.add(item.Data)
	item.Sum = t.sum
	return item
}

// take checks an item that was received: it has to be the next one.
func (t *soakTally) take(p *soakPlan, item *soakItem) error {
	n := t.items
	t.add(item.Data)
	if item.ID != p.ID || item.N != n || item.Items != p.Items || item.Sum != t.sum {
		return fmt.Errorf("item %d of %s, %d in all: got item %d of %s, %d in all, %d bytes, checksum right: %t",
			n, p.ID, p.Items, item.N, item.ID, item.Items, len(item.Data), item.Sum == t.sum)
	}
	return nil
}

// soakStreams are the handlers of streams, and what became of all of them.
type soakStreams struct {
	t                   *testing.T
	runs                *soakServer
	ended, failed, left atomic.Int64
	items, bytes        atomic.Int64
}

func (s *soakStreams) wrong(p *soakPlan, format string, args ...any) {
	s.t.Errorf("stream %s: %s", p.ID, fmt.Sprintf(format, args...))
}

func (s *soakStreams) register(srv *Server) error {
	for _, err := range []error{
		soakWatch.Handle(srv, s.watch), soakImport.Handle(srv, s.imports), soakSync.Handle(srv, s.sync),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// begin notes that the handler runs, and returns what its caller says of itself.
func (s *soakStreams) begin(ctx context.Context) *soakPlan {
	md := MetadataFrom(ctx)
	p := &soakPlan{ID: md["id"]}
	fmt.Sscan(md["plan"], &p.Items, &p.Size, &p.Slow)
	s.runs.mu.Lock()
	defer s.runs.mu.Unlock()
	s.runs.ran[p.ID]++
	return p
}

func (p *soakPlan) metadata() Metadata {
	return Metadata{"id": p.ID, "plan": fmt.Sprint(p.Items, " ", p.Size, " ", p.Slow)}
}

func (s *soakStreams) watch(ctx context.Context, req *soakPlan, out *Sender[soakItem]) error {
	p := s.begin(ctx)
	if req.ID != p.ID {
		s.wrong(p, "its request is that of %s", req.ID)
	}
	if err := s.sendAll(ctx, p, out, new(soakTally)); err != nil {
		return err
	}
	return p.outcome()
}

func (s *soakStreams) imports(ctx context.Context, in *Receiver[soakItem]) (*soakReport, error) {
	p := s.begin(ctx)
	var tally soakTally
	if err := s.takeAll(ctx, p, in, &tally); err != io.EOF {
		return nil, err
	}
	if err := p.outcome(); err != nil {
		return nil, err
	}
	return &soakReport{p.ID, tally.items, tally.sum}, nil
}

// sync sends as many items as it receives, at the same time.
func (s *soakStreams) sync(ctx context.Context, in *Receiver[soakItem], out *Sender[soakItem]) error {
	p := s.begin(ctx)
	sent := make(chan error, 1)
	go func() { sent <- s.sendAll(ctx, p, out, new(soakTally)) }()
	err := s.takeAll(ctx, p, in, new(soakTally))
	if sendErr := <-sent; err == io.EOF {
		err = sendErr
	}
	if err != nil {
		return err
	}
	return p.outcome()
}

func (s *soakStreams) sendAll(ctx context.Context, p *soakPlan, out *Sender[soakItem], tally *soakTally) error {
	for tally.items < p.Items {
		if err := out.Send(ctx, tally.next(p)); err != nil {
			return err
		}
	}
	return nil
}

// takeAll receives until the half ends, and returns why: io.EOF only after the last item.
func (s *soakStreams) takeAll(ctx context.Context, p *soakPlan, in *Receiver[soakItem], tally *soakTally) error {
	for p.Leave == 0 || tally.items < p.Leave {
		item, err := in.Receive(ctx)
		if err == io.EOF && tally.items != p.Items {
			s.wrong(p, "a good end after %d of %d items", tally.items, p.Items)
		}
		if err != nil {
			return err
		}
		if err := tally.take(p, item); err != nil {
			s.wrong(p, "%v", err)
			return err
		}
		s.items.Add(1)
		s.bytes.Add(int64(len(item.Data)))
		if p.Slow > 0 && tally.items%p.Slow == 0 {
			timer := time.NewTimer(time.Duration(rand.IntN(500)) * time.Microsecond)
			<-timer.C
		}
	}
	return errSoakLeft
}

// errSoakLeft is why a caller that has left does not know how its stream ended.
var errSoakLeft = Errorf(Canceled, "left early, as planned")

// one opens a stream of a random shape, and judges what comes of it.
func (s *soakStreams) one(ctx context.Context, client Caller, id string, stats *soakStats) {
	p := randomSoakPlan(id)
	ctx = AddMetadata(ctx, p.metadata())
	received := new(soakTally)
	var err error
	switch rand.IntN(3) {
	case 0:
		err = s.callWatch(ctx, client, &p, received)
	case 1:
		err = s.callImport(ctx, client, &p)
	default:
		err = s.callSync(ctx, client, &p, received)
	}
	s.judge(&p, err, received, stats)
}

func (s *soakStreams) callWatch(ctx context.Context, client Caller, p *soakPlan, received *soakTally) error {
	in, err := soakWatch.Open(ctx, client, p)
	if err != nil {
		return err
	}
	defer in.Close()
	return s.takeAll(ctx, p, &in.Receiver, received)
}

func (s *soakStreams) callImport(ctx context.Context, client Caller, p *soakPlan) error {
	out, err := soakImport.Open(ctx, client)
	if err != nil {
		return err
	}
	defer out.Close()
	var sent soakTally
	for sent.items < p.Items {
		if p.Leave > 0 && sent.items == p.Leave {
			return errSoakLeft
		}
		if err := out.Send(ctx, sent.next(p)); err != nil {
			return err
		}
	}
	report, err := out.CloseAndReceive(ctx)
	if err != nil {
		return err
	}
	if *report != (soakReport{p.ID, sent.items, sent.sum}) {
		s.wrong(p, "%+v were sent, and the report is %+v", sent, *report)
	}
	return io.EOF
}

// callSync sends and receives at the same time. What Receive says is how the stream ended.
func (s *soakStreams) callSync(ctx context.Context, client Caller, p *soakPlan, received *soakTally) error {
	both, err := soakSync.Open(ctx, client)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer both.Close()
	wg.Go(func() {
		if s.sendAll(ctx, p, &both.Sender, new(soakTally)) == nil {
			both.CloseSend()
		}
	})
	return s.takeAll(ctx, p, &both.Receiver, received)
}

// judge checks an end against what was received before it.
func (s *soakStreams) judge(p *soakPlan, err error, received *soakTally, stats *soakStats) {
	switch code := CodeOf(err); {
	case err == io.EOF:
		s.ended.Add(1)
		if p.fails() {
			s.wrong(p, "a good end, and its handler fails")
		}
	case code == FailedPrecondition:
		s.ended.Add(1)
		if !p.fails() || !strings.HasSuffix(err.Error(), ": "+p.ID) {
			s.wrong(p, "it ended with %v", err)
		}
		if received.items != 0 && received.items != p.Items {
			s.wrong(p, "its handler's error after %d of %d items", received.items, p.Items)
		}
	case code == Unavailable, code == DeadlineExceeded:
		s.failed.Add(1)
	case err == errSoakLeft:
		s.left.Add(1)
	default:
		s.wrong(p, "unexpected error: %v", err)
	}
	if !NeverRan(err) {
		return
	}
	if received.items > 0 {
		s.wrong(p, "it is said to have never run, and %d items have arrived: %v", received.items, err)
	}
	stats.mu.Lock()
	defer stats.mu.Unlock()
	stats.neverRan[p.ID] = true
}
