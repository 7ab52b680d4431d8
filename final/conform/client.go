package conform

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

const (
	quietTime = 150 * time.Millisecond // nothing that should not come came in it
	pieceTime = time.Millisecond       // between pieces that are to arrive as such
	pingID    = 0x7e57                 // of pings that only ask whether the server is there
)

// A client is one connection to the server, by hand. It knows which calls are in
// flight, so that a second reply is seen wherever it comes.
type client struct {
	conn    *net.TCPConn
	timeout time.Duration
	bounds  frames.ServerHello // what the server's hello said
	largest int                // the largest message that this client reads
	helloed bool
	agreed  uint8 // that frames may have, by both hellos

	sent     []byte // last
	open     map[uint64]bool
	streams  map[uint64]*streamView // that were opened
	lastID   uint64                 // of those
	wentAway bool
}

// dial connects. Close the client after use.
func (s *server) dial() (*client, error) {
	conn, err := net.DialTimeout("tcp", s.addr, s.timeout)
	if err != nil {
		return nil, &Failure{Reason: fmt.Sprintf("cannot connect: %v", err)}
	}
	return &client{conn: conn.(*net.TCPConn), timeout: s.timeout, open: map[uint64]bool{}, streams: map[uint64]*streamView{}}, nil
}

func (c *client) close() { c.conn.Close() }

// send writes bytes. That the server does not take them is no failure by itself:
// what it says decides.
func (c *client) send(b []byte) {
	c.sent = b
	c.conn.SetWriteDeadline(time.Now().Add(c.timeout))
	c.conn.Write(b)
}

// pieces sends bytes so that they arrive size by size.
func (c *client) pieces(b []byte, size int) {
	for i := 0; i < len(b); i += size {
		c.send(b[i:min(i+size, len(b))])
		time.Sleep(pieceTime)
	}
	c.sent = b
}

// request sends a request and counts it as in flight.
func (c *client) request(r frames.Request) {
	c.open[r.ID] = true
	c.send(r.Frame().Bytes())
}

func (c *client) cancel(id uint64) { c.send(frames.Frame{Kind: wire.KindCancel, ID: id}.Bytes()) }

// hello says hello as the captures do, and takes the server's acceptance.
func (c *client) hello() error { return c.helloLimited(4 << 20) }

// helloLimited is hello, with a largest message of the client's.
func (c *client) helloLimited(largest uint32) error {
	c.largest = int(largest)
	c.send(frames.ClientHello{Codec: "json", MaxMessage: largest}.Bytes())
	return c.accepted()
}

// accepted takes the server's acceptance.
func (c *client) accepted() error {
	return c.expect(frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20}.Bytes())
}

// read reads the next message and minds the calls in flight. io.EOF is the end
// of the connection.
func (c *client) read(timeout time.Duration, want []byte) ([]byte, error) {
	c.conn.SetReadDeadline(time.Now().Add(timeout))
	limit := 4 + max(c.largest, 4<<20)
	got, err := frames.Read(c.conn, !c.helloed, limit)
	switch {
	case err == io.EOF && len(got) == 0:
		return nil, io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded) && len(got) == 0:
		return nil, c.failure(fmt.Sprintf("no answer within %v", timeout), want, nil)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, c.failure(fmt.Sprintf("the answer did not end within %v", timeout), want, got)
	case err != nil:
		return nil, c.failure(fmt.Sprintf("the answer cannot be read: %v", err), want, got)
	}
	if !c.helloed {
		c.helloed = true
		return got, c.keepBounds(got)
	}
	if got, err = c.expanded(got, want); err != nil {
		return nil, err
	}
	return got, c.mind(got, want)
}

func (c *client) keepBounds(got []byte) (err error) {
	h, err := frames.ParseHello(got)
	if err == nil {
		c.bounds, err = h.Server()
	}
	if err != nil {
		return c.failure("not a hello of version 1: "+err.Error(), nil, got)
	}
	return nil
}

// mind checks what any frame of a server has to be, and whose reply it is.
func (c *client) mind(got, want []byte) error {
	f, err := frames.ParseFrame(got)
	if err == nil {
		err = f.CheckAgreed(false, c.agreed)
	}
	if err == nil {
		err = checkFields(f)
	}
	switch {
	case err != nil:
		return c.failure("not a frame of a server: "+err.Error(), want, got)
	case c.largest > 0 && len(got)-wire.LengthSize > c.largest:
		return c.failure(fmt.Sprintf("a frame of length %d: this client reads at most %d", len(got)-wire.LengthSize, c.largest), want, got)
	}
	switch f.Kind {
	case wire.KindResponse, wire.KindError:
		if !c.open[f.ID] {
			return c.failure(fmt.Sprintf("a reply to call %d, which is not in flight", f.ID), want, got)
		}
		delete(c.open, f.ID)
	case wire.KindGoAway:
		c.wentAway = true
	case wire.KindData, wire.KindEnd, wire.KindCredit, wire.KindWant, wire.KindHeader:
		return c.mindStream(f, got)
	}
	return nil
}

func (c *client) mindStream(f frames.Frame, got []byte) error {
	s := c.streams[f.ID]
	if s == nil {
		return c.failure(fmt.Sprintf("%s for stream %d, which is not open", f.Kind, f.ID), nil, got)
	}
	if err := s.mind(f); err != nil {
		return c.failure(err.Error(), nil, got)
	}
	return nil
}

// checkFields returns what is wrong with the fields of a server's frame.
func checkFields(f frames.Frame) error {
	var md []frames.Pair
	switch f.Kind {
	case wire.KindResponse:
		r, err := f.Response()
		if err != nil {
			return err
		}
		md = r.Metadata
	case wire.KindError, wire.KindGoAway:
		r, err := f.Reason()
		if err != nil {
			return err
		}
		md = r.Metadata
	}
	return checkReplyMetadata(md)
}

// expect reads one message and compares it.
func (c *client) expect(want []byte) error { return c.expectWithin(want, c.timeout) }

func (c *client) expectWithin(want []byte, timeout time.Duration) error {
	hello := !c.helloed
	for {
		got, err := c.read(timeout, want)
		if err == io.EOF {
			return c.failure("the server ended the connection", want, nil)
		}
		if err != nil {
			return err
		}
		if crossed(want, got, hello) {
			continue
		}
		return c.compare(want, got, hello)
	}
}

// expectKind reads one message, which has to be of a kind.
func (c *client) expectKind(kind wire.Kind) error {
	got, err := c.read(c.timeout, nil)
	var f *Failure
	switch {
	case err == io.EOF:
		f = c.failure("the server ended the connection", nil, nil)
	case err != nil:
		return err
	case wire.Kind(got[4]) == kind:
		return nil
	default:
		f = c.failure("another answer", nil, got)
	}
	f.Want = "a " + kind.String()
	return f
}

// crossed reports whether got is a reply that may come before a go-away that
// ends the connection.
func crossed(want, got []byte, hello bool) bool {
	return !hello && len(want) > 4 && wire.Kind(want[4]) == wire.KindGoAway &&
		(wire.Kind(got[4]) == wire.KindResponse || wire.Kind(got[4]) == wire.KindError || wire.Kind(got[4]).OfStreams())
}

func (c *client) compare(want, got []byte, hello bool) error {
	want = fill(want, got, hello)
	if string(want) == string(got) {
		return nil
	}
	return c.failure("another answer", want, got)
}

// expectAll reads as many messages as there are, in any order.
func (c *client) expectAll(want map[uint64][]byte) error {
	for len(want) > 0 {
		got, err := c.read(c.timeout, nil)
		if err == io.EOF {
			err = c.failure("the server ended the connection", nil, nil)
		}
		var failure *Failure
		if errors.As(err, &failure) {
			failure.Reason += fmt.Sprintf("; answers that are missing: %d", len(want))
		}
		if err != nil {
			return err
		}
		f, _ := frames.ParseFrame(got)
		expected, ok := want[f.ID]
		if !ok {
			return c.failure("a frame that nobody asked for", nil, got)
		}
		if err := c.compare(expected, got, false); err != nil {
			return err
		}
		delete(want, f.ID)
	}
	return nil
}

// alive checks that the connection goes on, and that nothing else comes.
func (c *client) alive() error {
	c.send(frames.Frame{Kind: wire.KindPing, ID: pingID}.Bytes())
	return c.expect(frames.Frame{Kind: wire.KindPong, ID: pingID}.Bytes())
}

// quiet checks that nothing comes for a while.
func (c *client) quiet() error {
	c.conn.SetReadDeadline(time.Now().Add(quietTime))
	got, err := frames.Read(c.conn, !c.helloed, 4+4<<20)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && len(got) == 0:
		return nil
	case len(got) == 0:
		return c.failure("the server ended the connection", nil, nil)
	}
	if err == nil && c.helloed {
		if err := c.mind(got, nil); err != nil {
			return err
		}
	}
	return c.failure("something came where nothing should", nil, got)
}

// ended checks that the server ends the connection. After a go-away, replies to
// calls in flight may come before.
func (c *client) ended() error {
	for {
		got, err := c.read(c.timeout, nil)
		if err == io.EOF {
			return nil
		}
		var f *Failure
		if errors.As(err, &f) && len(f.Received) == 0 {
			f.Reason, f.Want = "the server does not end the connection: "+f.Reason, "the end of the connection"
		}
		if err != nil {
			return err
		}
		if !c.wentAway || wire.Kind(got[4]) == wire.KindGoAway {
			f := c.failure("the server does not end the connection", nil, got)
			f.Want = "the end of the connection"
			return f
		}
	}
}

func (c *client) failure(reason string, want, got []byte) *Failure {
	f := &Failure{Reason: reason, Sent: c.sent, Expected: want, Received: got}
	if want != nil {
		f.Want = describe(want)
	}
	if len(got) > 0 {
		f.Got = describe(got)
	}
	return f
}
