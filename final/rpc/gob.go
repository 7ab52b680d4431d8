package rpc

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"reflect"
	"sync"
	"time"

	"example.com/rpc-from-scratch/final/internal/wire"
)

// Gob is encoding/gob with one stream per direction, so that each type is
// described once per connection. It is for trusted peers only, because Go's
// security policy leaves gob out. 4 MB of nested data overflow the stack, which
// ends the process and cannot be caught; 67 bytes with a forged count make it
// allocate gigabytes. A server therefore offers it only with [WithCodecs], and
// reads at most 1 MiB per message then.
//
// It refuses to encode a value that contains itself, or is nested deeper than
// 10,000 levels.
//
// One value at a time is encoded for a connection. While a GobEncoder runs, other
// calls with gob wait, so it must not make calls on the connection that it is
// encoded for.
var Gob Codec = gobCodec{}

const (
	maxGobMessage = 1 << 20
	keptGob       = 4 << 10 // an encoder and a decoder each keep a message's bytes up to here
)

type gobCodec struct{}

func (gobCodec) Name() string { return "gob" }

// Append encodes v with its types, as a stream of its own.
func (gobCodec) Append(dst []byte, v any) ([]byte, error) {
	if err := checkGob(v); err != nil {
		return dst, err
	}
	buf := bytes.NewBuffer(dst)
	if err := gob.NewEncoder(buf).Encode(v); err != nil {
		return dst, err
	}
	return buf.Bytes(), nil
}

// Decode decodes what Append made.
func (gobCodec) Decode(data []byte, v any) error {
	if len(data) == 0 {
		return nil
	}
	return gob.NewDecoder(bytes.NewReader(data)).Decode(v)
}

// checkGob refuses nil pointers, on which gob panics, and values without an end.
func checkGob(v any) error {
	if rv := reflect.ValueOf(v); rv.Kind() == reflect.Pointer && rv.IsNil() {
		return fmt.Errorf("gob: cannot encode a nil %T", v)
	}
	return checkGobCircle(v)
}

// gobBodies is both streams of one side of a connection.
type gobBodies struct {
	guess sizeGuess
	turn  chan struct{}   // capacity 1; full while a value is encoded and until its frame is appended
	ended <-chan struct{} // of the connection
	enc   gobEncoder      // belongs to the turn
	dec   gobDecoder      // belongs to the reader

	large    time.Time   // when the last large message was encoded; belongs to the turn, as do these:
	releases *time.Timer // releaseLater's, while it runs
}

func newGobBodies(ended <-chan struct{}) *gobBodies {
	return &gobBodies{turn: make(chan struct{}, 1), ended: ended}
}

func (g *gobBodies) inOrder() bool { return true }

func (g *gobBodies) decode(data []byte, flags uint8, v any) error {
	return g.dec.decode(data, flags, v)
}

func (g *gobBodies) encode(ctx context.Context, v any, ready func()) (outBody, error) {
	b, err := g.encodeInTurn(ctx, v, ready)
	return b, readable(err, "encoding", v) // which may make a call that needs the turn
}

func (g *gobBodies) encodeInTurn(ctx context.Context, v any, ready func()) (b outBody, err error) {
	b.buf = g.guess.buffer()
	encoded := false
	defer func() {
		if !encoded { // an error, or a GobEncoder has ended this goroutine
			b.drop()
		}
	}()
	if reachesInterface(reflect.TypeOf(v)) {
		b.flags = wire.FlagSelfContained
		b.buf.B, err = encodeWith(Gob, b.buf.B, v)
	} else if err = checkGob(v); err == nil {
		if err = g.await(ctx); err != nil {
			return b, err
		}
		b.turn = g
		if ready != nil {
			ready()
		}
		b.buf.B, b.flags, err = g.enc.append(b.buf.B, v)
	}
	if err != nil {
		return b, err
	}
	if b.turn != nil && len(b.buf.B) > keptGob {
		g.releaseLater()
	}
	g.guess.note(b.buf)
	encoded = true
	return b, nil
}

// await waits for the turn.
func (g *gobBodies) await(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
	case <-g.ended:
	}
	return errNoTurn
}

// errNoTurn is the error of a value whose context or connection ended before it was encoded.
var errNoTurn = errors.New("the time ended before a value could be encoded")

// leave gives the turn back.
func (g *gobBodies) leave() { <-g.turn }

// releaseLater has the encoder thrown away once no large message has been encoded for a while:
// a gob.Encoder keeps a buffer of the size of its largest message. Callers have the turn.
func (g *gobBodies) releaseLater() {
	g.large = time.Now()
	if g.releases == nil {
		g.releases = time.AfterFunc(shrinkAfter, g.release)
	}
}

// release is what releaseLater's timer calls.
func (g *gobBodies) release() {
	select {
	case g.turn <- struct{}{}:
		defer g.leave()
	case <-g.ended:
		return
	}
	if left := shrinkAfter - time.Since(g.large); left > 0 {
		g.releases.Reset(left)
		return
	}
	g.releases = nil
	g.enc.reset()
}

// end stops the timer and drops the encoder, which would stay in memory until it fires. If a
// value is being encoded, the timer does that.
func (g *gobBodies) end() {
	select {
	case g.turn <- struct{}{}:
		defer g.leave()
	default:
		return
	}
	if g.releases != nil {
		g.releases.Stop()
	}
	g.enc.reset()
}

// gobEncoder is one direction's stream on the sending side.
type gobEncoder struct {
	out     appender
	enc     *gob.Encoder // nil: the next message begins a new stream
	restart bool         // the receiver has a stream that we threw away
}

// appender is where a gob.Encoder writes to: what the caller wants it appended to.
type appender struct{ b []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.b = append(a.b, p...)
	return len(p), nil
}

// append encodes v, which is not nil, and returns the flags that its frame needs.
// After an error, callers reset the stream.
func (e *gobEncoder) append(dst []byte, v any) (out []byte, flags uint8, err error) {
	defer func() {
		if p := recover(); p != nil {
			out, err = dst, newCodecPanic("encoding", v, p)
		}
	}()
	if e.enc == nil {
		e.enc = gob.NewEncoder(&e.out)
	}
	e.out.b = dst
	if err := e.enc.Encode(v); err != nil {
		return dst, 0, err
	}
	out, e.out.b = e.out.b, nil
	if e.restart {
		flags, e.restart = wire.FlagRestart, false
	}
	return out, flags, nil
}

// reset begins a new stream with the next message, because the last one did not leave.
func (e *gobEncoder) reset() {
	e.enc, e.out.b, e.restart = nil, nil, true
}

// gobDecoder is one direction's stream on the receiving side. Only the reading
// goroutine uses it, in the order of the frames.
type gobDecoder struct {
	in  bytes.Reader
	dec *gob.Decoder
}

// errGobStream is an error in the description of a type: what comes after it on
// the stream cannot be understood.
var errGobStream = errors.New("broken gob stream")

// smallGob is a message of one int, whose type need not be described. A decoder
// keeps the last message that it has read, so this one is decoded, into nothing,
// after a large one.
var smallGob = []byte{3, 4, 0, 2}

// decode decodes a body into v, a pointer, or skips it if v is nil, which keeps
// the types in step. Only errGobStream is about more than this message.
func (d *gobDecoder) decode(body []byte, flags uint8, v any) (err error) {
	if len(body) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = newCodecPanic("decoding into", v, p)
		}
	}()
	if flags&wire.FlagSelfContained != 0 {
		return decodeWith(Gob, body, v)
	}
	if flags&wire.FlagRestart != 0 || d.dec == nil {
		d.dec = gob.NewDecoder(&d.in)
	}
	d.in.Reset(body)
	defer d.in.Reset(nil)
	if v == nil {
		err = d.dec.DecodeValue(reflect.Value{})
	} else {
		err = readable(d.dec.Decode(v), "decoding into", v)
	}
	if err != nil && (d.in.Len() > 0 || !endsInValue(body)) {
		return fmt.Errorf("%w: %w", errGobStream, err)
	}
	if err == nil && d.in.Len() > 0 {
		return fmt.Errorf("%w: %d bytes after the value", errGobStream, d.in.Len())
	}
	if err == nil && len(body) > keptGob {
		d.in.Reset(smallGob)
		return d.dec.DecodeValue(reflect.Value{})
	}
	return err
}

// endsInValue reports whether the last of body's messages is a value, not a
// type definition. A gob message is a length and a type number, negative for a
// definition.
func endsInValue(body []byte) bool {
	value := false
	for len(body) > 0 {
		length, rest, ok := gobUint(body)
		if !ok || length == 0 || length > uint64(len(rest)) {
			return false
		}
		id, _, ok := gobUint(rest[:length])
		if !ok {
			return false
		}
		value = id&1 == 0 // gob keeps the sign of an int in the lowest bit
		body = rest[length:]
	}
	return value
}

// gobUint reads gob's unsigned integer: a byte below 128, or the negated number
// of big-endian bytes that follow.
func gobUint(b []byte) (n uint64, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	if b[0] < 0x80 {
		return uint64(b[0]), b[1:], true
	}
	size := -int(int8(b[0]))
	if size > 8 || len(b) < 1+size {
		return 0, nil, false
	}
	for _, c := range b[1 : 1+size] {
		n = n<<8 | uint64(c)
	}
	return n, b[1+size:], true
}

var interfaceTypes sync.Map // reflect.Type to bool

// reachesInterface reports whether values of t can hold an interface. A
// receiver that skips such a value loses the types defined inside it, so it is
// sent as a stream of its own.
func reachesInterface(t reflect.Type) bool {
	if known, ok := interfaceTypes.Load(t); ok {
		return known.(bool)
	}
	found := searchInterface(t, map[reflect.Type]bool{})
	interfaceTypes.Store(t, found)
	return found
}

func searchInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array:
		return searchInterface(t.Elem(), seen)
	case reflect.Map:
		return searchInterface(t.Key(), seen) || searchInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if searchInterface(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}

var _ io.ByteReader = (*bytes.Reader)(nil) // so that gob does not read ahead through a bufio.Reader
