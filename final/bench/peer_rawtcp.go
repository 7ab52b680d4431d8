package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
)

// rawTCP is the floor: a length and a body each way, no IDs, no names, no errors, one caller a connection. What an RPC system
// adds to a call is the distance to it.
var rawTCP = peer{
	name:    "raw TCP ping-pong",
	floor:   true,
	setup:   "4-byte length and body; buffers kept per connection",
	serve:   serveRaw,
	connect: connectRaw,
}

const (
	rawCheckStock = 's'
	rawEcho       = 'e'
)

func serveRaw(ln net.Listener) (stop func(), err error) {
	return serveConns(ln, func(conn net.Conn) {
		raw := newRawConn(conn)
		for {
			message, err := raw.read()
			if err != nil {
				return
			}
			if err := raw.write(answerRaw(message)); err != nil {
				return
			}
		}
	}), nil
}

// answerRaw returns the reply's parts. An item that is not there has the stock -1: raw TCP has no errors.
func answerRaw(message []byte) (head, body []byte) {
	if message[0] == rawEcho {
		return message[:1], message[1:]
	}
	quantity, ok := stock[string(message[1:])] // in an index expression the conversion allocates nothing
	if !ok {
		quantity = -1
	}
	return binary.BigEndian.AppendUint64(message[:0], uint64(quantity)), nil
}

type rawClient struct {
	*rawConn
	head []byte
}

func connectRaw(dial dialFunc) (client, error) {
	conn, err := dial(context.Background())
	if err != nil {
		return nil, err
	}
	return &rawClient{rawConn: newRawConn(conn)}, nil
}

func (c *rawClient) CheckStock(_ context.Context, item string) (int64, error) {
	c.head = append(c.head[:0], rawCheckStock)
	c.head = append(c.head, item...)
	if err := c.write(c.head, nil); err != nil {
		return 0, err
	}
	reply, err := c.read()
	if err != nil {
		return 0, err
	}
	quantity := int64(binary.BigEndian.Uint64(reply))
	if quantity < 0 {
		return 0, errors.New("unknown item: " + item)
	}
	return quantity, nil
}

func (c *rawClient) Echo(_ context.Context, body []byte) ([]byte, error) {
	c.head = append(c.head[:0], rawEcho)
	if err := c.write(c.head, body); err != nil {
		return nil, err
	}
	reply, err := c.read()
	if err != nil {
		return nil, err
	}
	return reply[1:], nil
}

func (c *rawClient) Close() error { return c.conn.Close() }

// A rawConn reads and writes length-prefixed messages and keeps its buffers, so that a call allocates nothing.
type rawConn struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte
	out  []byte
}

func newRawConn(conn net.Conn) *rawConn {
	return &rawConn{conn: conn, in: bufio.NewReader(conn), body: make([]byte, 64)}
}

// read returns the next message, valid until the next read. Peer and client trust each other: the length has no limit.
func (c *rawConn) read() ([]byte, error) {
	prefix, err := c.in.Peek(4)
	if err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(prefix))
	if n > cap(c.body) {
		c.body = make([]byte, n)
	}
	if _, err := c.in.Discard(4); err != nil {
		return nil, err
	}
	c.body = c.body[:n]
	_, err = io.ReadFull(c.in, c.body)
	return c.body, err
}

// write sends one message of two parts in one Write.
func (c *rawConn) write(head, body []byte) error {
	c.out = binary.BigEndian.AppendUint32(c.out[:0], uint32(len(head)+len(body)))
	c.out = append(c.out, head...)
	c.out = append(c.out, body...)
	_, err := c.conn.Write(c.out)
	return err
}
