package rpccmd

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.com/rpc-from-scratch/final/rpc"
)

// streaming is a stream that call makes.
type streaming struct {
	opened  rpc.OpenedStream
	message *message
	fault   chan error // why an item could not be sent, if that is this side's fault
	sent    int        // items; of send's goroutine
}

// printer is where what a stream receives goes.
type printer struct {
	item     func(text []byte) error
	metadata func(md rpc.Metadata) // the header, and then the trailer; nil: they are not wanted
}

// callStream opens a stream, sends items if it takes some, and prints what it receives. The items are that of the message, if there is one, and the lines of stdin, unless
// that is nil.
func callStream(ctx context.Context, c rpc.Caller, method string, m *message, stdin io.Reader, out printer) error {
	var params any
	if m.kind == rpc.ServerStreaming {
		params = m.params
	}
	opened, err := rpc.OpenStream(ctx, c, m.kind, method, params)
	if err != nil {
		return explainCall(ctx, c, method, err)
	}
	defer opened.Close()
	s := &streaming{opened: opened, message: m, fault: make(chan error, 1)}
	if m.kind != rpc.ServerStreaming {
		go s.send(ctx, stdin) // it may still wait for a line when the stream has ended
	}
	err = s.receive(ctx, out)
	select {
	case fault := <-s.fault:
		return withEnd(fault, err)
	default:
	}
	if err != nil {
		return explainCall(ctx, c, method, err)
	}
	return nil
}

// receive prints items until the stream ends, after the header and before the trailer.
func (s *streaming) receive(ctx context.Context, out printer) error {
	if out.metadata == nil {
		return s.receiveItems(ctx, out.item)
	}
	md, err := s.opened.Header(ctx)
	out.metadata(md)
	if err == nil {
		err = s.receiveItems(ctx, out.item)
	}
	out.metadata(s.opened.Trailer())
	return err
}

func (s *streaming) receiveItems(ctx context.Context, print func(text []byte) error) error {
	for {
		item := s.message.newReply()
		err := s.opened.Receive(ctx, item)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		text, err := s.message.text(item)
		if err != nil {
			return failf("an item as JSON: %w", err)
		}
		if err := print(text); err != nil {
			return err
		}
	}
}

// partly is an error of this side after it has sent items. It is no usage error: they may
// have had their effect.
type partly struct {
	error
	sent int
}

// withEnd adds to a fault of this side how the stream has ended, unless that was closed
// for it.
func withEnd(fault, end error) error {
	after, ok := errors.AsType[*partly](fault)
	if !ok {
		return fault
	}
	items := "the item before it was sent"
	if after.sent > 1 {
		items = fmt.Sprintf("the %d items before it were sent", after.sent)
	}
	err := failf("%v", fault)
	if end != nil {
		return hint(err, "%s; then the stream failed: %s", items, strings.TrimPrefix(end.Error(), "rpc: "))
	}
	return hint(err, "%s, and no later one; the stream ended as if they were all", items)
}

// send sends the items, and then ends this half. If this side is to blame that there are no
// more, the reply to those before still says what became of them; without any, it closes
// the stream. Of all else the receiver knows.
func (s *streaming) send(ctx context.Context, stdin io.Reader) {
	err := s.sendAll(ctx, stdin)
	switch own := err != nil && isOwnFault(err); {
	case own && s.sent == 0:
		s.fault <- err // first: closing ends receive
		_ = s.opened.Close()
		return
	case own:
		s.fault <- &partly{err, s.sent}
	}
	_ = s.opened.CloseSend() // if that fails, the stream has ended
}

// isOwnFault reports whether an item could not be read or made, or was not taken for what it is.
func isOwnFault(err error) bool {
	var coded *rpc.Error
	if !errors.As(err, &coded) {
		return true
	}
	own := coded.Code == rpc.InvalidArgument || coded.Code == rpc.ResourceExhausted
	return own && !coded.Remote()
}

func (s *streaming) sendAll(ctx context.Context, stdin io.Reader) error {
	if s.message.params != nil {
		return s.sendOne(ctx, s.message.params)
	}
	if stdin == nil {
		return nil
	}
	lines := newLines(stdin)
	for {
		text, err := lines.next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		item, err := s.message.encode(text)
		if err != nil {
			return lines.at(err)
		}
		if err := s.sendOne(ctx, item); err != nil {
			return err
		}
	}
}

func (s *streaming) sendOne(ctx context.Context, item any) error {
	err := s.opened.Send(ctx, item)
	if err == nil {
		s.sent++
	}
	return err
}

// lines are JSON, a value a line.
type lines struct {
	in *bufio.Reader
	n  int
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReader(in)} }

// next returns the next line that is not empty, or io.EOF. The last one needs no newline.
func (l *lines) next() (json.RawMessage, error) {
	for {
		text, err := l.read()
		l.n++
		if err != nil && (err != io.EOF || len(bytes.TrimSpace(text)) == 0) {
			return nil, err
		}
		text, fault := utf8Text("items", text)
		if fault != nil {
			return nil, l.at(fault)
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		var checked json.RawMessage
		if err := json.Unmarshal(text, &checked); err != nil {
			return nil, l.at(usagef("an item is not JSON on one line: %w", err))
		}
		return checked, nil
	}
}

// read reads a line, if it is no longer than params may be.
func (l *lines) read() (text []byte, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > mostParams:
			return nil, failf("line %d of standard input: more than %d MiB", l.n+1, mostParams>>20)
		case err == bufio.ErrBufferFull:
			continue
		case err != nil && err != io.EOF:
			return nil, failf("read items: %w", err)
		}
		return text, err
	}
}

// at says on which line an error is.
func (l *lines) at(err error) error { return fmt.Errorf("line %d of standard input: %w", l.n, err) }
