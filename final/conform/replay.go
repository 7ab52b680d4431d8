package conform

import (
	"errors"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// A replay is a rule that a section of a capture shows: its client's bytes are
// sent, and its server's expected.
type replay struct {
	file, section, says string
	slow                time.Duration // the server's own time limit that it waits for
	offered             bool          // the server may not have the codec
}

const (
	callsFile    = "final-calls.txt"
	oddFile      = "final-odd.txt"
	helloBadFile = "final-hello-bad.txt"
	badFile      = "final-server-bad.txt"
	protobufFile = "final-protobuf.txt"
	compressFile = "final-compress.txt"
)

// replays are all sections that show a server's side, but for those that
// ownRules have with bytes that depend on the server.
var replays = []replay{
	{file: callsFile, section: "a call", says: "Each request gets one response or one error"},
	{file: callsFile, section: "a hello with metadata", says: "about the connection, not about a call"},
	{file: callsFile, section: "a call without params and result", says: "one value in the connection's [codec](#bodies-and-codecs); no bytes if there is none"},
	{file: callsFile, section: "a call with a deadline", says: "how many milliseconds the caller waits, counted from sending"},
	{file: callsFile, section: "a call with metadata", says: "[pairs](#pairs-and-texts) beside the params"},
	{file: callsFile, section: "errors", says: "An error frame never means success"},
	{file: callsFile, section: "replies in another order", says: "Replies come in any order."},
	{file: callsFile, section: "ping from the client", says: "The receiver of a ping answers with a pong of the same ID"},

	{file: oddFile, section: "hello and a call in one write", says: "A server also accepts requests that follow the client's hello directly."},
	{file: oddFile, section: "IDs with gaps", says: "each request's is above that of the request before; gaps are allowed"},
	{file: oddFile, section: "the smallest limit of a client", says: "the largest [length](#frames) of a frame that this side reads, in bytes; at least 1,024"},
	{file: oddFile, section: "params that are missing", says: "Empty params stand for the zero value of the method's parameter, as `null` does."},
	{file: oddFile, section: "params that are null", says: "Empty params stand for the zero value of the method's parameter, as `null` does."},
	{file: oddFile, section: "params that nobody wants", says: "Params to a method that takes none are ignored."},
	{file: oddFile, section: "fields that nobody knows", says: "unknown members are ignored"},
	{file: oddFile, section: "metadata without pairs", says: "A field in brackets is there if flag 01 is set."},
	{file: oddFile, section: "metadata with a key twice", says: "If a key occurs twice, its last value counts."},
	{file: oddFile, section: "gob's flags without gob", says: "With other codecs it means nothing"},
	{file: oddFile, section: "cancel for nobody", says: "A cancel for a call that is not in flight is ignored"},
	{file: oddFile, section: "cancel twice", says: "A cancel for a call that is not in flight is ignored"},
	{file: oddFile, section: "pong for nobody", says: "A pong without a ping means nothing."},
	{file: oddFile, section: "pings with one ID", says: "the sender chooses; 0 is allowed"},
	{file: oddFile, section: "the deadline passes on the server", says: "the answer comes when the handler returns, most often with deadline_exceeded"},
	{file: oddFile, section: "the client closes", says: "A client has no go-away: it closes."},

	{file: helloBadFile, section: "hello: wrong magic", says: "it does not begin with the magic"},
	{file: helloBadFile, section: "hello: unknown version", says: "A server's hello has the version that the server speaks, whatever the client's hello said"},
	{file: helloBadFile, section: "hello: version 0", says: "A server's hello has the version that the server speaks, whatever the client's hello said"},
	{file: helloBadFile, section: "hello: too long", says: "a length above the limit, whatever the version"},
	{file: helloBadFile, section: "hello: fields cut short", says: "fields that do not fit the length"},
	{file: helloBadFile, section: "hello: unknown codec", says: "no such method, codec, version or kind"},
	{file: helloBadFile, section: "hello: too small a limit", says: "a largest message below 1,024"},
	{file: helloBadFile, section: "hello: pairs cut short", says: "refusal `invalid_argument`: protocol: truncated pairs"},
	{file: helloBadFile, section: "hello: bad key", says: "a key is 1 to 128 bytes of `a-z 0-9 - _ .`"},
	{file: helloBadFile, section: "hello: bad value", says: "a value is UTF-8 without control characters"},
	{file: helloBadFile, section: "hello: it does not come", says: "no whole hello within 10 s", slow: 10 * time.Second},

	{file: badFile, section: "request: unknown method", says: "the handler was never started: the call may be made again without doing anything twice"},
	{file: badFile, section: "request: no method", says: "a name of no bytes"},
	{file: badFile, section: "request: method too long", says: "a method's name | 128 bytes"},
	{file: badFile, section: "request: method not UTF-8", says: "the exact name, `Service.Method`, UTF-8"},
	{file: badFile, section: "request: params do not fit", says: "another type than the method's"},
	{file: badFile, section: "request: params are not JSON", says: "A body is one JSON value, RFC 8259, in UTF-8"},
	{file: badFile, section: "request: more after the params", says: "A value after the value is an error."},
	{file: badFile, section: "request: metadata cut short", says: "a key or value that goes past the pairs' end"},
	{file: badFile, section: "request: metadata without a value", says: "error `invalid_argument`: protocol: truncated pairs"},
	{file: badFile, section: "request: bad metadata key", says: "a key is 1 to 128 bytes of `a-z 0-9 - _ .`"},
	{file: badFile, section: "request: empty metadata key", says: "a key is 1 to 128 bytes of `a-z 0-9 - _ .`"},
	{file: badFile, section: "request: metadata of two lines", says: "a value is UTF-8 without control characters"},
	{file: badFile, section: "request: metadata not UTF-8", says: "a value is UTF-8 without control characters"},

	{file: badFile, section: "frame: length 0", says: "The length counts the bytes after the length field, so it is at least 10."},
	{file: badFile, section: "frame: length 9", says: "The length counts the bytes after the length field, so it is at least 10."},
	{file: badFile, section: "frame: length 4 GiB", says: "The reader checks that before it allocates anything"},
	{file: badFile, section: "frame: a second hello", says: "Each side says hello once, the client first."},
	{file: badFile, section: "frame: kind 0", says: "A receiver of version 1 ends the connection if it gets one of them"},
	{file: badFile, section: "frame: kind of a stream", says: "Kinds 8 to 15 are for streams"},
	{file: badFile, section: "frame: unknown kind", says: "A receiver of version 1 ends the connection if it gets one of them"},
	{file: badFile, section: "frame: response from a client", says: "a response, which only a server sends"},
	{file: badFile, section: "frame: error from a client", says: "protocol: the client sent a frame of kind 3"},
	{file: badFile, section: "frame: go-away from a client", says: "A client has no go-away: it closes."},
	{file: badFile, section: "frame: reserved flags", says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have."},
	{file: badFile, section: "frame: flag of another kind", says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have."},
	{file: badFile, section: "frame: flags on a cancel", says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have."},
	{file: badFile, section: "frame: fields on a ping", says: "cancel, ping, pong: nothing, their length is 10"},
	{file: badFile, section: "frame: request cut short", says: "fields that do not fit the length"},
	{file: badFile, section: "frame: method past the end", says: "fields that do not fit the length"},
	{file: badFile, section: "frame: metadata past the end", says: "fields that do not fit the length"},
	{file: badFile, section: "frame: ID 0", says: "The first is 1 or more"},
	{file: badFile, section: "frame: an ID in flight", says: "a reply could not say which of the two it is for"},
	{file: badFile, section: "frame: a lower ID", says: "each request's is above that of the request before"},
	{file: badFile, section: "frame: it does not end", says: "30 s from its first byte on", slow: 30 * time.Second},

	{file: compressFile, section: "compressed: not agreed upon", says: "Only if the hellos have agreed upon it"},

	{file: protobufFile, section: "a call", says: "one message in Protocol Buffers' binary encoding, without a length before it", offered: true},
}

// rule makes the section a rule.
func (r replay) rule(section frames.Section) Rule {
	name := r.section
	if r.offered {
		name = "protobuf: " + name
	}
	return Rule{Name: name, Says: r.says, slow: r.slow > 0, test: func(s *server) error {
		c, err := s.dial()
		if err != nil {
			return err
		}
		defer c.close()
		if r.slow > 0 {
			c.timeout += r.slow
		}
		for i, p := range section.Packets {
			err := c.replay(p)
			if i == 1 && r.offered && c.bounds.Code == wire.Unimplemented {
				return skip("the server does not offer this codec")
			}
			if err != nil {
				return err
			}
		}
		if name == callRule {
			return nil // pings have a rule of their own, after this one
		}
		return c.after(s, section.Packets[len(section.Packets)-1])
	}}
}

// replay does what one line of a capture says.
func (c *client) replay(p frames.Packet) error {
	switch {
	case p.FromClient && len(p.Data) == 0:
		c.close()
		return nil
	case p.FromClient:
		c.count(p.Data)
		c.send(p.Data)
		return nil
	case len(p.Data) == 0:
		return c.ended()
	}
	return c.expect(p.Data)
}

// count notes the calls, and the client's limit, in bytes that are about to be
// sent. A call's own timeout is waited for, too.
func (c *client) count(b []byte) {
	if h, err := frames.ParseHello(b[:min(len(b), max(frames.Size(b, true), 0))]); err == nil {
		if hello, err := h.Client(); err == nil {
			c.largest = int(hello.MaxMessage)
		}
		b = b[frames.Size(b, true):]
	}
	f, err := frames.ParseFrame(b)
	if err != nil || f.Kind != wire.KindRequest {
		return
	}
	r, err := f.Request()
	var wrong *frames.Error
	if errors.As(err, &wrong) && !wrong.InPairs {
		return // no call, but the connection's end
	}
	c.open[r.ID] = true
	c.timeout += time.Duration(r.TimeoutMS) * time.Millisecond
}

// after checks the connection after a section's last line: it goes on, or ends,
// or, if the client has left, others can come.
func (c *client) after(s *server, last frames.Packet) error {
	switch {
	case last.FromClient:
		return s.takesCalls()
	case len(last.Data) == 0:
		return nil
	case c.wentAway:
		return c.ended()
	}
	return c.alive()
}

// takesCalls checks that the server answers on a new connection.
func (s *server) takesCalls() error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.hello(); err != nil {
		return err
	}
	return c.check(1)
}
