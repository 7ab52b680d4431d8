package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/internal/plaintext"
	"example.com/rpc-from-scratch/final/rpc"
)

// The forms of a stream. An item is an event of the first, a line of the second.
const (
	eventStream = "text/event-stream"
	ndjson      = "application/x-ndjson"
)

const (
	// openAfter is how long a stream's first item, or its end, is waited for. Then the client
	// is told that the stream is open, and an error that is still to come is the stream's end.
	openAfter = time.Second
	// pingEvery is how often a silent stream says that it is alive. Who has gone without a
	// word is found out by that, and who has sent more than the request: net/http reads no
	// further then, and does not see the connection end.
	pingEvery = 15 * time.Second
)

// serveGET opens a stream by GET, whose params are in the URL.
func (g *Gateway) serveGET(w http.ResponseWriter, r *http.Request, name string) {
	asPost := *r
	asPost.Method = http.MethodPost // a GET of any site is let through
	if g.origins.Check(&asPost) != nil {
		fail(w, http.StatusForbidden, errOrigin)
		return
	}
	c, status, err := g.readHeader(r, name)
	if err != nil {
		fail(w, status, err)
		return
	}
	query, err := queryOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err)
		return
	}
	params := query["params"]
	body := []byte(strings.Join(params, ""))
	switch {
	case len(params) > 1:
		fail(w, http.StatusBadRequest, rpc.Errorf(rpc.InvalidArgument, "params are given more than once"))
	case int64(len(body)) > g.options.maxBody:
		fail(w, http.StatusRequestEntityTooLarge, rpc.Errorf(rpc.ResourceExhausted, "params of more than %d bytes", g.options.maxBody))
	default:
		g.ifAuthorized(w, r, c, func(ctx context.Context, a *rpc.Authorized) { g.serveStream(ctx, w, r, c, a, body) })
	}
}

// queryOf decodes the query of the URL. URL.Query would leave out what does not decode, and
// the answer would be that to another question.
func queryOf(r *http.Request) (url.Values, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, rpc.Errorf(rpc.InvalidArgument, "the query of the URL does not decode (is it escaped?): %v", err)
	}
	return query, nil
}

// errNoHTTP refuses streams whose caller sends more than params.
func errNoHTTP(c *call) *rpc.Error {
	return rpc.Errorf(rpc.Unimplemented, "%s is a %s: over HTTP there are calls and server streams; this one needs a connection of package rpc", c.method, c.kind)
}

// serveStream answers with the items of a server stream, and with its end.
func (g *Gateway) serveStream(ctx context.Context, w http.ResponseWriter, r *http.Request, c *call, a *rpc.Authorized, params []byte) {
	b := boundOf(g.options.maxStreams, g.options.peerStreams)
	p, fair := g.streams.take(b, 0, originOf(r), func() {})
	if p == nil {
		err := rpc.Errorf(rpc.ResourceExhausted, "more than %d streams are open", b.all)
		if !fair {
			err = errUnfair(b, "streams of this address are open")
		}
		fail(w, http.StatusTooManyRequests, err)
		return
	}
	p.arrived()
	defer p.leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stream{
		ctx:    ctx,
		call:   c,
		w:      w,
		events: wantsEvents(r.Header),
		items:  make(chan []byte),
		ended:  make(chan error, 1),
	}
	p.share()
	go s.run(a, p, params)
	s.serve()
}

// stream is a stream on its way to a client. Its handler has a goroutine of its own, which
// hands over one item at a time: it makes the next one while the client reads this one.
type stream struct {
	ctx    context.Context // ends when the client leaves, or when this has failed
	call   *call           // its header and trailer are the handler's until an item, or the end, has been received
	w      http.ResponseWriter
	events bool // it is an event stream, else lines
	items  chan []byte
	ended  chan error
	open   bool // the status was sent
}

// run runs the handler. A handler that does not look at its context runs on, and keeps its place.
func (s *stream) run(a *rpc.Authorized, p *place, params []byte) {
	err := error(rpc.Errorf(rpc.Internal, "the handler of %s ended its goroutine (runtime.Goexit)", s.call.method))
	defer func() {
		p.leave()
		s.ended <- err
	}()
	err = a.InvokeStream(s.ctx, params, func(ctx context.Context, item []byte) error {
		select {
		case s.items <- item:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

// serve writes what the handler sends, until its end, the client's, or that of the time.
func (s *stream) serve() {
	alive := time.NewTimer(openAfter)
	defer alive.Stop()
	for {
		var err error
		select {
		case item := <-s.items:
			err = s.sendItem(item)
		case err := <-s.ended:
			s.end(err, s.call.header, s.call.trailer)
			return
		case <-alive.C:
			err = s.ping()
			alive.Reset(pingEvery)
		case <-s.ctx.Done():
			s.end(rpc.Errorf(rpc.CodeOf(s.ctx.Err()), "%w", s.ctx.Err()), nil, nil) // the handler may still set them
			return
		}
		if err != nil {
			return // it has left, or does not read
		}
	}
}

// sendItem writes an item, and those that its handler has ready by then. They leave at
// once. An item that is nil is the header alone.
func (s *stream) sendItem(item []byte) error {
	for {
		s.start(s.call.header)
		if item != nil {
			if err := s.writeItem(item); err != nil {
				return err
			}
		}
		select {
		case item = <-s.items:
		default:
			return s.flush()
		}
	}
}

// writeItem writes an item as an event or a line.
func (s *stream) writeItem(item []byte) error {
	if len(item) == 0 {
		item = []byte("null")
	}
	if bytes.ContainsAny(item, "\r\n") { // by a user's marshaler: between values, where they mean nothing
		var line bytes.Buffer
		if json.Compact(&line, item) == nil {
			item = line.Bytes()
		}
	}
	if s.events {
		return s.write([]byte("data: "), item, []byte("\n\n"))
	}
	return s.write([]byte(`{"item":`), item, []byte("}\n"))
}

// ping says that the stream is open and alive.
func (s *stream) ping() error {
	opened := s.open
	s.start(nil)
	if opened {
		alive := " " // before the next line, where JSON may have it
		if s.events {
			alive = ": alive\n\n"
		}
		if err := s.write([]byte(alive)); err != nil {
			return err
		}
	}
	return s.flush()
}

// end says how the stream has ended. An error before the first item is like that of a call.
func (s *stream) end(err error, header, trailer rpc.Metadata) {
	err = endOfCall(s.ctx, err)
	if err != nil && !s.open {
		addMetadata(s.w.Header(), header)
		failStream(s.w, statusOf(rpc.CodeOf(err)), err, trailer)
		return
	}
	s.start(header)
	if s.write(s.endText(endOf(err, trailer), err)) == nil {
		s.flush()
	}
}

// endOf returns an end as JSON.
func endOf(err error, trailer rpc.Metadata) string {
	if err != nil {
		return strings.TrimSuffix(errorText(coded(err), trailer), "\n")
	}
	text, _ := json.Marshal(struct { // texts are always encoded
		Code    string       `json:"code"`
		Trailer rpc.Metadata `json:"trailer,omitempty"`
	}{rpc.OK.String(), trailer})
	return plaintext.Line(string(text))
}

// endText returns an end as an event or a line. A browser connects again after a pause,
// which the error may name, unless its page has closed the stream.
func (s *stream) endText(text string, err error) []byte {
	if !s.events {
		return []byte(`{"end":` + text + "}\n")
	}
	retry := ""
	if wait, ok := rpc.RetryAfter(err); ok {
		retry = "retry: " + strconv.FormatInt(wait.Milliseconds(), 10) + "\n"
	}
	return []byte("event: end\n" + retry + "data: " + text + "\n\n")
}

// start sends the status, once.
func (s *stream) start(header rpc.Metadata) {
	if s.open {
		return
	}
	s.open = true
	h := s.w.Header()
	addMetadata(h, header)
	kind := ndjson
	if s.events {
		kind = eventStream
	}
	h.Set("Content-Type", kind)
	h.Set("X-Accel-Buffering", "no") // a proxy that collects what it passes on would keep items back
	s.w.WriteHeader(http.StatusOK)
}

// write writes an item, or an end, within the time that an answer of that size has.
func (s *stream) write(parts ...[]byte) error {
	if t, ok := s.w.(*timedWriter); ok {
		t.restart()
	}
	for _, part := range parts {
		if _, err := s.w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// flush sends what was written, under the deadline of the last of it.
func (s *stream) flush() error {
	err := http.NewResponseController(s.w).Flush()
	if t, ok := s.w.(*timedWriter); ok && err == nil {
		t.rest()
	}
	return err
}
