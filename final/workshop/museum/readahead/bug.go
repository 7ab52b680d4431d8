// Readahead is a room of the bug museum: a handshake that swallows the beginning
// of what follows.
package main

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"net"
	"time"
)

func main() {
	for _, together := range []bool{false, true} {
		client, server := net.Pipe()
		go send(client, "CheckStock", together)
		server.SetDeadline(time.Now().Add(time.Second)) // else it would wait for ever
		req, err := Accept(server)
		fmt.Printf("hello and request in one write: %-5v  %+v, %v\n", together, req, err)
	}
}

// A Hello is the first thing that a client says: a line of JSON.
type Hello struct{ Codec string }

// A Request follows in the codec that the hello names.
type Request struct{ Method string }

// send says hello and sends a request, in one write or in two. Both are fine: TCP
// carries bytes, and knows nothing of writes.
func send(conn net.Conn, method string, together bool) {
	var hello, req bytes.Buffer
	json.NewEncoder(&hello).Encode(Hello{Codec: "gob"})
	gob.NewEncoder(&req).Encode(Request{Method: method})
	if together {
		conn.Write(append(hello.Bytes(), req.Bytes()...))
		return
	}
	conn.Write(hello.Bytes())
	conn.Write(req.Bytes())
}

// Accept reads a client's hello and its first request.
func Accept(conn net.Conn) (Request, error) {
	var hello Hello
	if err := json.NewDecoder(conn).Decode(&hello); err != nil {
		return Request{}, fmt.Errorf("hello: %w", err)
	}
	if hello.Codec != "gob" {
		return Request{}, fmt.Errorf("unknown codec %q", hello.Codec)
	}
	var req Request
	if err := gob.NewDecoder(conn).Decode(&req); err != nil {
		return Request{}, fmt.Errorf("request: %w", err)
	}
	return req, nil
}
