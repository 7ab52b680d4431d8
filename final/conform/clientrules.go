package conform

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

const (
	clientBadFile = "final-client-bad.txt"
	goAwayFile    = "final-go-away.txt"
)

// clientReplays are the sections that show what a client has to take, and what
// it must not. Their server's bytes are sent.
var clientReplays = []replay{
	{file: callsFile, section: "a call", says: "Each side says hello once, the client first."},
	{file: goAwayFile, section: "client: a ping from the server", says: "The receiver of a ping answers with a pong of the same ID"},
	{file: clientBadFile, section: "client: bad: hello of another protocol", says: "it does not begin with the magic"},
	{file: clientBadFile, section: "client: bad: hello of another version", says: "the version is not the client's"},
	{file: clientBadFile, section: "client: bad: hello cut short", says: "fields that do not fit the length"},
	{file: clientBadFile, section: "client: bad: hello too long", says: "above 16 KiB"},
	{file: clientBadFile, section: "client: bad: hello without a single call", says: "accepted, with 0 calls in flight"},
	{file: clientBadFile, section: "client: bad: hello with too small a limit", says: "accepted, with a largest message below 1,024"},
	{file: clientBadFile, section: "client: bad: hello that refuses with an unknown code", says: "a refusal all the same"},
	{file: clientBadFile, section: "client: bad: length 0", says: "a length below 10"},
	{file: clientBadFile, section: "client: bad: length over the limit", says: "The reader checks that before it allocates anything"},
	{file: clientBadFile, section: "client: bad: unknown kind", says: "A receiver of version 1 ends the connection if it gets one of them"},
	{file: clientBadFile, section: "client: bad: request from a server", says: "A mistake of the server ends the connection, too: the client closes it."},
	{file: clientBadFile, section: "client: bad: cancel from a server", says: "A mistake of the server ends the connection, too: the client closes it."},
	{file: clientBadFile, section: "client: bad: reserved flags", says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have."},
	{file: clientBadFile, section: "client: bad: flag of another kind", says: "It is an error of the sender to set a flag on another kind than the table says, or a flag that the table does not have."},
	{file: clientBadFile, section: "client: bad: response to nobody", says: "a reply to a call that is not in flight"},
	{file: clientBadFile, section: "client: bad: error to nobody", says: "a reply to a call that is not in flight"},
	{file: clientBadFile, section: "client: bad: error without fields", says: "fields that do not fit the length"},
	{file: clientBadFile, section: "client: bad: error cut short", says: "fields that do not fit the length"},
	{file: clientBadFile, section: "client: bad: error and more", says: "Nothing comes after the fields of an error, a go-away, an end, a credit or a want."},
	{file: clientBadFile, section: "client: bad: details cut short", says: "`client: bad: details cut short`"},
	{file: clientBadFile, section: "client: bad: reply metadata that were not granted", says: "flag 20 without a grant"},
	{file: clientBadFile, section: "client: bad: reply metadata cut short", says: "a size that goes past the frame's end"},
	{file: clientBadFile, section: "client: bad: reply metadata of an error cut short", says: "If the size goes past the frame's end, the client closes the connection."},
	{file: clientBadFile, section: "client: bad: fields on a pong", says: "cancel, ping, pong: nothing, their length is 10"},
	{file: clientBadFile, section: "client: bad: go-away without fields", says: "`client: bad: go-away without fields`"},
	{file: clientBadFile, section: "client: bad: the end within a frame", says: "`client: bad: the end within a frame`"},
	{file: clientBadFile, section: "client: bad: the end", says: "not bad, but without a go-away the client does not know which calls ran"},
	{file: clientBadFile, section: "client: a result that is not JSON", says: "A result that does not decode fails its one call with internal"},
}

// ownClientRules are those that no capture can show.
var ownClientRules = []Rule{
	{Name: "client: no request before the server's hello", Says: "A client waits for the server's hello before its first request", test: asServer(clientWaits)},
	{Name: "client: bytes one by one", Says: "The transport is a reliable stream of bytes", test: asServer(clientOneByOne)},
	{Name: "client: a ping right behind the hello", Says: "A client must read the server's hello to its length and not a byte further: frames come next.", test: asServer(clientReadsAhead)},
	{Name: "client: an error", Says: "An error frame never means success", test: asServer(clientError(wire.NotFound))},
	{Name: "client: an error with an unknown code", Says: "a receiver treats 0, and a code that it does not know, as 2, unknown", test: asServer(clientError(99))},
	{Name: "client: an error with code 0", Says: "a receiver treats 0, and a code that it does not know, as 2, unknown", test: asServer(clientError(wire.OK))},
	{Name: "client: a go-away below its call", Says: "Flag 08, or an ID above a go-away's: the call may be made again, or the stream opened, here or elsewhere.", test: asServer(clientNotServed)},
	{Name: "client: a go-away and then the reply", Says: "A client makes no new calls on this connection, and closes when its last one is answered.", test: asServer(clientDrains)},
}

// ClientRules returns the rules for clients, as Rules does those for servers.
func ClientRules(root string) ([]Rule, error) {
	var rules []Rule
	for _, r := range clientReplays {
		sections, err := readCapture(root, r.file)
		if err != nil {
			return nil, err
		}
		rules = append(rules, r.clientRule(sections[r.section]))
	}
	return inOrderOfNeeds(slices.Concat(rules, ownClientRules, replyMetadataClientRules, paramsClientRules, streamClientRules, edgeClientRules)), nil
}

// clientRule makes the section a rule for clients: what a server sends there fails
// the call, if the section's name says that it is bad.
func (r replay) clientRule(section frames.Section) Rule {
	name := r.section
	if !strings.HasPrefix(name, "client: ") {
		name = "client: " + name
	}
	return Rule{Name: name, Says: r.says, test: asServer(func(c *caller) error {
		for i, p := range section.Packets {
			if c.id != 0 && p.FromClient && len(p.Data) > 4 && wire.Kind(p.Data[4]) == wire.KindRequest {
				break // a second call, which the program does not make
			}
			if err := c.replay(p, i == 0, strings.HasPrefix(name, "client: bad: ")); err != nil {
				return err
			}
		}
		switch {
		case strings.HasPrefix(name, "client: bad: "):
			return inOrder(c.gone, c.fails)
		case strings.Contains(name, "not JSON"):
			return c.fails()
		}
		return c.succeeds(`{"Count":100}`)
	})}
}

// replay does what one line of a capture says: the server's are sent, the
// client's expected.
func (c *caller) replay(p frames.Packet, first, bad bool) error {
	switch {
	case p.FromClient && len(p.Data) == 0 && bad:
		return c.gone()
	case p.FromClient && len(p.Data) == 0:
		return nil // a program that makes one call closes when it wants
	case p.FromClient && first:
		return c.hello()
	case p.FromClient && wire.Kind(p.Data[4]) == wire.KindPong:
		return c.pong(p.Data)
	case p.FromClient:
		return c.request()
	case len(p.Data) == 0:
		c.conn.CloseWrite()
	default:
		c.send(c.forCall(p.Data))
	}
	return nil
}

// asServer makes a rule of what a server says to a client.
func asServer(say func(*caller) error) func(*server) error {
	return func(s *server) error {
		c, err := s.startCaller(checkStock, item1)
		if err != nil {
			return err
		}
		defer c.close()
		return say(c)
	}
}

// accept takes the client's hello, accepts it, and takes its request.
func (c *caller) accept() error {
	if err := c.hello(); err != nil {
		return err
	}
	c.send(acceptance)
	return c.request()
}

var acceptance = frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20}.Bytes()

func clientWaits(c *caller) error {
	if err := inOrder(c.hello, c.quiet); err != nil {
		return err
	}
	c.send(acceptance)
	if err := c.request(); err != nil {
		return err
	}
	c.send(response(c.id, `{"Count":100}`))
	return c.succeeds(`{"Count":100}`)
}

func clientOneByOne(c *caller) error {
	if err := c.hello(); err != nil {
		return err
	}
	c.pieces(acceptance)
	if err := c.request(); err != nil {
		return err
	}
	c.pieces(response(c.id, `{"Count":100}`))
	return c.succeeds(`{"Count":100}`)
}

// pieces sends bytes so that they arrive one by one.
func (c *caller) pieces(b []byte) {
	for i := range b {
		c.send(b[i : i+1])
		time.Sleep(pieceTime)
	}
	c.sent = b
}

func clientReadsAhead(c *caller) error {
	if err := c.hello(); err != nil {
		return err
	}
	ping, pong := frame(wire.KindPing, 7).Bytes(), frame(wire.KindPong, 7).Bytes()
	c.send(append(bytes.Clone(acceptance), ping...))
	first, err := c.read(false, "a pong")
	switch {
	case err != nil:
		return err
	case string(first) == string(pong):
		err = c.request()
	default: // the request came first
		err = inOrder(func() error { return c.take(first) }, func() error { return c.pong(pong) })
	}
	if err != nil {
		return err
	}
	c.send(response(c.id, `{"Count":100}`))
	return c.succeeds(`{"Count":100}`)
}

func clientError(code wire.Code) func(*caller) error {
	return func(c *caller) error {
		if err := c.accept(); err != nil {
			return err
		}
		c.send(frames.Reason{Code: code, Text: "no"}.Frame(wire.KindError, 0, c.id).Bytes())
		return c.fails()
	}
}

func clientNotServed(c *caller) error {
	if err := c.accept(); err != nil {
		return err
	}
	c.send(goAway(c.id-1, wire.Unavailable))
	return inOrder(c.gone, c.fails)
}

func clientDrains(c *caller) error {
	if err := c.accept(); err != nil {
		return err
	}
	c.send(goAway(c.id, wire.Unavailable))
	c.send(response(c.id, `{"Count":100}`))
	return inOrder(c.gone, func() error { return c.succeeds(`{"Count":100}`) })
}
