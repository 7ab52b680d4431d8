package wire

import (
	"errors"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
)

// keep is how much of a message is remembered until it is whole.
const keep = 1 << 20

// A message is what there is to print of one message.
type message struct {
	fromClient bool
	at         time.Duration // when its last byte came, from the connection's beginning on
	size       int64
	text       string // what it means
	fields     []Field
	wrong      string // what is wrong with it, if something is
	head       []byte // its first bytes
}

// A direction cuts what passes one way into messages.
type direction struct {
	dialect
	fromClient bool
	show       func(message)

	have    []byte // of the current message
	size    int64  // what has come of it
	at      int64  // where it begins in the direction
	passing bool   // nothing can be read any more
}

// feed takes bytes that have passed.
func (d *direction) feed(b []byte, at time.Duration) {
	for len(b) > 0 {
		if d.passing {
			d.emit(message{at: at, size: int64(len(b)), head: b, text: "not readable"})
			d.at += int64(len(b))
			return
		}
		take, whole, err := d.cut(d.have, d.size, b)
		if err != nil {
			d.give(err, b, at)
			return
		}
		d.have = append(d.have, b[:min(take, keep-len(d.have))]...)
		d.size += int64(take)
		b = b[take:]
		if whole {
			says, err := d.explain(d.have, d.size)
			d.emit(message{at: at, size: d.size, head: d.have, text: says.text, fields: says.fields, wrong: d.where(err)})
			d.next()
		}
	}
}

// give gives reading up: the messages' bounds are lost.
func (d *direction) give(err error, b []byte, at time.Duration) {
	head := append(d.have, b...)
	d.emit(message{at: at, size: d.size + int64(len(b)), head: head, wrong: d.where(err) + "; nothing after it can be read"})
	d.at += d.size + int64(len(b))
	d.have, d.size, d.passing = nil, 0, true
}

// end reports what has come of a message that will not be whole.
func (d *direction) end(at time.Duration) {
	if d.size > 0 {
		wrong := d.where(&frames.Error{Offset: int(d.size), Reason: "the direction ended within a message"})
		d.emit(message{at: at, size: d.size, head: d.have, wrong: wrong})
		d.next()
	}
}

func (d *direction) next() {
	d.at += d.size
	d.size = 0
	if d.have = d.have[:0]; cap(d.have) > keep/16 {
		d.have = nil // it was a large one
	}
}

// where says where an error is in all that passed this way.
func (d *direction) where(err error) string {
	if err == nil {
		return ""
	}
	offset := d.at
	var at *frames.Error
	if errors.As(err, &at) {
		offset += int64(at.Offset)
	}
	return "malformed at byte " + itoa(offset) + ": " + err.Error()
}

func (d *direction) emit(m message) {
	m.fromClient = d.fromClient
	d.show(m)
}
