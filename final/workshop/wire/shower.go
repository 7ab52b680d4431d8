package wire

import (
	"strings"
	"sync"
	"time"
)

// A sink takes what all connections have to say.
type sink interface {
	event(conn int, at time.Duration, text string)
	message(conn int, m message)
}

// A Message is one that has passed, or something that happened to a connection.
type Message struct {
	Conn       int           // 1 for the first connection
	At         time.Duration // since the connection began
	Event      string        // what happened; "" for a message, of which the rest is
	FromClient bool
	Size       int64
	Meaning    string
	Wrong      string  // what is wrong with it; "" if nothing is
	Call       string  // the id of the call that it belongs to; "" if it names none
	Fields     []Field // none if its meaning says it all
	Head       []byte  // its first bytes
}

// A side is one direction of a connection.
type side struct {
	conn       int
	fromClient bool
}

// A shower gives what all connections have to say to a function.
type shower struct {
	show func(Message)
	max  int // bytes of a message that are given

	mu    sync.Mutex
	calls map[side]string // the call that the last message of a side belongs to
}

func (s *shower) event(conn int, at time.Duration, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.show(Message{Conn: conn, At: at, Event: text})
}

func (s *shower) message(conn int, m message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := side{conn, m.fromClient}
	if !strings.HasPrefix(m.text, "  ") { // else it is the value of the one before
		s.calls[at] = callOf(m.text)
	}
	s.show(Message{
		Conn: conn, At: m.at, FromClient: m.fromClient, Size: m.size, Meaning: m.text, Wrong: m.wrong,
		Call: s.calls[at], Fields: m.fields, Head: append([]byte(nil), m.head[:min(len(m.head), s.max)]...),
	})
}

// callOf returns the id in what a message means: "request 7 Shop.Buy". It is the second
// word, if that is a number.
func callOf(text string) string {
	_, rest, _ := strings.Cut(text, " ")
	id, _, _ := strings.Cut(strings.TrimPrefix(rest, "after call "), " ")
	id = strings.TrimRight(id, ",")
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return ""
	}
	return id
}
