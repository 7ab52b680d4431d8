package rpc_test

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/binary"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"example.com/rpc-from-scratch/final/codec/protobuf"
	"example.com/rpc-from-scratch/final/rpc"
)

// The captures in testdata/wire/final-*.txt are PROTOCOL.md's examples. Here
// they are replayed against the real server and the real client. Everything in
// this file is written from PROTOCOL.md and shares no code with the package:
// a mistake in the one does not hide in the other.
//
// A capture has sections, "-- name --", each a connection from its beginning.
// In a section every line is one message, C from the client or S from the
// server, as a quoted Go string; an empty one is the end: that side closes. Lines
// that begin with #> are made from the bytes. With WIRE_UPDATE=1 in the
// environment the server's lines, and those, are written anew.

// packet is one line of a capture.
type packet struct {
	fromClient bool
	data       string
	later      time.Duration // since the packet before, on the bubble's clock
}

// section is one connection of a capture.
type section struct {
	name     string
	comments map[int][]string // before the packet of that index
	packets  []packet
}

// wireFile finds testdata/wire in a folder above.
func wireFile(t testing.TB, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	require.NoError(t, err)
	for {
		path := filepath.Join(dir, "testdata", "wire", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
		require.NotEqual(t, filepath.Dir(dir), dir, "no folder above has testdata/wire/%s", name)
		dir = filepath.Dir(dir)
	}
}

// readCapture returns the comment at a capture's head and its sections.
func readCapture(t testing.TB, name string) (head []string, sections []*section) {
	t.Helper()
	text, err := os.ReadFile(wireFile(t, name))
	require.NoError(t, err)
	var s *section
	var comments []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		title, titled := strings.CutPrefix(line, "-- ")
		switch {
		case line == "", strings.HasPrefix(line, "#>"):
		case titled:
			if s == nil {
				head = comments
				comments = nil
			}
			require.Empty(t, comments, "%s: a comment without a packet before %q", name, line)
			s = &section{name: strings.TrimSuffix(title, " --"), comments: map[int][]string{}}
			sections = append(sections, s)
		case strings.HasPrefix(line, "#"):
			comments = append(comments, line)
		default:
			from, quoted, _ := strings.Cut(line, " ")
			data, err := strconv.Unquote(quoted)
			require.NoError(t, err, "%s: %s", name, line)
			require.Contains(t, "CS", from)
			if comments != nil {
				s.comments[len(s.packets)] = comments
			}
			comments = nil
			s.packets = append(s.packets, packet{fromClient: from == "C", data: data})
		}
	}
	require.NotEmpty(t, sections)
	return head, sections
}

// The heads of the captures end with how to read them, the same in each.
func TestWire_CapturesSayHowToReadThem(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(wireFile(t, "final-calls.txt")), "final-*.txt"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	howTo := func(name string) string {
		head, _ := readCapture(t, name)
		_, how, _ := strings.Cut(strings.Join(head, "\n"), "# How to read it: ")
		return how
	}
	want := howTo("final-calls.txt")
	for _, escape := range []string{`\xNN`, `\a \b \t \n \v \f \r`, `\\`, `\"`} {
		assert.Contains(t, want, escape)
	}
	for _, file := range files {
		assert.Equal(t, want, howTo(filepath.Base(file)), filepath.Base(file))
	}
}

// printCapture is the file that readCapture reads, with its notes.
func printCapture(head []string, sections []*section) string {
	var b strings.Builder
	for _, line := range head {
		fmt.Fprintln(&b, line)
	}
	for _, s := range sections {
		fmt.Fprintf(&b, "\n-- %s --\n\n", s.name)
		began := map[bool]bool{}
		for i, p := range s.packets {
			for _, line := range s.comments[i] {
				fmt.Fprintln(&b, line)
			}
			for _, line := range notes(p, !began[p.fromClient]) {
				fmt.Fprintln(&b, "#>", line)
			}
			began[p.fromClient] = true
			from := "S"
			if p.fromClient {
				from = "C"
			}
			fmt.Fprintf(&b, "%s %q\n", from, p.data)
		}
	}
	return b.String()
}

// A dissector names the fields of a message, as far as it has them.
type dissector struct {
	b     string
	parts []string
}

func (d *dissector) number(size int, say func(n uint64) string) uint64 {
	if len(d.b) < size {
		d.b = d.rest("cut short")
		return 0
	}
	var n uint64
	for _, c := range []byte(d.b[:size]) {
		n = n<<8 | uint64(c)
	}
	d.parts = append(d.parts, fmt.Sprintf("%x %s", d.b[:size], say(n)))
	d.b = d.b[size:]
	return n
}

// text is a length of size bytes and as many bytes of text.
func (d *dissector) text(size int, what string) {
	if len(d.b) < size {
		d.b = d.rest("cut short")
		return
	}
	n := 0
	for _, c := range []byte(d.b[:size]) {
		n = n<<8 | int(c)
	}
	length := fmt.Sprintf("%x", d.b[:size])
	d.b = d.b[size:]
	if n > len(d.b) {
		d.parts = append(d.parts, fmt.Sprintf("%s %s of %d bytes", length, what, n))
		d.b = d.rest("cut short")
		return
	}
	d.parts = append(d.parts, strings.TrimSpace(fmt.Sprintf("%s %s %s", length, what, brief(d.b[:n]))))
	d.b = d.b[n:]
}

func brief(s string) string {
	if len(s) > 70 {
		return fmt.Sprintf("of %d bytes", len(s))
	}
	return strconv.Quote(s)
}

// rest notes all that is left and returns "".
func (d *dissector) rest(what string) string {
	if d.b != "" || what == "cut short" {
		d.parts = append(d.parts, strings.TrimSpace(fmt.Sprintf("%s: %d bytes", what, len(d.b))))
	}
	return ""
}

func (d *dissector) pairs(all string) {
	for d.b = all; d.b != ""; {
		d.text(2, "key")
		if d.b != "" {
			d.text(2, "value")
		}
	}
}

func decimal(what string) func(uint64) string {
	return func(n uint64) string { return fmt.Sprintf("%s %d", what, n) }
}

func codeName(n uint64) string { return "code " + rpc.Code(n).String() }

var kindNames = []string{"kind 0", "request", "response", "error", "cancel", "ping", "pong", "go-away",
	"open", "data", "end", "credit", "want", "header"}

var shapeNames = map[uint64]string{1: "server stream", 2: "client stream", 3: "bidi stream"}

// notes explains one packet, in lines that are not too long.
func notes(p packet, first bool) (lines []string) {
	if p.later > 0 {
		lines = append(lines, fmt.Sprintf("%v later:", p.later))
	}
	if p.data == "" {
		return append(lines, "closes the connection")
	}
	d := &dissector{b: p.data}
	for first && d.b != "" || !first && len(d.b) >= 4 {
		if first {
			d.hello(p.fromClient)
			first = false
			continue
		}
		d.frame()
	}
	if d.b != "" {
		d.rest("a part of a frame")
	}
	line := ""
	for i, part := range d.parts {
		if i > 0 && len(line)+len(part) > 110 {
			lines = append(lines, line+" |")
			line = ""
		}
		if line != "" {
			line += " | "
		}
		line += part
	}
	return append(lines, line)
}

func (d *dissector) hello(fromClient bool) {
	if !strings.HasPrefix(d.b, "\x93RPC") {
		d.b = d.rest("not a hello")
		return
	}
	d.number(4, func(uint64) string { return "magic" })
	d.number(1, decimal("version"))
	length := d.number(2, decimal("length"))
	after := ""
	if length < uint64(len(d.b)) {
		d.b, after = d.b[:length], d.b[length:]
	}
	switch {
	case d.b == "":
	case fromClient:
		d.text(1, "codec")
		d.number(4, decimal("largest message that the client reads"))
		d.pairs(d.b)
	default:
		d.number(1, codeName)
		d.number(4, decimal("calls in flight"))
		d.number(4, decimal("largest message that the server reads"))
		if d.b != "" {
			d.parts = append(d.parts, "text "+brief(d.b))
		}
	}
	d.b = after
}

func (d *dissector) frame() {
	length := d.number(4, decimal("length"))
	after := ""
	if length < uint64(len(d.b)) {
		d.b, after = d.b[:length], d.b[length:]
	}
	if d.b == "" {
		d.b = after
		return
	}
	kind := d.number(1, func(n uint64) string {
		if n < uint64(len(kindNames)) {
			return kindNames[n]
		}
		return fmt.Sprintf("kind %d", n)
	})
	flags := d.number(1, func(n uint64) string { return "flags" })
	d.number(8, func(n uint64) string {
		if kind == 7 {
			return fmt.Sprintf("last call that is served: %d", n)
		}
		return fmt.Sprintf("ID %d", n)
	})
	switch {
	case d.b == "":
	case kind == 1:
		d.number(4, func(n uint64) string { return fmt.Sprintf("timeout %d ms", n) })
		d.text(2, "method")
		d.flagged(flags & 1)
		d.body("params", flags)
	case kind == 2:
		d.flagged(flags & 0x20)
		d.body("result", flags)
	case kind == 3, kind == 7, kind == 10:
		d.number(1, codeName)
		d.text(2, "text")
		d.flagged(flags & 1)
		d.flagged(flags & 0x20)
	case kind == 8:
		d.number(4, func(n uint64) string { return fmt.Sprintf("timeout %d ms", n) })
		d.number(1, func(n uint64) string { return cmp.Or(shapeNames[n], fmt.Sprintf("shape %d", n)) })
		d.text(2, "method")
		d.flagged(flags & 1)
		d.body("params", flags)
	case kind == 9 && flags&0x40 != 0:
		d.body("a part of an item", flags&^0x10)
	case kind == 9:
		d.body("item", flags)
	case kind == 11, kind == 12:
		d.number(4, decimal("bytes"))
	case kind == 13:
		d.pairs(d.b)
	}
	d.b = d.rest("the rest") + after
}

// flagged is a block of pairs, if it is there.
func (d *dissector) flagged(flag uint64) {
	if flag == 0 || len(d.b) < 2 {
		return
	}
	n := int(d.number(2, decimal("bytes of pairs:")))
	if n > len(d.b) {
		d.b = d.rest("cut short")
		return
	}
	after := d.b[n:]
	d.pairs(d.b[:n])
	d.b = after
}

func (d *dissector) body(what string, flags uint64) {
	plain, compressed := gunzip(byte(flags), d.b)
	switch {
	case d.b == "":
	case compressed:
		d.parts = append(d.parts, fmt.Sprintf("%s, as %d bytes of gzip, %s", what, len(d.b), brief(plain)))
	default:
		d.parts = append(d.parts, what+" "+brief(d.b))
	}
	d.b = ""
}

// gunzip returns a body without its compression, and whether it had one.
func gunzip(flags byte, body string) (string, bool) {
	if flags&0x10 == 0 {
		return body, false
	}
	in := strings.NewReader(body)
	r, err := gzip.NewReader(in)
	if err != nil {
		return body, false
	}
	r.Multistream(false)
	plain, err := io.ReadAll(r)
	if err != nil || in.Len() > 0 {
		return body, false
	}
	return string(plain), true
}

// readMessage reads one hello or frame, "" at the end.
func readMessage(conn io.Reader, hello bool) (string, error) {
	head := make([]byte, 4)
	if hello {
		head = make([]byte, 7)
	}
	if n, err := io.ReadFull(conn, head); err == io.EOF {
		return "", nil
	} else if err != nil {
		return string(head[:n]), err
	}
	size := int(binary.BigEndian.Uint32(head))
	if hello {
		size = int(binary.BigEndian.Uint16(head[5:]))
	}
	body := make([]byte, size)
	n, err := io.ReadFull(conn, body)
	return string(head) + string(body[:n]), err
}

// message is a frame taken apart.
type message struct {
	kind, flags byte
	id          uint64
	timeout     time.Duration
	shape       byte
	method      string
	pairs       map[string]string
	metadata    map[string]string // of a reply
	code        rpc.Code
	text        string
	body        string
}

func dissect(t testing.TB, frame string) message {
	t.Helper()
	require.GreaterOrEqual(t, len(frame), 14, "%q", frame)
	m := message{kind: frame[4], flags: frame[5], id: binary.BigEndian.Uint64([]byte(frame[6:14]))}
	rest := frame[14:]
	take := func(n int) string {
		require.LessOrEqual(t, n, len(rest), "%q", frame)
		part := rest[:n]
		rest = rest[n:]
		return part
	}
	number := func(size int) int {
		n := 0
		for _, c := range []byte(take(size)) {
			n = n<<8 | int(c)
		}
		return n
	}
	switch m.kind {
	case 1:
		m.timeout = time.Duration(number(4)) * time.Millisecond
		m.method = take(number(2))
	case 8:
		m.timeout = time.Duration(number(4)) * time.Millisecond
		m.shape = byte(number(1))
		m.method = take(number(2))
	case 3, 7, 10:
		if rest == "" { // the end of a client
			return m
		}
		m.code = rpc.Code(number(1))
		m.text = take(number(2))
	}
	pairs := func() map[string]string {
		found := map[string]string{}
		for end := len(rest) - 2 - number(2); len(rest) > end; {
			key := take(number(2))
			found[key] = take(number(2))
		}
		return found
	}
	if m.kind == 13 { // pairs to the end
		m.metadata = map[string]string{}
		for rest != "" {
			key := take(number(2))
			m.metadata[key] = take(number(2))
		}
	}
	if m.flags&1 != 0 {
		m.pairs = pairs()
	}
	if m.flags&0x20 != 0 {
		m.metadata = pairs()
	}
	m.body = rest
	return m
}

// The service that the captures call.
type (
	captured  struct{ t testing.TB }
	anything  struct{ V any }
	unfitting struct{ C chan int }
)

func (captured) Wait(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func (captured) Panic(context.Context) error    { panic("secret") }
func (captured) User(ctx context.Context) string {
	return rpc.MetadataFrom(ctx)["user"]
}
func (captured) Any(a anything) anything { return a }

// Header answers with metadata that it has taken from the call's.
func (captured) Header(ctx context.Context, a anything) (anything, error) {
	if err := rpc.SetHeader(ctx, rpc.Metadata{"user": rpc.MetadataFrom(ctx)["user"]}); err != nil {
		return a, err
	}
	if a.V != nil {
		e := rpc.Errorf(rpc.NotFound, "unknown: %v", a.V)
		e.Details = map[string]string{"item": fmt.Sprint(a.V)}
		return a, e
	}
	return a, nil
}
func (captured) Unfitting(context.Context) unfitting {
	return unfitting{make(chan int)}
}

// Upper is what protobuf calls.
func (captured) Upper(s *wrapperspb.StringValue) *wrapperspb.StringValue {
	return wrapperspb.String(strings.ToUpper(s.GetValue()))
}

func checkCaptured(ctx context.Context, req *CheckStockRequest) (*CheckStockReply, error) {
	if req.Item != "item1" {
		e := rpc.Errorf(rpc.NotFound, "unknown item: %s", req.Item)
		e.Details = map[string]string{"item": req.Item}
		return nil, e
	}
	return &CheckStockReply{Count: 100}, nil
}

// The streams that the captures open.
type step struct {
	N    int
	Data string `json:",omitempty"`
}

var (
	capturedCount = rpc.ServerStream[step, step]("Test.Count")
	capturedSum   = rpc.ClientStream[step, step]("Test.Sum")
	capturedEcho  = rpc.BidiStream[step, step]("Test.Echo")
	capturedFirst = rpc.BidiStream[step, step]("Test.First")
	capturedNever = rpc.BidiStream[step, step]("Test.Never")
	capturedHold  = rpc.ServerStream[step, step]("Test.Hold")
	capturedLabel = rpc.ServerStream[step, step]("Test.Label")

	// Of protobuf.
	capturedUppers = rpc.BidiStream[wrapperspb.StringValue, wrapperspb.StringValue]("Test.Uppers")
)

func handleCapturedStreams(t testing.TB, srv *rpc.Server) {
	t.Helper()
	// Count sends so many items, each with the data of the request.
	require.NoError(t, capturedCount.Handle(srv, func(ctx context.Context, req *step, out *rpc.Sender[step]) error {
		for n := range req.N {
			if err := out.Send(ctx, &step{n + 1, req.Data}); err != nil {
				return err
			}
		}
		return nil
	}))
	// Sum adds all items up; a negative one fails it.
	require.NoError(t, capturedSum.Handle(srv, func(ctx context.Context, in *rpc.Receiver[step]) (*step, error) {
		sum := new(step)
		for item, err := range in.All() {
			if err != nil {
				return nil, err
			}
			if sum.N += item.N; item.N < 0 {
				e := rpc.Errorf(rpc.OutOfRange, "item of %d", item.N)
				e.Details = map[string]string{"sum": fmt.Sprint(sum.N)}
				return nil, e
			}
		}
		return sum, nil
	}))
	// Echo sends back what arrives; a negative item fails it, after that.
	require.NoError(t, capturedEcho.Handle(srv, func(ctx context.Context, in *rpc.Receiver[step], out *rpc.Sender[step]) error {
		for item, err := range in.All() {
			if err == nil {
				err = out.Send(ctx, item)
			}
			if err != nil {
				return err
			}
			if item.N < 0 {
				e := rpc.Errorf(rpc.OutOfRange, "item of %d", item.N)
				e.Details = map[string]string{"item": fmt.Sprint(item.N)}
				return e
			}
		}
		return nil
	}))
	// First answers one item and returns.
	require.NoError(t, capturedFirst.Handle(srv, func(ctx context.Context, in *rpc.Receiver[step], out *rpc.Sender[step]) error {
		item, err := in.Receive(ctx)
		if err != nil {
			return err
		}
		return out.Send(ctx, item)
	}))
	// Never receives nothing and waits for its end.
	require.NoError(t, capturedNever.Handle(srv, func(ctx context.Context, _ *rpc.Receiver[step], _ *rpc.Sender[step]) error {
		<-ctx.Done()
		return ctx.Err()
	}))
	require.NoError(t, capturedUppers.Handle(srv, func(ctx context.Context, in *rpc.Receiver[wrapperspb.StringValue], out *rpc.Sender[wrapperspb.StringValue]) error {
		for item, err := range in.All() {
			if err == nil {
				err = out.Send(ctx, wrapperspb.String(strings.ToUpper(item.GetValue())))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}))
	// Label answers with metadata before its items and after them; with none, it fails.
	require.NoError(t, capturedLabel.Handle(srv, func(ctx context.Context, req *step, out *rpc.Sender[step]) error {
		if err := rpc.SetHeader(ctx, rpc.Metadata{"user": rpc.MetadataFrom(ctx)["user"]}); err != nil {
			return err
		}
		for n := range req.N {
			if err := out.Send(ctx, &step{N: n + 1}); err != nil {
				return err
			}
		}
		if err := rpc.SetTrailer(ctx, rpc.Metadata{"sent": fmt.Sprint(req.N)}); err != nil {
			return err
		}
		if req.N == 0 {
			return rpc.Errorf(rpc.NotFound, "nothing to send")
		}
		return nil
	}))
	require.NoError(t, capturedHold.Handle(srv, func(ctx context.Context, _ *step, _ *rpc.Sender[step]) error {
		<-ctx.Done()
		return ctx.Err()
	}))
}

// grantsStreams returns the option with which a server grants as many streams as the
// captured one.
func grantsStreams(packets []packet) rpc.ServerOption {
	if len(packets) < 2 || !strings.Contains(packets[0].data, "rpc.streams\x00") {
		return rpc.WithMaxStreams(0)
	}
	_, grant, granted := strings.Cut(packets[1].data, "rpc.streams=")
	if !granted {
		return rpc.WithoutStreams()
	}
	most, _, _ := strings.Cut(grant, ",")
	n, _ := strconv.Atoi(most)
	return rpc.WithMaxStreams(n)
}

// capturedCompressFrom is from how many bytes on both sides of the captures compress.
const capturedCompressFrom = 64

// compresses reports whether a capture's server is one that grants compression:
// all of them, for who does not offer it does not notice, but those that refuse.
func compresses(packets []packet) bool {
	const offer, grant = "rpc.compression\x00\x04gzip", "rpc.compression=gzip"
	return len(packets) < 2 || !strings.Contains(packets[0].data, offer) || strings.Contains(packets[1].data, grant)
}

// capturedServer has the bounds that the capture's server announces.
func capturedServer(t testing.TB, packets []packet, codecs []rpc.Codec) *rpc.Server {
	t.Helper()
	opts := []rpc.ServerOption{rpc.WithCodecs(codecs...), grantsStreams(packets)}
	if compresses(packets) {
		opts = append(opts, rpc.WithCompression(capturedCompressFrom))
	}
	for _, p := range packets {
		if b := []byte(p.data); !p.fromClient && len(b) >= 16 && b[7] == 0 {
			opts = append(opts,
				rpc.WithMaxInFlight(int(binary.BigEndian.Uint32(b[8:]))),
				rpc.WithMaxMessage(int(binary.BigEndian.Uint32(b[12:]))))
			break
		}
	}
	srv := rpc.NewServer(opts...)
	require.NoError(t, CheckStock.Handle(srv, checkCaptured))
	require.NoError(t, srv.Register("Test", captured{t}))
	require.NoError(t, srv.RegisterFunc("Test.Nothing", func() error { return nil }))
	handleCapturedStreams(t, srv)
	return srv
}

// replayServer plays the section's client and checks what the server answers.
// same compares; what it was is written back into the section.
func replayServer(t *testing.T, s *section, codecs []rpc.Codec, same func(t *testing.T, want, got string)) {
	synctest.Test(t, func(t *testing.T) {
		srv := capturedServer(t, s.packets, codecs)
		near, far := net.Pipe()
		served := make(chan struct{})
		go func() {
			defer close(served)
			srv.ServeConn(far)
		}()
		defer func() {
			near.Close()
			srv.Close()
			<-served
		}()
		helloed, requested := false, false
		for i := range s.packets {
			p := &s.packets[i]
			began := time.Now()
			switch {
			case p.fromClient && p.data == "":
				near.Close()
			case p.fromClient:
				go near.Write([]byte(p.data)) // a server that ends the connection need not read it all
				synctest.Wait()
				if helloed && !requested && strings.HasPrefix(s.name, "shutdown") {
					requested = true
					go srv.Shutdown(context.Background())
				}
			default:
				got, err := readMessage(near, !helloed && p.data != "")
				helloed = true
				require.NoError(t, err)
				if os.Getenv("WIRE_UPDATE") == "" {
					same(t, p.data, got)
				} else {
					p.data = got
				}
			}
			p.later = time.Since(began)
		}
	})
}

func identical(t *testing.T, want, got string) {
	t.Helper()
	if want == got || len(want) < 14 || want[4] != 3 && want[4] != 10 || strings.HasPrefix(want, "\x93") {
		require.Equal(t, want, got)
		return
	}
	// What encoding/json says of bad input may change with Go.
	w, g := dissect(t, want), dissect(t, got)
	w.text, g.text = withoutDecoder(w.text), withoutDecoder(g.text)
	require.Equal(t, w, g)
}

// withoutDecoder cuts off what a decoder says.
func withoutDecoder(text string) string {
	before, _, found := strings.Cut(text, ": ")
	if found && (strings.HasPrefix(before, "decode params of ") || strings.HasPrefix(before, "decode an item of ")) {
		return before
	}
	return text
}

// identicalOpened is identical for bodies that may be compressed: what gzip
// makes of them may change with Go.
func identicalOpened(t *testing.T, want, got string) {
	t.Helper()
	if len(want) < 14 || want[4] > 2 && want[4] != 9 || want[5]&0x10 == 0 || strings.HasPrefix(want, "\x93") {
		identical(t, want, got)
		return
	}
	w, g := dissect(t, want), dissect(t, got)
	for _, m := range []*message{&w, &g} {
		var compressed bool
		m.body, compressed = gunzip(m.flags, m.body)
		require.True(t, compressed)
	}
	require.Equal(t, w, g)
}

// replayServerFile replays all sections but those that only a client can show.
func replayServerFile(t *testing.T, name string, codecs []rpc.Codec, same func(t *testing.T, want, got string)) {
	t.Helper()
	head, sections := readCapture(t, name)
	for _, s := range sections {
		if !strings.HasPrefix(s.name, "client: ") {
			t.Run(s.name, func(t *testing.T) { replayServer(t, s, codecs, same) })
		}
	}
	text := printCapture(head, sections)
	if os.Getenv("WIRE_UPDATE") != "" {
		require.NoError(t, os.WriteFile(wireFile(t, name), []byte(text), 0o644))
		return
	}
	was, err := os.ReadFile(wireFile(t, name))
	require.NoError(t, err)
	assert.Equal(t, string(was), text, "the notes in %s; WIRE_UPDATE=1 writes them anew", name)
}

func TestWire_ServerAnswersAsCaptured(t *testing.T) {
	for _, name := range []string{"final-calls.txt", "final-odd.txt", "final-go-away.txt", "final-hello-bad.txt", "final-reply-metadata.txt", "final-server-bad.txt", "final-client-bad.txt", "final-stream-bad.txt", "final-params.txt"} {
		t.Run(name, func(t *testing.T) { replayServerFile(t, name, nil, identical) })
	}
	t.Run("final-protobuf.txt", func(t *testing.T) {
		replayServerFile(t, "final-protobuf.txt", []rpc.Codec{protobuf.Codec}, identical)
	})
}

func TestWire_ServerCompressesAsCaptured(t *testing.T) {
	replayServerFile(t, "final-compress.txt", nil, identicalOpened)
}

func TestWire_ServerStreamsAsCaptured(t *testing.T) {
	replayServerFile(t, "final-streams.txt", nil, identicalOpened)
}

// A gob body is decoded and compared: its type numbers depend on what the
// process has used before. One pair of decoders follows a connection's responses.
func TestWire_ServerAnswersGobAsCaptured(t *testing.T) {
	gob.Register(CheckStockReply{})
	var want, got gobStream
	section := ""
	replayServerFile(t, "final-gob.txt", []rpc.Codec{rpc.Gob}, func(t *testing.T, wanted, had string) {
		if section != t.Name() {
			section, want, got = t.Name(), gobStream{}, gobStream{}
		}
		sameGob(t, &want, &got, wanted, had)
	})
}

// gobStream is one direction of a gob connection.
type gobStream struct {
	in  bytes.Buffer
	dec *gob.Decoder
}

func (s *gobStream) decode(t testing.TB, m message, v any) {
	t.Helper()
	if m.flags&4 != 0 {
		require.NoError(t, gob.NewDecoder(strings.NewReader(m.body)).Decode(v))
		return
	}
	if s.dec == nil || m.flags&2 != 0 {
		s.dec = gob.NewDecoder(&s.in)
	}
	s.in.WriteString(m.body)
	require.NoError(t, s.dec.Decode(v))
}

// gobValue decodes the body of a request or response of the captures.
func (s *gobStream) value(t testing.TB, m message) any {
	t.Helper()
	switch {
	case m.body == "":
		return nil
	case m.flags&4 != 0:
		v := new(anything)
		s.decode(t, m, v)
		return *v
	case m.kind == 1:
		v := new(CheckStockRequest)
		s.decode(t, m, v)
		return *v
	}
	v := new(CheckStockReply)
	s.decode(t, m, v)
	return *v
}

func sameGob(t *testing.T, want, got *gobStream, wanted, had string) {
	t.Helper()
	if len(wanted) < 14 || wanted[4] > 2 || strings.HasPrefix(wanted, "\x93") {
		require.Equal(t, wanted, had)
		return
	}
	w, g := dissect(t, wanted), dissect(t, had)
	require.Equal(t, want.value(t, w), got.value(t, g))
	w.body, g.body = "", ""
	require.Equal(t, w, g)
}

// defaultOffers are what a client offers by default, as pairs. Captures of clients that do
// not know them stand for all that came before: their server must not notice, nor may the
// client miss a grant.
var defaultOffers = []string{"\x00\x12rpc.reply-metadata\x00\x011", "\x00\x0brpc.streams\x00\x0516384", "\x00\x0arpc.params\x00\x05bytes"}

// asOffered returns a client's hello without those offers that the capture's does not have.
func asOffered(captured, hello string) string {
	for _, offer := range defaultOffers {
		before, after, found := strings.Cut(hello, offer)
		if !found || strings.Contains(captured, offer) {
			continue
		}
		size := len(before) + len(after) - 7
		hello = before[:5] + string([]byte{byte(size >> 8), byte(size)}) + before[7:] + after
	}
	return hello
}

// inOrder returns a client's hello with its pairs in order: theirs means nothing.
func inOrder(hello string) string {
	head := 8 + int(hello[7]) + 4
	var pairs []string
	for rest := hello[head:]; rest != ""; {
		n := 2 + int(rest[1])
		n += 2 + int(rest[n+1])
		pairs, rest = append(pairs, rest[:n]), rest[n:]
	}
	slices.Sort(pairs)
	return hello[:head] + strings.Join(pairs, "")
}

// capturedCall is a call, or a stream, of the real client that a capture foretold.
type capturedCall struct {
	cancel context.CancelFunc
	done   chan error
	reply  any
	header rpc.Metadata
	opened chan rpc.OpenedStream // of a stream
	stream rpc.OpenedStream      // from opened
	over   bool                  // its end has been checked
}

// awaitStream returns the stream, which is open since the server has read its open.
func (c *capturedCall) awaitStream() rpc.OpenedStream {
	if c.stream == nil {
		c.stream = <-c.opened
	}
	return c.stream
}

// ended returns what the call or the stream has ended with.
func (c *capturedCall) ended(t *testing.T) error {
	if c.opened == nil {
		return <-c.done
	}
	err := c.awaitStream().Receive(t.Context(), new(json.RawMessage))
	if err == nil { // an item before it
		err = c.stream.Receive(t.Context(), new(json.RawMessage))
	}
	c.stream.Close()
	return err
}

// replayClient plays the section's server and lets a client do what its client did.
func replayClient(t *testing.T, s *section, codec rpc.Codec, same func(t *testing.T, want, got string), check func(t *testing.T, name string, err error)) {
	synctest.Test(t, func(t *testing.T) {
		hello := s.packets[0].data
		codecName := hello[8 : 8+hello[7]]
		require.Equal(t, codec.Name(), codecName)
		rest := hello[8+len(codecName):]
		md := rpc.Metadata{}
		for pairs := rest[4:]; pairs != ""; {
			k := pairs[2 : 2+int(pairs[1])]
			pairs = pairs[2+len(k):]
			v := pairs[2 : 2+int(pairs[1])]
			pairs = pairs[2+len(v):]
			md[k] = v
		}
		near, far := net.Pipe()
		opts := []rpc.ClientOption{rpc.WithCodec(codec), rpc.WithKeepalive(0), rpc.WithMaxMessage(int(binary.BigEndian.Uint32([]byte(rest))))}
		delete(md, "rpc.reply-metadata")
		delete(md, "rpc.streams")
		if _, offered := md["rpc.compression"]; offered {
			delete(md, "rpc.compression")
			opts = append(opts, rpc.WithCompression(capturedCompressFrom))
		}
		delete(md, "rpc.params")
		client := rpc.NewClient(near, append(opts, rpc.WithHelloMetadata(md))...)
		defer client.Close()
		defer far.Close()
		calls := map[uint64]*capturedCall{}
		var params gobStream
		for i, p := range s.packets {
			if i == 0 && strings.HasPrefix(s.name, "client: bad: hello") {
				call := &capturedCall{done: make(chan error, 1)} // there is no hello to let it begin
				calls[0] = call
				go func() { call.done <- client.Call(t.Context(), "Inventory.CheckStock", nil, nil) }()
			}
			switch {
			case p.fromClient:
				clientActs(t, client, codec, p.data, i == 0, calls, &params)
				got, err := readMessage(far, i == 0)
				if p.data == "" {
					require.Empty(t, got, "the client closes")
					continue
				}
				require.NoError(t, err)
				if i == 0 {
					require.Equal(t, inOrder(p.data), inOrder(asOffered(p.data, got)))
					continue
				}
				same(t, p.data, got)
			case p.data == "":
				far.Close()
			default:
				_, err := far.Write([]byte(p.data))
				if strings.HasPrefix(s.name, "client: bad: ") {
					continue // the client may have closed before it had read it all
				}
				require.NoError(t, err)
				checkReply(t, codec, p.data, calls)
			}
		}
		for id, call := range calls {
			if call.over {
				continue
			}
			if check == nil {
				t.Errorf("call %d was not answered", id)
				continue
			}
			check(t, s.name, call.ended(t))
		}
	})
}

// clientActs makes the client send what the capture says that it sent.
func clientActs(t *testing.T, client *rpc.Client, codec rpc.Codec, data string, hello bool, calls map[uint64]*capturedCall, params *gobStream) {
	t.Helper()
	if hello || data == "" {
		return
	}
	switch m := dissect(t, data); m.kind {
	case 8:
		call := &capturedCall{opened: make(chan rpc.OpenedStream, 1)}
		calls[m.id] = call
		var params any
		if m.body != "" {
			params = json.RawMessage(m.body)
		}
		go func() {
			ctx := t.Context()
			if m.pairs != nil {
				ctx = rpc.AddMetadata(ctx, m.pairs)
			}
			s, err := client.OpenStream(ctx, rpc.MethodKind(m.shape), m.method, params)
			assert.NoError(t, err)
			call.opened <- s
		}()
	case 9:
		stream, plain := calls[m.id].awaitStream(), m.body
		synctest.Wait() // one goroutine at a time sends
		if m.flags&0x10 != 0 {
			plain, _ = gunzip(m.flags, m.body)
		}
		var item any = json.RawMessage(plain)
		if codec == protobuf.Codec {
			item = new(wrapperspb.StringValue)
			require.NoError(t, protobuf.Codec.Decode([]byte(plain), item))
		}
		go func() { assert.NoError(t, stream.Send(t.Context(), item)) }()
	case 10:
		stream := calls[m.id].awaitStream()
		go stream.CloseSend()
	case 1:
		ctx, cancel := context.WithCancel(t.Context())
		if m.timeout > 0 {
			ctx, cancel = context.WithTimeout(t.Context(), m.timeout)
		}
		t.Cleanup(cancel)
		if m.pairs != nil {
			ctx = rpc.AddMetadata(ctx, m.pairs)
		}
		call := &capturedCall{cancel: cancel, done: make(chan error, 1)}
		ctx = rpc.ReceiveHeader(ctx, &call.header)
		var args any
		switch codec {
		case rpc.Gob:
			if m.flags&2 != 0 { // it follows upon one that could not be encoded
				require.Error(t, client.Call(ctx, m.method, unfitting{make(chan int)}, nil))
			}
			args = params.value(t, m)
			if call.reply = new(CheckStockReply); m.method == "Test.Any" {
				call.reply = new(anything)
			}
		case protobuf.Codec:
			v := new(wrapperspb.StringValue)
			require.NoError(t, protobuf.Codec.Decode([]byte(m.body), v))
			args, call.reply = v, new(wrapperspb.StringValue)
		default:
			if m.body != "" {
				plain, _ := gunzip(m.flags, m.body)
				args = json.RawMessage(plain)
			}
			call.reply = new(json.RawMessage)
		}
		calls[m.id] = call
		go func() { call.done <- client.Call(ctx, m.method, args, call.reply) }()
	case 4:
		if calls[m.id].opened != nil {
			go calls[m.id].awaitStream().Close()
			delete(calls, m.id)
			return
		}
		calls[m.id].cancel()
		require.ErrorIs(t, <-calls[m.id].done, context.Canceled)
		delete(calls, m.id)
	case 5:
		go client.Ping(t.Context())
	}
}

// checkReply checks that the call that the frame is for returns what is in it.
func checkReply(t *testing.T, codec rpc.Codec, frame string, calls map[uint64]*capturedCall) {
	t.Helper()
	if len(frame) < 14 || strings.HasPrefix(frame, "\x93") {
		return
	}
	switch frame[4] {
	case 2, 3:
	case 9, 10, 13:
		checkStream(t, codec, frame, calls)
		return
	default:
		return
	}
	id := binary.BigEndian.Uint64([]byte(frame[6:]))
	call := calls[id]
	if call == nil {
		return // its caller has left
	}
	m := dissect(t, frame)
	if m.kind == 3 {
		err := <-call.done
		var e *rpc.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, m.code, e.Code)
		assert.Equal(t, m.text, e.Message)
		assert.Equal(t, m.pairs, e.Details)
		assert.Equal(t, m.flags&8 != 0, rpc.NeverRan(err))
		assert.Equal(t, rpc.Metadata(m.metadata), call.header)
		delete(calls, id)
		return
	}
	plain, compressed := gunzip(m.flags, m.body)
	delete(calls, id)
	switch m.body = plain; {
	case compressed && len(plain) > 1000:
		require.ErrorIs(t, <-call.done, rpc.ResourceExhausted)
		return
	case m.flags&0x10 != 0 && !compressed, codec == rpc.JSON && plain != "" && !json.Valid([]byte(plain)):
		require.ErrorIs(t, <-call.done, rpc.Internal)
		return
	}
	if strings.Contains(fmt.Sprint(m.metadata), "\n") {
		require.ErrorIs(t, <-call.done, rpc.Internal)
		return
	}
	require.NoError(t, <-call.done)
	assert.Equal(t, rpc.Metadata(m.metadata), call.header)
	switch reply := call.reply.(type) {
	case *json.RawMessage:
		assert.Equal(t, m.body, string(*reply))
	case *wrapperspb.StringValue:
		out, err := protobuf.Codec.Append(nil, reply)
		require.NoError(t, err)
		assert.Equal(t, m.body, string(out))
	}
}

// checkStream checks that the stream that the frame is for receives what is in it.
func checkStream(t *testing.T, codec rpc.Codec, frame string, calls map[uint64]*capturedCall) {
	t.Helper()
	m := dissect(t, frame)
	call := calls[m.id]
	if call == nil || m.flags&0x40 != 0 {
		return // its caller has left, or it is not the whole item
	}
	stream := call.awaitStream()
	if m.kind == 13 {
		header, err := stream.Header(t.Context())
		if m.metadata["User"] != "" { // no key
			require.ErrorIs(t, err, rpc.Internal)
			return
		}
		require.NoError(t, err)
		assert.Equal(t, rpc.Metadata(m.metadata), header)
		return
	}
	var item json.RawMessage
	message := new(wrapperspb.StringValue)
	var err error
	if codec == protobuf.Codec {
		err = stream.Receive(t.Context(), message)
	} else {
		err = stream.Receive(t.Context(), &item)
	}
	plain, _ := gunzip(m.flags, m.body)
	switch {
	case m.kind == 9 && codec == protobuf.Codec:
		require.NoError(t, err)
		out, err := protobuf.Codec.Append(nil, message)
		require.NoError(t, err)
		assert.Equal(t, plain, string(out))
	case m.kind == 9 && json.Valid([]byte(plain)):
		require.NoError(t, err)
		assert.Equal(t, plain, string(item))
	case m.kind == 9:
		require.ErrorIs(t, err, rpc.Internal)
	case m.code == rpc.OK:
		require.Equal(t, io.EOF, err)
	default:
		var e *rpc.Error
		require.ErrorAs(t, err, &e)
		assert.Equal(t, m.code, e.Code)
		assert.Equal(t, m.text, e.Message)
		assert.Equal(t, m.pairs, e.Details)
		assert.Equal(t, m.flags&8 != 0, rpc.NeverRan(err))
	}
	if m.kind == 10 {
		assert.Equal(t, rpc.Metadata(m.metadata), stream.Trailer())
		call.over = true
		stream.Close()
	}
}

func TestWire_ClientStreamsAsCaptured(t *testing.T) {
	_, sections := readCapture(t, "final-streams.txt")
	for _, s := range sections {
		if !strings.HasPrefix(s.name, "odd: ") && !strings.HasPrefix(s.name, "shutdown") {
			t.Run(s.name, func(t *testing.T) { replayClient(t, s, rpc.JSON, identicalOpened, nil) })
		}
	}
}

func TestWire_ClientCallsAsCaptured(t *testing.T) {
	for name, codec := range map[string]rpc.Codec{"final-calls.txt": rpc.JSON, "final-params.txt": rpc.JSON, "final-protobuf.txt": protobuf.Codec, "final-reply-metadata.txt": rpc.JSON} {
		_, sections := readCapture(t, name)
		for _, s := range sections {
			if strings.HasPrefix(s.name, "odd: ") || strings.HasPrefix(s.name, "reply metadata: ") {
				continue // no client of ours does that
			}
			t.Run(name+"/"+s.name, func(t *testing.T) { replayClient(t, s, codec, identical, nil) })
		}
	}
}

func TestWire_ClientCompressesAsCaptured(t *testing.T) {
	_, sections := readCapture(t, "final-compress.txt")
	for _, s := range sections {
		if !strings.HasPrefix(s.name, "odd: ") && !strings.HasPrefix(s.name, "compressed: ") {
			t.Run(s.name, func(t *testing.T) { replayClient(t, s, rpc.JSON, identicalOpened, nil) })
		}
	}
}

func TestWire_ClientCallsGobAsCaptured(t *testing.T) {
	gob.Register(CheckStockReply{})
	_, sections := readCapture(t, "final-gob.txt")
	for _, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			var want, got gobStream
			replayClient(t, s, rpc.Gob, func(t *testing.T, wanted, had string) { sameGob(t, &want, &got, wanted, had) }, nil)
		})
	}
}

func TestWire_ClientTakesAGoAwayAsCaptured(t *testing.T) {
	_, sections := readCapture(t, "final-go-away.txt")
	for _, s := range sections {
		if !strings.HasPrefix(s.name, "client: ") && s.name != "shutdown" {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			replayClient(t, s, rpc.JSON, identical, func(t *testing.T, _ string, err error) {
				assert.ErrorIs(t, err, rpc.Unavailable)
				assert.True(t, rpc.NeverRan(err))
			})
		})
	}
}

// What a server may not send: the client closes, and the call has failed.
func TestWire_ClientEndsABadConnectionAsCaptured(t *testing.T) {
	_, sections := readCapture(t, "final-client-bad.txt")
	for _, s := range sections {
		t.Run(s.name, func(t *testing.T) {
			failed := false
			replayClient(t, s, rpc.JSON, identical, func(t *testing.T, name string, err error) {
				failed = true
				var e *rpc.Error
				require.True(t, errors.As(err, &e))
				inHello := strings.HasPrefix(name, "client: bad: hello")
				assert.Equal(t, inHello, rpc.NeverRan(err), "else it may have run")
				if !inHello {
					assert.Equal(t, rpc.Unavailable, e.Code)
				}
			})
			assert.Equal(t, strings.HasPrefix(s.name, "client: bad: "), failed)
		})
	}
}
