package conform

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/conform/reference"
	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// TestMain makes this test binary stand in for clients: "client" is final/rpc's,
// and "mini FAULT" one that can be wrong on purpose.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) > 4 && os.Args[1] == "client":
		os.Args = os.Args[1:]
		reference.Call()
	case len(os.Args) > 6 && os.Args[1] == "mini":
		items, err := (&miniClient{fault: os.Args[2]}).open(os.Args[3], os.Args[4], os.Args[5], os.Args[6])
		for _, item := range items {
			fmt.Println(item)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "mini:", err)
			os.Exit(1)
		}
	case len(os.Args) > 4 && os.Args[1] == "mini":
		result, err := (&miniClient{fault: os.Args[2]}).call(os.Args[3], os.Args[4], os.Args[5])
		if err != nil {
			fmt.Fprintln(os.Stderr, "mini:", err)
			os.Exit(1)
		}
		fmt.Printf("%s\n", result)
	default:
		os.Exit(m.Run())
	}
}

// miniClient makes one call, as plainly as can be. fault names the one thing that
// it does wrong.
type miniClient struct {
	fault string
	conn  net.Conn
	in    io.Reader

	hi     frames.ClientHello
	agreed uint8
}

const miniID = 5 // an ID need not be 1

// open opens a stream in place of a call.
func (c *miniClient) open(addr, method, params, shape string) (_ []string, err error) {
	if c.conn, err = net.Dial("tcp", addr); err != nil {
		return nil, err
	}
	defer c.conn.Close()
	c.in = c.conn
	c.conn.Write(c.offers())
	if err := c.hello(); err != nil {
		return nil, err
	}
	if c.fault == "takes reply metadata without a grant" { // in a response only
		c.agreed &^= wire.FlagReplyMetadata
	}
	return c.stream(method, params, shape)
}

func (c *miniClient) call(addr, method, params string) (_ []byte, err error) {
	if c.conn, err = net.Dial("tcp", addr); err != nil {
		return nil, err
	}
	defer c.conn.Close()
	c.in = c.conn
	request := frames.Request{ID: miniID, Method: method, TimeoutMS: 60_000, Params: []byte(" " + params)}.Frame()
	hello := c.offers()
	early := c.fault == "does not wait for the hello"
	if early {
		hello = request.Append(hello)
	}
	c.conn.Write(hello)
	if err := c.hello(); err != nil {
		return nil, err
	}
	if !early {
		c.write(request)
	}
	for {
		result, err := c.reply()
		if result != nil || err != nil {
			return result, err
		}
	}
}

// offers is the client's hello.
func (c *miniClient) offers() []byte {
	largest := uint32(4 << 20)
	if c.fault == "reads more than it announces" {
		largest >>= 2
	}
	c.hi = frames.ClientHello{Codec: "json", MaxMessage: largest, Metadata: []frames.Pair{{Key: "app", Value: "mini"}, {Key: frames.ReplyMetadata, Value: frames.Pairs}, {Key: frames.Streams, Value: frames.StreamsOffer(miniCredit)}, {Key: frames.Params, Value: frames.Bytes}}}
	if c.fault == "does not offer reply metadata" {
		c.hi.Metadata = nil
	}
	return c.hi.Bytes()
}

func (c *miniClient) write(f frames.Frame) { c.conn.Write(f.Bytes()) }

func (c *miniClient) hello() error {
	in := c.in
	if c.fault == "reads ahead of the hello" {
		in = bufio.NewReader(c.conn)
	}
	b, err := frames.Read(in, true, wire.HelloSize+16<<10)
	if err != nil {
		return err
	}
	h, err := frames.ParseHello(b)
	if err != nil {
		return err
	}
	if h.Version != wire.Version {
		return fmt.Errorf("version %d", h.Version)
	}
	s, err := h.Server()
	if err == nil && (s.Code != wire.OK || s.InFlight == 0 || s.MaxMessage < 1024) {
		err = fmt.Errorf("refused: %s", s.Text)
	}
	if c.agreed = frames.Agreed(c.hi, s); c.fault == "takes reply metadata without a grant" {
		c.agreed |= wire.FlagReplyMetadata
	}
	if s.Word(frames.Params) == "1,1" && c.fault == "counts small params" {
		err = errors.New("there is no room for the params")
	}
	return err
}

// reply takes one frame: nil and nil if it is not the reply.
func (c *miniClient) reply() ([]byte, error) {
	f, err := c.frame()
	switch {
	case c.fault == "takes any flag on a go-away" && f.Kind == wire.KindGoAway:
		f.Flags = 0
	case c.fault == "takes fields on a ping" && f.Kind == wire.KindPing:
		f.Fields = nil
	}
	if err == nil {
		err = f.CheckAgreed(false, c.agreed)
	}
	if err != nil && c.fault == "passes over what it does not know" && strings.HasPrefix(err.Error(), "unknown frame kind") {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	switch f.Kind {
	case wire.KindPing:
		if c.fault != "answers no ping" {
			c.write(frames.Frame{Kind: wire.KindPong, ID: f.ID})
		}
	case wire.KindGoAway:
		if _, err := f.Reason(); err != nil || f.ID < miniID {
			return nil, fmt.Errorf("go-away: %w", err)
		}
	case wire.KindResponse, wire.KindError:
		return c.end(f)
	}
	return nil, nil
}

// end is the end of the call, if the reply is to it.
func (c *miniClient) end(f frames.Frame) ([]byte, error) {
	if f.ID != miniID && c.fault != "takes any reply for its own" {
		return nil, fmt.Errorf("a reply to call %d", f.ID)
	}
	if f.Kind == wire.KindResponse {
		return c.result(f)
	}
	r, err := f.Reason()
	if err == nil && r.Code == wire.OK && c.fault == "takes code 0 for success" {
		return []byte("null"), nil
	}
	return nil, fmt.Errorf("%s: %s %w", r.Code, r.Text, err)
}

func (c *miniClient) result(f frames.Frame) ([]byte, error) {
	r, err := f.Response()
	switch {
	case c.fault == "takes reply metadata for its result":
		r.Result, err = f.Fields, nil
	case c.fault == "takes reply metadata that are cut short" && err != nil:
		r.Result, err = []byte(`{"Count":100}`), nil
	case c.fault == "takes a pair less" && len(r.Metadata) > 127:
		err = errors.New("too many")
	}
	if err != nil {
		return nil, err
	}
	if !json.Valid(r.Result) {
		return nil, fmt.Errorf("not JSON: %q", r.Result)
	}
	return bytes.TrimSpace(r.Result), nil
}

func (c *miniClient) frame() (frames.Frame, error) {
	if c.fault == "takes one read for a frame" {
		b := make([]byte, wire.LengthSize, 1<<10)
		if _, err := io.ReadFull(c.in, b); err != nil {
			return frames.Frame{}, err
		}
		size := frames.Size(b, false)
		if size > cap(b) {
			return frames.Frame{}, fmt.Errorf("a frame of %d bytes", size)
		}
		n, _ := c.in.Read(b[len(b):size])
		return frames.ParseFrame(b[:len(b)+n])
	}
	limit := wire.LengthSize + 4<<20
	if c.fault == "reads a byte less than it announces" {
		limit--
	}
	b, err := frames.Read(c.in, false, limit)
	if err != nil {
		return frames.Frame{}, err
	}
	return frames.ParseFrame(b)
}

func clientRules(t *testing.T) []Rule {
	t.Helper()
	rules, err := ClientRules(root)
	require.NoError(t, err)
	return rules
}

func TestConformClient_FinalKeepsTheRules(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	failed, skipped, _ := verdicts(t, clientRules(t), &server{call: []string{exe, "client"}}, "")
	assert.Empty(t, failed)
	assert.Empty(t, skipped)
}

func TestConformClient_PythonKeepsSomeRules(t *testing.T) {
	seldom.Test(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skipf("client.py needs Python: %v", err)
	}
	t.Setenv("PYTHONDONTWRITEBYTECODE", "1")
	some := regexp.MustCompile("client: (a |an |no |bytes|bad: (length|.* nobody))") // each starts Python
	var sum Summary
	require.NoError(t, RunClient(t.Context(), clientRules(t), Options{
		Command: []string{python, filepath.Join(root, "testdata", "clients", "client.py")},
		Timeout: 30 * time.Second,
		Only:    some,
	}, func(r Result) {
		sum.Add(r)
		assert.Equal(t, OK, r.Verdict, "%s: %v", r.Rule.Name, r.Failure)
	}))
	assert.Equal(t, 15, sum.OK)
}

func TestConformClient_FindsWhatIsWrongAndNothingElse(t *testing.T) {
	seldom.Test(t)
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	const noFailure = "the call did not fail: it printed "
	const open = "the client does not close the connection within 1s"
	wrong := []wrongOne{
		{fault: ""},
		{"reads ahead of the hello", "client: a ping right behind the hello", "nothing came within 1s", nil},
		{"does not wait for the hello", "client: no request before the server's hello", "something came where nothing should", nil},
		{"takes one read for a frame", "client: bytes one by one", "", []string{"client: the largest frame that it allows", "client: the most reply metadata", "client: want: it makes room for a large item"}},
		{"answers no ping", "client: a ping from the server", "nothing came within 1s", []string{"client: a ping right behind the hello"}},
		{"passes over what it does not know", "client: bad: unknown kind", open, nil},
		{"takes any reply for its own", "client: bad: response to nobody", noFailure, []string{"client: bad: error to nobody"}},
		{"takes code 0 for success", "client: an error with code 0", noFailure, nil},
		{"takes any flag on a go-away", "client: bad: a flag that its kind does not have", open, nil},
		{"takes fields on a ping", "client: bad: fields on a ping", open, nil},
		{"takes reply metadata for its result", "client: reply metadata beside its result", "the call failed: ", []string{"client: the most reply metadata"}},
		{"counts small params", "client: small params and no room", "the client closed the connection", nil},
		{"takes a pair less", "client: the most reply metadata", "the call failed: ", nil},
		{"takes reply metadata without a grant", "client: bad: reply metadata that were not granted", noFailure, nil},
		{"takes reply metadata that are cut short", "client: bad: reply metadata cut short", noFailure, nil},
		{"reads a byte less than it announces", "client: the largest frame that it allows", "the call failed: ", nil},
		{"reads more than it announces", "client: bad: one byte more than it allows", open, nil},
	}
	findsEach(t, clientRules(t), wrong, func(fault string) *server { return &server{call: []string{exe, "mini", fault}} })
}

// Of streams, too, each fault is found by the rule about it, and by no other.
func TestConformClient_FindsWhatIsWrongWithStreamsAndNothingElse(t *testing.T) {
	seldom.Test(t)
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	var rules []Rule
	var after []string // that need a stream at all
	for _, r := range clientRules(t) {
		switch {
		case r.Name == clientCallRule, r.Name == "client: bytes one by one", r.Name == clientStreamRule:
			rules = append(rules, r)
		case slices.Contains(needsOf(r.Name), clientStreamRule):
			rules, after = append(rules, r), append(after, r.Name)
		}
	}
	const nothing, both, wants = "nothing came within 1s", "client: streams: both ways", "client: want: it says what it waits for"
	wrong := []wrongOne{
		{fault: ""},
		{"prints an item twice", clientStreamRule, "it printed ", after},
		{"ends its half with a code", clientReplyRule, "", []string{both, clientKeptRule, wants}},
		{"waits for an item before it sends one", both, nothing, nil},
		{"drops the items before an error", "client: streams: an error after the items", "it printed ", nil},
		{"opens without a grant", "client: streams: not granted", "something came where nothing should", nil},
		{"does not end its half after the server's end", "client: streams: it ends its half after the server's end", nothing, nil},
		{"sends without credit", clientKeptRule, "data on stream 5 above its credit", []string{wants}},
		{"gives no credit back", clientGivenRule, nothing, []string{"client: want: it makes room for a large item"}},
		{"wants more than its item costs", wants, "a want of ", nil},
		{"makes no room for large items", "client: want: it makes room for a large item", nothing, nil},
		{"takes credit of 0", "client: streams: bad: what a connection cannot go on from", "credit of 0: the client does not close the connection within 1s", nil},
		{"takes short fragments", "client: streams: bad: what its stream cannot go on from", "a short fragment: " + nothing, nil},
	}
	assert.Len(t, wrong, 1+len(streamClientRules), "a fault for each rule")
	findsEach(t, rules, wrong, func(fault string) *server { return &server{call: []string{exe, "mini", fault}} })
}
