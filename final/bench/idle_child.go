package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/bench/shoppb"
)

// The hidden roles, first arguments that no flag can look like: this program starts itself with them.
const (
	roleIdleServer = "role:idle-server" // PEER
	roleIdleClient = "role:idle-client" // PEER ADDR
)

// opensAtOnce bounds how many connections are being opened, so that they do not overrun the listener's backlog.
const opensAtOnce = 32

// runRole plays the role that args ask for, and returns false if they ask for none.
func runRole(args []string, stdin io.Reader, stdout io.Writer) (handled bool) {
	if len(args) < 2 || !strings.HasPrefix(args[0], "role:") {
		return false
	}
	p, _ := peerNamed(args[1])
	switch {
	case args[0] == roleIdleServer:
		idleServer(p, stdin, stdout)
	case args[0] == roleIdleClient && len(args) == 3:
		idleClient(p, args[2], stdin, stdout)
	}
	return true
}

func peerNamed(name string) (peer, bool) {
	for _, p := range peers {
		if p.name == name {
			return p, true
		}
	}
	return peer{}, false
}

func idleServer(p peer, stdin io.Reader, stdout io.Writer) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		_, err = p.serve(ln)
	}
	answerLines(stdin, stdout, func(command, argument string) (string, error) {
		switch {
		case err != nil:
			return "", err
		case command == "address":
			return ln.Addr().String(), nil
		default:
			return readMemory(argument)
		}
	})
}

func idleClient(p peer, addr string, stdin io.Reader, stdout io.Writer) {
	var clients []client // kept: a client that the collector takes may close its connection
	streams := streamOpener{peer: p, addr: addr}
	answerLines(stdin, stdout, func(command, argument string) (string, error) {
		if command == "memory" {
			return readMemory(argument)
		}
		n, err := strconv.Atoi(argument)
		if err != nil {
			return "", err
		}
		if command == idleStreams {
			return "", streams.open(n)
		}
		opened, err := openIdle(p, addr, n)
		clients = append(clients, opened...)
		return "", err
	})
	runtime.KeepAlive(clients)
	runtime.KeepAlive(&streams)
}

// streamsPerConnection is how many idle streams share one, where the peer multiplexes.
const streamsPerConnection = 1000

// A streamOpener opens streams and keeps them.
type streamOpener struct {
	peer    peer
	addr    string
	clients []streamer
	talks   []talk
}

// open opens n more streams, and has an item sent back on each, so that they are what an idle stream is in life.
func (o *streamOpener) open(n int) error {
	for range n {
		if err := o.openOne(); err != nil {
			return fmt.Errorf("stream %d: %w", len(o.talks)+1, err)
		}
	}
	return nil
}

func (o *streamOpener) openOne() error {
	if len(o.talks) == len(o.clients)*o.perConnection() {
		c, err := o.peer.connect(dialTo(o.addr, nil))
		if err != nil {
			return err
		}
		o.clients = append(o.clients, c.(streamer))
	}
	on, err := o.clients[len(o.clients)-1].Talk(context.Background())
	if err != nil {
		return err
	}
	o.talks = append(o.talks, on)
	return sendAndReceive(on, &shoppb.StreamItem{Body: payload(5)})
}

func (o *streamOpener) perConnection() int {
	if o.peer.multiplexes {
		return streamsPerConnection
	}
	return 1
}

// answerLines answers each line of stdin, a command and perhaps an argument, with "ok …" or "error …".
func answerLines(stdin io.Reader, stdout io.Writer, answer func(command, argument string) (string, error)) {
	lines := bufio.NewScanner(stdin)
	for lines.Scan() {
		command, argument, _ := strings.Cut(lines.Text(), " ")
		text, err := answer(command, argument)
		if err != nil {
			fmt.Fprintf(stdout, "error %s\n", strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Fprintf(stdout, "ok %s\n", text)
	}
}

// openIdle opens n connections and makes one call on each, so that they are what an idle connection is in life.
func openIdle(p peer, addr string, n int) ([]client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callDeadline)
	defer cancel()
	clients := make([]client, n)
	errs := make([]error, n)
	slots := make(chan struct{}, opensAtOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			clients[i], errs[i] = openOne(ctx, p, addr)
			<-slots
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", i+1, err)
		}
	}
	return clients, nil
}

func openOne(ctx context.Context, p peer, addr string) (client, error) {
	c, err := p.connect(dialTo(addr, nil))
	if err != nil {
		return nil, err
	}
	return c, checkStockCall(c)(ctx)
}

// readMemory answers what this process holds once it has rested for a while and the collector has run.
func readMemory(rest string) (string, error) {
	d, err := time.ParseDuration(rest)
	if err != nil {
		return "", err
	}
	time.Sleep(d)
	runtime.GC() // twice with the next: a sync.Pool keeps its content over one collection
	debug.FreeOSMemory()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m := memory{Go: float64(stats.HeapInuse + stats.StackInuse), Heap: float64(stats.HeapAlloc), Resident: residentBytes()}
	text, err := json.Marshal(m)
	return string(text), err
}

// residentBytes reads the process's resident set from Linux's /proc, and returns 0 elsewhere.
func residentBytes() float64 {
	statm, err := os.ReadFile("/proc/self/statm")
	fields := bytes.Fields(statm)
	if err != nil || len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return float64(pages * os.Getpagesize())
}
