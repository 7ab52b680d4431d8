// Wrongcaller is a room of the bug museum: a caller who gets the answer to
// somebody else's question.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

func main() {
	here, there := net.Pipe()
	go serve(there)
	client := NewClient(here)

	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	answer, err := client.Call(ctx, "slow")
	fmt.Printf("slow:  %q, %v\n", answer, err)
	answer, err = client.Call(context.Background(), "quick")
	fmt.Printf("quick: %q, %v\n", answer, err)
}

// serve answers each line; "slow" takes it a tenth of a second.
func serve(conn net.Conn) {
	answers := make(chan string, 16) // as between sockets, answers may wait to be read
	defer close(answers)
	go func() {
		defer conn.Close()
		for answer := range answers {
			io.WriteString(conn, answer)
		}
	}()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		if lines.Text() == "slow" {
			<-time.After(100 * time.Millisecond)
		}
		answers <- "answer to " + lines.Text() + "\n"
	}
}

// A Client asks questions over a connection, one at a time.
type Client struct {
	mu   sync.Mutex
	conn net.Conn
	r    *bufio.Reader
}

// NewClient returns a client that asks what is at the other end of conn.
func NewClient(conn net.Conn) *Client {
	return &Client{conn: conn, r: bufio.NewReader(conn)}
}

// Call asks a question and returns the answer, or an error when ctx's deadline
// passes first.
func (c *Client) Call(ctx context.Context, question string) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	deadline, _ := ctx.Deadline() // none is the zero time, which SetReadDeadline takes for none
	c.conn.SetReadDeadline(deadline)
	if _, err := io.WriteString(c.conn, question+"\n"); err != nil {
		return "", err
	}
	answer, err := c.r.ReadString('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(answer, "\n"), nil
}
