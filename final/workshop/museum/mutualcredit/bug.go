// Mutualcredit is a room of the bug museum: two peers that wait for each other's
// credit.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

func main() {
	fmt.Println("one sends 100 items:", exchange(100, 0))
	fmt.Println("both send 100 items:", exchange(100, 100))
}

// exchange lets one peer send forth items and the other one back items, and returns how
// many were received.
func exchange(forth, back int) string {
	here, there := net.Pipe()
	here.SetDeadline(time.Now().Add(2 * time.Second)) // else it might wait for ever
	a, b := NewPeer(here), NewPeer(there)
	go send(a, forth)
	go send(b, back)
	<-time.After(100 * time.Millisecond) // both send at once; their readers come a moment later
	arrived := make(chan int)
	go func() { arrived <- receive(b, forth) }()
	go func() { arrived <- receive(a, back) }()
	n := <-arrived + <-arrived
	here.Close()
	return fmt.Sprintf("%d received", n)
}

func send(p *Peer, n int) error {
	for i := range n {
		if err := p.Send(fmt.Sprint(i + 1)); err != nil {
			return err
		}
	}
	return nil
}

func receive(p *Peer, want int) (n int) {
	for n < want {
		if _, err := p.Receive(); err != nil {
			break
		}
		n++
	}
	return n
}

// Window is how many items a peer may send that the other one has not received.
const Window = 4

// A Peer is one end of a connection over which both ends send items. One goroutine may
// call Send while another calls Receive.
type Peer struct {
	conn   net.Conn
	out    chan string   // frames to be written, in this order
	credit chan struct{} // one for each item that may be sent
	in     chan string   // items that have arrived
	ended  chan struct{} // closed when the connection has ended
}

// NewPeer returns a peer that reads and writes conn until conn is closed.
func NewPeer(conn net.Conn) *Peer {
	p := &Peer{
		conn: conn, out: make(chan string), credit: make(chan struct{}, Window),
		in: make(chan string, Window), ended: make(chan struct{}),
	}
	for range Window {
		p.credit <- struct{}{}
	}
	go p.read()
	go p.write()
	return p
}

// Send queues an item. It blocks until the writer has taken it.
func (p *Peer) Send(item string) error {
	return p.put("item " + item)
}

// Receive takes an item, and gives the other end credit for another one.
func (p *Peer) Receive() (string, error) {
	select {
	case item := <-p.in:
		return item, p.put("credit")
	case <-p.ended:
		return "", errEnded
	}
}

var errEnded = errors.New("the connection has ended")

// put has the writer write a frame.
func (p *Peer) put(frame string) error {
	select {
	case p.out <- frame:
		return nil
	case <-p.ended:
		return errEnded
	}
}

// take waits until an item may be sent.
func (p *Peer) take() error {
	select {
	case <-p.credit:
		return nil
	case <-p.ended:
		return errEnded
	}
}

// write writes frames, one a line.
func (p *Peer) write() {
	for {
		select {
		case frame := <-p.out:
			if strings.HasPrefix(frame, "item ") && p.take() != nil {
				return
			}
			io.WriteString(p.conn, frame+"\n")
		case <-p.ended:
			return
		}
	}
}

// read never waits for Send or Receive: both channels have room for a whole window.
func (p *Peer) read() {
	defer close(p.ended)
	defer p.conn.Close()
	lines := bufio.NewScanner(p.conn)
	for lines.Scan() {
		if item, ok := strings.CutPrefix(lines.Text(), "item "); ok {
			p.in <- item
		} else {
			p.credit <- struct{}{}
		}
	}
}
