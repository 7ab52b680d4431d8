package conform

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// A caller is a client under test: a program that makes one call to a server that
// is played here.
type caller struct {
	conn    *net.TCPConn
	timeout time.Duration
	said    frames.ClientHello
	largest uint32 // what its hello announced
	id      uint64 // of its call
	sent    []byte // last, to it

	stdout bytes.Buffer
	stderr tail
	exited chan struct{} // closed when the program has; then err says how
	err    error
	stop   func() // ends the program, if it has not
}

// startCaller runs the program, told what to call and with what, and takes its connection.
func (s *server) startCaller(told ...string) (*caller, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(context.Background())
	args := append(s.call[1:len(s.call):len(s.call)], ln.Addr().String())
	args = append(args, told...)
	cmd := exec.CommandContext(ctx, s.call[0], args...)
	cmd.WaitDelay = time.Second
	c := &caller{timeout: s.timeout, exited: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &c.stdout, &c.stderr
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	c.stop = func() {
		cancel()
		<-c.exited
	}
	go func() {
		defer close(c.exited)
		c.err = cmd.Wait()
		ln.Close() // it will not connect any more
	}()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(startTime))
	conn, err := ln.Accept()
	if err != nil {
		c.stop()
		return nil, c.failure("the client did not connect", nil, nil)
	}
	c.conn = conn.(*net.TCPConn)
	return c, nil
}

// close ends the connection and the program.
func (c *caller) close() {
	c.conn.Close()
	c.stop()
}

func (c *caller) send(b []byte) {
	c.sent = b
	c.conn.Write(b)
}

// read reads a hello or a frame of the client.
func (c *caller) read(hello bool, want string) ([]byte, error) {
	c.conn.SetReadDeadline(time.Now().Add(c.timeout))
	got, err := frames.Read(c.conn, hello, 1<<20)
	var f *Failure
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && len(got) == 0:
		f = c.failure(fmt.Sprintf("nothing came within %v", c.timeout), nil, nil)
	case err != nil && len(got) == 0:
		f = c.failure("the client closed the connection", nil, nil)
	case err != nil:
		f = c.failure("not "+want+": "+err.Error(), nil, got)
	default:
		return got, nil
	}
	f.Want = want
	return got, f
}

// hello takes the client's hello.
func (c *caller) hello() error {
	got, err := c.read(true, "a hello")
	if err != nil {
		return err
	}
	h, err := frames.ParseHello(got)
	var client frames.ClientHello
	if err == nil {
		client, err = h.Client()
	}
	switch {
	case err != nil:
	case h.Version != wire.Version:
		err = fmt.Errorf("version %d", h.Version)
	case client.Codec != "json":
		err = fmt.Errorf("codec %q, where json is expected", client.Codec)
	case client.MaxMessage < 1024:
		err = fmt.Errorf("a largest message of %d bytes, less than 1024", client.MaxMessage)
	}
	if err != nil {
		return c.failure("not the hello of a client: "+err.Error(), nil, got)
	}
	c.said, c.largest = client, client.MaxMessage
	return nil
}

// request takes the client's call.
func (c *caller) request() error {
	got, err := c.read(false, "a request")
	if err != nil {
		return err
	}
	return c.take(got)
}

// take takes a frame that should be the client's call.
func (c *caller) take(got []byte) error {
	f, err := frames.ParseFrame(got)
	if err == nil {
		err = f.Check(true)
	}
	var r frames.Request
	if err == nil {
		r, err = f.Request()
	}
	switch {
	case err != nil:
	case f.Kind != wire.KindRequest:
		err = fmt.Errorf("a %s", f.Kind)
	case r.ID == 0:
		err = errors.New("ID 0")
	case r.Method != checkStock || !sameJSON(r.Params, []byte(item1)):
		err = fmt.Errorf("method %q, params %q: it was told to call %s with %s", r.Method, r.Params, checkStock, item1)
	}
	if err != nil {
		return c.failure("not the request: "+err.Error(), nil, got)
	}
	c.id = r.ID
	return nil
}

// pong takes the answer to a ping.
func (c *caller) pong(want []byte) error {
	got, err := c.read(false, "a pong")
	if err != nil || string(got) == string(want) {
		return err
	}
	return c.failure("another answer", want, got)
}

// quiet checks that the client says nothing for a while.
func (c *caller) quiet() error {
	c.conn.SetReadDeadline(time.Now().Add(quietTime))
	got := make([]byte, 64)
	n, err := c.conn.Read(got)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil
	case n == 0:
		return c.failure("the client closed the connection", nil, nil)
	}
	return c.failure("something came where nothing should", nil, got[:n])
}

// gone checks that the client closes the connection. What it still says, such as
// a cancel, is no matter.
func (c *caller) gone() error {
	c.conn.SetReadDeadline(time.Now().Add(c.timeout))
	_, err := io.Copy(io.Discard, c.conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		f := c.failure(fmt.Sprintf("the client does not close the connection within %v", c.timeout), nil, nil)
		f.Want = "the end of the connection"
		return f
	}
	return nil
}

// succeeds checks that the program prints the result and ends with status 0.
func (c *caller) succeeds(result string) error {
	if err := c.exits(); err != nil {
		return err
	}
	if c.err != nil {
		return c.failure("the call failed: "+c.err.Error(), nil, nil)
	}
	if !sameJSON(c.stdout.Bytes(), []byte(result)) {
		return c.failure(fmt.Sprintf("it printed %q, not %s", c.stdout.String(), result), nil, nil)
	}
	return nil
}

// fails checks that the program says by its status that the call failed.
func (c *caller) fails() error {
	if err := c.exits(); err != nil {
		return err
	}
	if c.err == nil {
		return c.failure(fmt.Sprintf("the call did not fail: it printed %q", strings.TrimSpace(c.stdout.String())), nil, nil)
	}
	return nil
}

func (c *caller) exits() error {
	select {
	case <-c.exited:
		return nil
	case <-time.After(c.timeout):
		return c.failure(fmt.Sprintf("the program does not end within %v", c.timeout), nil, nil)
	}
}

// forCall returns a capture's bytes for the client's call: there its ID is 1.
func (c *caller) forCall(b []byte) []byte {
	if len(b) < wire.HeaderSize || wire.IsMagic(b) || binary.BigEndian.Uint64(b[6:]) != 1 {
		return b
	}
	switch wire.Kind(b[4]) {
	case wire.KindResponse, wire.KindError, wire.KindGoAway:
		b = bytes.Clone(b)
		binary.BigEndian.PutUint64(b[6:], c.id)
	}
	return b
}

func (c *caller) failure(reason string, want, got []byte) *Failure {
	return &Failure{Reason: reason, Sent: c.sent, Expected: want, Received: got, Stderr: c.stderr.since(0)}
}
