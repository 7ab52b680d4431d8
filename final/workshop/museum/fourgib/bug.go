// Fourgib is a room of the bug museum: four bytes that cost a gigabyte.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
)

func main() {
	var stats runtime.MemStats
	for range 16 {
		client, server := net.Pipe()
		go ReadMessage(server)
		defer client.Close()
		client.Write([]byte{0x03, 0xff, 0xff, 0xff}) // nearly 64 MiB will follow, it says
		client.Write([]byte{'x'})                    // by now the reader has its buffer
	}
	runtime.ReadMemStats(&stats)
	fmt.Printf("16 clients have sent 5 bytes each; the server has allocated %d MiB\n", stats.HeapAlloc>>20)
}

// MaxMessage is the largest message that anybody sends, in bytes.
const MaxMessage = 4 << 20

// ErrTooLarge is the error of a message that is longer than MaxMessage.
var ErrTooLarge = errors.New("message is too large")

// WriteMessage writes message with its length in front: four bytes, the highest
// first.
func WriteMessage(w io.Writer, message []byte) error {
	if len(message) > MaxMessage {
		return ErrTooLarge
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(message))), message...))
	return err
}

// ReadMessage reads a message that WriteMessage has written.
func ReadMessage(r io.Reader) ([]byte, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	message := make([]byte, binary.BigEndian.Uint32(header[:]))
	if _, err := io.ReadFull(r, message); err != nil {
		return nil, err
	}
	if len(message) > MaxMessage {
		return nil, ErrTooLarge
	}
	return message, nil
}
