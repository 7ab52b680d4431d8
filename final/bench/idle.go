package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// An idleCost is what one connection costs that has made a call and waits for the next, or one stream on which an item has gone
// each way. Client and server are processes of their own, each measured with one and again with all.
type idleCost struct {
	Peer        string `json:"peer"`
	Connections int    `json:"connections"` // or streams
	Server      memory `json:"server_bytes"`
	Client      memory `json:"client_bytes"`
}

// A memory is bytes as Go counts them (heap and stacks in use) and as the system does (resident; 0 where it does not tell).
type memory struct {
	Go       float64 `json:"go"`
	Heap     float64 `json:"heap,omitempty"` // of that, what lives: without stacks and free places
	Resident float64 `json:"resident"`
}

// perConnection returns the growth from m to grown, shared out.
func (m memory) perConnection(grown memory, n int) memory {
	each := func(before, after float64) float64 { return (after - before) / float64(n) }
	return memory{each(m.Go, grown.Go), each(m.Heap, grown.Heap), each(m.Resident, grown.Resident)}
}

// seen is the resident bytes where they are known: they hold what Go's own count leaves out.
func (m memory) seen() float64 {
	if m.Resident != 0 {
		return m.Resident
	}
	return m.Go
}

// total is both sides together.
func (c idleCost) total() float64 { return c.Server.seen() + c.Client.seen() }

// settle is how long connections are left alone before their memory is read: time for a peer to let go of buffers.
var settle = time.Second

// What is idle, as people and the children call it.
const (
	idleConnections = "connections"
	idleStreams     = "streams"
)

// measureIdle opens n connections of p, or streams, between two children of this process and returns what each costs.
func measureIdle(ctx context.Context, p peer, what string, n int) (idleCost, error) {
	cost, err := measureIdleChildren(ctx, p, what, n)
	if err != nil {
		return idleCost{}, fmt.Errorf("%s, %d idle %s: %w", p.name, n, what, err)
	}
	return cost, nil
}

func measureIdleChildren(ctx context.Context, p peer, what string, n int) (idleCost, error) {
	server, err := startChild(ctx, roleIdleServer, p.name)
	if err != nil {
		return idleCost{}, err
	}
	defer server.stop()
	addr, err := server.ask("address")
	if err != nil {
		return idleCost{}, err
	}
	client, err := startChild(ctx, roleIdleClient, p.name, addr)
	if err != nil {
		return idleCost{}, err
	}
	defer client.stop()

	// The first one pays for what a process sets up once.
	serverOne, clientOne, err := openAndMeasure(server, client, what, 1)
	if err != nil {
		return idleCost{}, err
	}
	serverAll, clientAll, err := openAndMeasure(server, client, what, n)
	if err != nil {
		return idleCost{}, err
	}
	return idleCost{
		Peer: p.name, Connections: n,
		Server: serverOne.perConnection(serverAll, n),
		Client: clientOne.perConnection(clientAll, n),
	}, nil
}

// openAndMeasure has the client open n more, then asks both sides for their memory.
func openAndMeasure(server, client *child, what string, n int) (onServer, onClient memory, err error) {
	if _, err = client.ask(fmt.Sprintf("%s %d", what, n)); err != nil {
		return onServer, onClient, err
	}
	if onServer, err = server.memory(); err != nil {
		return onServer, onClient, err
	}
	onClient, err = client.memory()
	return onServer, onClient, err
}

// A child is this program in another role. It answers each line on its standard input with one line on its standard output,
// and ends when its standard input closes.
type child struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	answers *bufio.Reader
}

func startChild(ctx context.Context, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return &child{cmd, in, bufio.NewReader(out)}, nil
}

// ask sends one line and returns the answer, or an error that the child reported.
func (c *child) ask(line string) (string, error) {
	if _, err := fmt.Fprintln(c.in, line); err != nil {
		return "", err
	}
	answer, err := c.answers.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("child ended: %w", err)
	}
	status, answer, _ := strings.Cut(strings.TrimSuffix(answer, "\n"), " ")
	if status != "ok" {
		return "", fmt.Errorf("child: %s", answer)
	}
	return answer, nil
}

func (c *child) memory() (memory, error) {
	answer, err := c.ask("memory " + settle.String())
	if err != nil {
		return memory{}, err
	}
	var m memory
	err = json.Unmarshal([]byte(answer), &m)
	return m, err
}

func (c *child) stop() {
	c.in.Close()
	_ = c.cmd.Wait() // a child that ended badly has said so in answer to a line
}
