package rpc

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// waitReason is why a group's calls wait: in words, and in errors as far as there are some.
type waitReason struct {
	words    string
	last     *Error // of the last attempts to connect
	lost     *Error // of the last connections, where no attempt has failed since
	resolver error
	closed   bool
}

func (g *group) waitReason(w *waitingCall) waitReason {
	g.mu.Lock()
	members, heard := *g.members.Load(), g.heard
	p := waitReason{closed: g.closed, resolver: g.resolveErr}
	g.mu.Unlock()
	var addrs, connected []string
	most := 0 // streams of a connection
	for _, c := range members {
		addr := cmp.Or(c.addr, "the server") // NewClient's has no address
		addrs = append(addrs, addr)
		if conn := c.conn.Load(); conn != nil {
			connected = append(connected, addr)
			most = max(most, conn.streamPlaces())
		}
		if e := c.failure(); e != nil && (p.last == nil || e.Code == Unavailable && p.last.Code != Unavailable) {
			p.last = e
		} else if e == nil && p.lost == nil {
			p.lost = c.lost.Load()
		}
	}
	switch {
	case len(members) == 0 && heard:
		p.words = "the resolver knows no servers"
	case len(members) == 0:
		p.words = "waiting for the resolver"
	case len(connected) > 0: // it waits for these, whatever keeps others from being connected
		p.last, p.lost = nil, nil
		p.words = "all connections to " + some(connected) + " have as many calls in flight as the servers allow"
		switch {
		case w.stream:
			p.words = fmt.Sprintf("all connections to %s have as many streams open as they may, at most %d each (WithMaxStreams, WithConnStreamMemory)", some(connected), most)
		case w.params > 0:
			p.words = cmp.Or(roomReason(members, some(connected), w.params), p.words)
		}
	default:
		p.words = "connecting to " + some(addrs)
	}
	return p
}

// roomReason is why a call waits in the crowd, in words; "" if no connection has a slot for it.
func roomReason(members []*Client, connected string, params int64) (words string) {
	for _, c := range members {
		switch conn := c.conn.Load(); {
		case conn == nil || conn.isFull(false):
		case conn.hasRoomFor(params):
			return "other calls that wait for room for their params come first on the connections to " + connected
		default:
			words = fmt.Sprintf("all connections to %s have too many bytes of params in flight for %d more", connected, params)
		}
	}
	return words
}

// some returns a list in words that stays short.
func some(addrs []string) string {
	const most = 3
	if len(addrs) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(addrs[:most], ", "), len(addrs)-most)
	}
	return strings.Join(addrs, ", ")
}

// unavailable is the error of a call that need not wait any longer, and why.
func (g *group) unavailable(w *waitingCall) *Error {
	p := g.waitReason(w)
	switch {
	case p.closed:
		return unrun(Errorf(Canceled, "%w", ErrClientClosed))
	case p.resolver == nil && p.last != nil:
		return p.last
	case p.resolver == nil && p.lost != nil: // a pause follows, in which there is no attempt
		return p.lost
	}
	return p.error("")
}

// waitedTooLong is the error of a call without a deadline that no member could take.
func (g *group) waitedTooLong(w *waitingCall) *Error {
	p := g.waitReason(w)
	return p.error(fmt.Sprintf("; waited %v (WithMaxWait)", g.options.maxWait))
}

func (p *waitReason) error(suffix string) *Error {
	e := &Error{Code: Unavailable, Message: p.words, neverRan: true}
	var causes []error
	if p.last != nil {
		e.Message, causes = p.last.Message, append(causes, p.last)
	}
	if p.resolver != nil {
		e.Message += "; the resolver: " + cleanText(because(Unavailable, "", p.resolver).Message, wire.MaxErrorText)
		causes = append(causes, p.resolver)
	}
	e.Message += suffix
	e.cause = errors.Join(causes...)
	return e
}

// gaveUp is the error of a call whose context ended while it waited.
func (g *group) gaveUp(w *waitingCall, ctxErr error) *Error {
	p := g.waitReason(w)
	e := unrun(contextError(ctxErr))
	e.Message = p.words + ": " + e.Message
	causes := []error{ctxErr}
	if p.last != nil {
		e.Message += "; the last attempt: " + p.last.Message
		causes = append(causes, withoutCode(p.last))
	}
	if p.resolver != nil {
		e.Message += "; the resolver: " + cleanText(because(Unavailable, "", p.resolver).Message, wire.MaxErrorText)
		causes = append(causes, p.resolver)
	}
	e.cause = errors.Join(causes...)
	return e
}

// withoutCode returns what e is made from, down to an error that has no code: the
// call that it becomes a cause of has its own.
func withoutCode(e *Error) error {
	for {
		cause := e.cause
		inner, found := causes.Find[*Error](cause)
		if !found {
			return cause
		}
		e = inner
	}
}
