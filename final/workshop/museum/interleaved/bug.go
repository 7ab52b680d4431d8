// Interleaved is a room of the bug museum: two messages that arrive as one
// piece of nonsense.
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

func main() {
	here, there := net.Pipe()
	there.SetDeadline(time.Now().Add(2 * time.Second)) // else it might wait for ever
	sender := NewSender(here)
	var callers sync.WaitGroup
	for i := range 100 {
		callers.Go(func() {
			for range 100 {
				sender.Send(fmt.Sprintf("order %02d", i))
			}
		})
	}
	for n := range 100 * 100 {
		message, err := Receive(there)
		if err != nil || len(message) != len("order 00") {
			fmt.Printf("after %d good messages: %q, %v\n", n, message, err)
			break
		}
	}
	here.Close()
	callers.Wait()
}

// A Sender sends messages. Any goroutine may use it.
type Sender struct{ w io.Writer }

// NewSender returns a sender that writes to w.
func NewSender(w io.Writer) *Sender { return &Sender{w: w} }

// Send sends a message: its length in four bytes, then its text.
func (s *Sender) Send(message string) error {
	header := binary.BigEndian.AppendUint32(nil, uint32(len(message)))
	if _, err := s.w.Write(header); err != nil {
		return err
	}
	_, err := io.WriteString(s.w, message)
	return err
}

// Receive reads a message. A length of more than a thousand is nonsense.
func Receive(r io.Reader) (string, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return "", err
	}
	n := binary.BigEndian.Uint32(header[:])
	if n > 1_000 {
		return "", fmt.Errorf("a message of %d bytes", n)
	}
	message := make([]byte, n)
	_, err := io.ReadFull(r, message)
	return string(message), err
}
