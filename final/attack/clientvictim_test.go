package attack_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/rpc"
)

// clientVictim is a victim that calls servers, honest ones and others.
const clientVictim = "client"

// What a client under attack does at once.
const (
	hostileCallers   = 64
	hostileReceivers = 8
	hostileSenders   = 4
	hostilePatience  = 500 * time.Millisecond // the deadline of its calls and streams
)

// A clientReport says how the calls of a client under attack have ended.
type clientReport struct {
	Ends        map[string]int    // of calls and streams of a hostile server, by code
	Said        map[string]string // the last of each code
	Unclear     []string          // errors that say nothing, and calls that did not end
	Honest      int
	HonestFails []string
	P99         time.Duration
}

// beClient calls servers as it is told, line by line: "start HOSTILE HONEST", and "stop
// HOSTILE TIME CODES" after that time, once calls have ended with these codes.
func beClient() error {
	var held watcher
	go held.watch()
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(address{}); err != nil {
		return err
	}
	under := map[string]*underAttack{}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		var answer any
		switch words[0] {
		case "start":
			u, err := startUnderAttack(words[1], words[2])
			if err != nil {
				return err
			}
			under[words[1]], answer = u, clientReport{}
		case "stop":
			d, err := time.ParseDuration(words[2])
			if err != nil {
				return err
			}
			answer = under[words[1]].stop(d, words[3])
		case "begin":
			held.begin()
			answer = held.state()
		default:
			answer = held.state()
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
	return nil
}

// underAttack is the calls of a client to a hostile server, beside those to an honest one.
type underAttack struct {
	ctx    context.Context
	cancel context.CancelFunc
	client *rpc.Pool // which connects when it is called
	honest *honest
	work   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	ends    map[string]int
	said    map[string]string
	unclear []string
	ended   chan struct{} // closed, and made anew, when a call has ended
}

func startUnderAttack(hostile, fair string) (*underAttack, error) {
	u := &underAttack{ends: map[string]int{}, said: map[string]string{}, ended: make(chan struct{}), honest: new(honest)}
	u.ctx, u.cancel = context.WithCancel(context.Background())
	opts := rpc.WithClientOptions(rpc.WithMaxMessage(clientMessage), rpc.WithConnStreamMemory(clientStreams), rpc.WithCompression(0),
		rpc.WithHandshakeTimeout(handshake), rpc.WithReadFrameTimeout(readFrame), rpc.WithWriteTimeout(writeTimeout), rpc.WithBackoff(time.Millisecond, 20*time.Millisecond))
	u.client = rpc.NewPool(rpc.StaticResolver{hostile}, opts)
	fairly, err := rpc.Dial(u.ctx, fair, rpc.WithMaxAttempts(1))
	if err != nil {
		return nil, err
	}
	u.honest.add(fairly)
	u.work.Go(func() { u.honest.work(u.ctx) })
	for range hostileCallers {
		u.work.Go(func() { u.again(u.call) })
	}
	for range hostileReceivers {
		u.work.Go(func() { u.again(u.receive) })
	}
	for range hostileSenders {
		u.work.Go(func() { u.again(u.send) })
	}
	return u, nil
}

// stop waits for that long, and for such ends, and returns how all has ended.
func (u *underAttack) stop(d time.Duration, ends string) clientReport {
	<-time.After(d)
	late := time.After(2 * patience)
	for over := false; !over && !u.has(ends); {
		select {
		case <-u.nextEnd():
		case <-late:
			over = true
		}
	}
	u.cancel()
	over := make(chan struct{})
	go func() {
		defer close(over)
		u.work.Wait()
		u.client.Close()
		u.honest.close()
	}()
	select {
	case <-over:
	case <-time.After(patience):
		return clientReport{Unclear: []string{"calls have not ended though their contexts have"}}
	}
	report := clientReport{Ends: u.ends, Said: u.said, Unclear: u.unclear, Honest: len(u.honest.took), P99: u.honest.p99()}
	for _, err := range u.honest.fails {
		report.HonestFails = append(report.HonestFails, err.Error())
	}
	return report
}

func (u *underAttack) nextEnd() <-chan struct{} {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.ended
}

func (u *underAttack) has(ends string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return hasEnds(u.ends, ends)
}

// hasEnds reports whether calls have ended with each of the codes "a,b", or with one of "a|b".
func hasEnds(have map[string]int, want string) bool {
	if strings.Contains(want, "|") {
		return slices.ContainsFunc(strings.Split(want, "|"), func(code string) bool { return have[code] > 0 })
	}
	return !slices.ContainsFunc(strings.Split(want, ","), func(code string) bool { return have[code] == 0 })
}

// again does something again and again, a thousand times a second at most.
func (u *underAttack) again(once func(ctx context.Context) error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for u.ctx.Err() == nil {
		ctx, cancel := context.WithTimeout(u.ctx, hostilePatience)
		begun := time.Now()
		err := once(ctx)
		cancel()
		if u.ctx.Err() == nil {
			u.note(err, time.Since(begun))
		}
		<-tick.C
	}
}

// note counts how a call has ended.
func (u *underAttack) note(err error, took time.Duration) {
	u.mu.Lock()
	defer u.mu.Unlock()
	code := rpc.OK
	if err != nil {
		code = rpc.CodeOf(err)
		u.said[code.String()] = err.Error()
	}
	u.ends[code.String()]++
	switch coded := new(*rpc.Error); {
	case took > hostilePatience+patience:
		u.unclear = append(u.unclear, fmt.Sprintf("a call took %s: %v", took, err))
	case err == nil:
	case !errors.As(err, coded) || len(err.Error()) < 10 || len(err.Error()) > 8<<10 || strings.ContainsAny(err.Error(), "\n\x00"):
		u.unclear = append(u.unclear, fmt.Sprintf("%.100q", err))
	}
	u.unclear = u.unclear[:min(len(u.unclear), 10)]
	close(u.ended)
	u.ended = make(chan struct{})
}

func (u *underAttack) call(ctx context.Context) error {
	var header rpc.Metadata
	_, err := echo.Call(rpc.ReceiveHeader(ctx, &header), u.client, &text{"hello"})
	return err
}

// receive receives items, to the end of the stream.
func (u *underAttack) receive(ctx context.Context) error {
	s, err := feed.Open(ctx, u.client, &size{1})
	if err != nil {
		return err
	}
	defer s.Close()
	for {
		if _, err := s.Receive(ctx); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		u.note(nil, 0)
	}
}

// send sends items as long as it may.
func (u *underAttack) send(ctx context.Context) error {
	s, err := repeat.Open(ctx, u.client)
	if err != nil {
		return err
	}
	defer s.Close()
	for range 100 {
		if err := s.Send(ctx, &text{"hello"}); errors.Is(err, rpc.ErrStreamEnded) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}
