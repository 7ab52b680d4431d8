// Slowreader is a room of the bug museum: one slow reader that stalls all streams of
// a connection.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"
)

func main() {
	fmt.Println("stream 2 is read:      ", others(true))
	fmt.Println("stream 2 has no reader:", others(false))
}

// others sends a thousand items on each stream, those of stream 2 first, and says how
// many arrived on the others.
func others(readAll bool) string {
	here, there := net.Pipe()
	sender, receiver := NewConn(here), NewConn(there)
	defer receiver.Close()
	time.AfterFunc(2*time.Second, receiver.Close) // else it might wait for ever
	if readAll {
		go receive(receiver.Stream(2))
	}
	go send(sender.Stream(2))
	<-time.After(100 * time.Millisecond)
	n := 0
	for id := range 2 {
		go send(sender.Stream(id))
		n += receive(receiver.Stream(id))
	}
	return fmt.Sprintf("%d items on the others", n)
}

const items = 1000

func send(s *Stream) {
	for i := range items {
		if s.Send(fmt.Sprint("item ", i)) != nil {
			return
		}
	}
}

func receive(s *Stream) (n int) {
	for n < items {
		if _, err := s.Receive(); err != nil {
			break
		}
		n++
	}
	return n
}

// Streams is how many streams a connection has. Window is how many items of one stream
// the receiver can hold.
const (
	Streams = 3
	Window  = 4
)

// A Conn carries streams over one connection.
type Conn struct {
	conn    net.Conn
	writing chan struct{} // a lock; a sync.Mutex would stop a synctest bubble's clock
	streams [Streams]*Stream
	end     sync.Once
	ended   chan struct{} // closed by end
}

// A Stream carries items in their order. One goroutine may call Send while another
// calls Receive.
type Stream struct {
	conn *Conn
	id   int
	in   chan string // items that have arrived
}

// NewConn returns a Conn that reads conn until conn ends, or Close is called.
func NewConn(conn net.Conn) *Conn {
	c := &Conn{conn: conn, writing: make(chan struct{}, 1), ended: make(chan struct{})}
	for id := range c.streams {
		c.streams[id] = newStream(c, id)
	}
	go c.read()
	return c
}

func newStream(c *Conn, id int) *Stream {
	return &Stream{conn: c, id: id, in: make(chan string, Window)}
}

// Close closes the connection and wakes everything that waits on it.
func (c *Conn) Close() {
	c.end.Do(func() {
		close(c.ended)
		c.conn.Close()
	})
}

// Stream returns the stream of that number.
func (c *Conn) Stream(id int) *Stream { return c.streams[id] }

// Send sends an item. It blocks until the item is written.
func (s *Stream) Send(item string) error {
	return s.write("item", item)
}

// Receive returns the next item.
func (s *Stream) Receive() (string, error) {
	select {
	case item := <-s.in:
		return item, nil
	case <-s.conn.ended:
		return "", errEnded
	}
}

var errEnded = errors.New("the connection has ended")

// write writes a frame: its kind, its stream, and its text, on a line.
func (s *Stream) write(kind, text string) error {
	c := s.conn
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	_, err := fmt.Fprintf(c.conn, "%s %d %s\n", kind, s.id, text)
	return err
}

// read gives each item to its stream.
func (c *Conn) read() {
	defer c.Close()
	lines := bufio.NewScanner(c.conn)
	for lines.Scan() {
		kind, rest, _ := strings.Cut(lines.Text(), " ")
		id, text, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(id)
		if err != nil || n < 0 || n >= Streams {
			return
		}
		if !c.streams[n].handle(kind, text) {
			return
		}
	}
}

// handle takes a frame. It returns false if the frame is not allowed, or if the connection
// has ended.
func (s *Stream) handle(kind, text string) bool {
	switch kind {
	case "item":
		select {
		case s.in <- text:
			return true
		case <-s.conn.ended:
		}
	}
	return false
}
