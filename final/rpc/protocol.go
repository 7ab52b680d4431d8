package rpc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"time"
)

// The wire, version 1. All numbers are big-endian and unsigned.
//
// Each side begins with a hello, the client first; the layout of its first
// seven bytes is the same in every version to come:
//
//	0        4         5        7
//	| magic  | version | length | length bytes |
//	  93 'R' 'P' 'C'
//
//	client:  | 1 n | n codec name | 4 largest message that the client reads | metadata pairs … |
//	server:  | 1 code | 4 calls in flight | 4 largest message that the server reads | text … |
//
// Code 0 accepts; the text then says what is granted of what the client's
// metadata offer. Any other code is the reason for a refusal and the end. A server
// answers in its own version; a client that speaks it too may come back with it.
//
// Then frames go both ways. The length counts what follows it, so at least 10:
//
//	0         4      5       6          14
//	| length  | kind | flags | call ID  | the kind's fields … |
//
//	1 request   c→s  | 4 timeout in ms, 0 none | 2 m | m method | [2 n | n metadata pairs] | params … |
//	2 response  s→c  | result … |
//	3 error     s→c  | 1 code | 2 t | t text | [2 n | n detail pairs] |
//	4 cancel    c→s  (no fields: the caller does not wait any more)
//	5 ping      both (no fields; the ID is the sender's and comes back)
//	6 pong      both (no fields)
//	7 go-away   s→c  | 1 code | 2 t | t text |   ID: the last call that is served
//	8–15             reserved for streams
//
//	flags:  01 metadata or detail pairs are there    request, error
//	        02 the gob stream starts anew            request, response
//	        04 gob, self-contained: its own stream   request, response
//	        08 the handler was never started         error
//	        10 the body is gzip; only if the hellos  request, response
//	           have agreed upon it: see compress.go
//
// Pairs are | 2 k | k key | 2 v | v value |, one after the other. A flag that the
// table does not give to a kind, an unknown kind, a length out of bounds and
// fields that do not fit end the connection, with a go-away if the server finds them.
//
// Call IDs begin at 1 and rise with every request. Each request gets one
// response or error, a cancelled one too, in any order; until then it counts
// against the server's bound of calls in flight.
const (
	magic      = "\x93RPC"
	version    = 1
	helloSize  = 7
	headerSize = 14
	minLength  = headerSize - 4

	maxHello     = 16 << 10 // what a client reads of a server's hello
	maxPairs     = 128      // of metadata: a pair in a map costs far more than its bytes on the wire
	maxErrorText = 4 << 10
	maxDetails   = 16 << 10
)

type kind uint8

const (
	kindRequest kind = 1 + iota
	kindResponse
	kindError
	kindCancel
	kindPing
	kindPong
	kindGoAway
)

const (
	flagPairs         = 1 << iota // metadata or details follow
	flagRestart                   // gob: a new stream begins with this body
	flagSelfContained             // gob: this body is a stream of its own
	flagNeverRan                  // the handler was not started
	flagCompressed                // the body is gzip
)

// allowedFlags has the flags of each kind; a kind that is not in it is unknown.
var allowedFlags = [...]uint8{
	kindRequest:  flagPairs | flagRestart | flagSelfContained | flagCompressed,
	kindResponse: flagRestart | flagSelfContained | flagCompressed,
	kindError:    flagPairs | flagNeverRan,
	kindCancel:   0,
	kindPing:     0,
	kindPong:     0,
	kindGoAway:   0,
}

// errProtocol is a peer that does not keep to the protocol: the connection ends.
func errProtocol(format string, args ...any) *Error {
	return Errorf(InvalidArgument, "protocol: "+format, args...)
}

// fields takes a message apart. Once something is missing, bad is true and all
// further fields are empty.
type fields struct {
	b   []byte
	bad bool
}

func (f *fields) take(n int) []byte {
	if f.bad || n > len(f.b) {
		f.bad = true
		return nil
	}
	b := f.b[:n]
	f.b = f.b[n:]
	return b
}

func (f *fields) uint8() uint8 {
	if b := f.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (f *fields) uint16() int {
	if b := f.take(2); b != nil {
		return int(binary.BigEndian.Uint16(b))
	}
	return 0
}

func (f *fields) uint32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

// parsePairs reads all of b as at most so many pairs.
func parsePairs(b []byte, most int) (map[string]string, error) {
	f := fields{b: b}
	pairs := map[string]string{}
	for n := 0; len(f.b) > 0 && !f.bad; n++ {
		if n == most {
			return nil, Errorf(ResourceExhausted, "more than %d pairs of metadata", most)
		}
		k := f.take(f.uint16())
		v := f.take(f.uint16())
		pairs[string(k)] = string(v)
	}
	if f.bad {
		return nil, errProtocol("truncated pairs")
	}
	return pairs, nil
}

func appendPairs(dst []byte, pairs map[string]string) []byte {
	for k, v := range pairs {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(k)))
		dst = append(dst, k...)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(v)))
		dst = append(dst, v...)
	}
	return dst
}

func pairsSize(pairs map[string]string) int {
	size := 0
	for k, v := range pairs {
		size += 4 + len(k) + len(v)
	}
	return size
}

// appendHeader begins a frame of size bytes after the header.
func appendHeader(dst []byte, k kind, flags uint8, id uint64, size int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(minLength+size))
	dst = append(dst, byte(k), flags)
	return binary.BigEndian.AppendUint64(dst, id)
}

// requestHead is all of a request but its params.
type requestHead struct {
	deadline time.Time     // the caller's; zero: none
	timeout  time.Duration // 0: none; else at least a millisecond
	method   string
	metadata Metadata // checked
}

func (h *requestHead) size() int {
	size := 6 + len(h.method)
	if len(h.metadata) > 0 {
		size += 2 + pairsSize(h.metadata)
	}
	return size
}

func (h *requestHead) append(dst []byte, flags uint8, id uint64, body int) []byte {
	if len(h.metadata) > 0 {
		flags |= flagPairs
	}
	dst = appendHeader(dst, kindRequest, flags, id, h.size()+body)
	ms := min(h.timeout.Milliseconds(), math.MaxUint32)
	dst = binary.BigEndian.AppendUint32(dst, uint32(ms))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(h.method)))
	dst = append(dst, h.method...)
	if len(h.metadata) > 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(pairsSize(h.metadata)))
		dst = appendPairs(dst, h.metadata)
	}
	return dst
}

// request is a request frame taken apart. Its slices point into the frame.
type request struct {
	timeout time.Duration
	method  []byte
	pairs   []byte
	body    []byte
}

func parseRequest(f *frame) (request, error) {
	in := fields{b: f.payload}
	var r request
	r.timeout = time.Duration(in.uint32()) * time.Millisecond
	r.method = in.take(in.uint16())
	if f.flags&flagPairs != 0 {
		r.pairs = in.take(in.uint16())
	}
	if in.bad {
		return r, errProtocol("truncated request %d", f.id)
	}
	r.body = in.b
	return r, nil
}

// appendError appends an error frame, its text cleaned and cut so that the
// frame is no longer than limit, which is at least 1 KiB.
func appendError(dst []byte, id uint64, e *Error, limit int) []byte {
	text := cleanText(e.Message, min(maxErrorText, limit/2))
	details := cleanPairs(e.Details)
	var flags uint8
	size := 3 + len(text)
	if n := pairsSize(details); n > 0 && n <= maxDetails && minLength+size+2+n <= limit {
		flags |= flagPairs
		size += 2 + n
	}
	if e.neverRan {
		flags |= flagNeverRan
	}
	dst = appendHeader(dst, kindError, flags, id, size)
	dst = appendReason(dst, e.Code, text)
	if flags&flagPairs != 0 {
		dst = binary.BigEndian.AppendUint16(dst, uint16(pairsSize(details)))
		dst = appendPairs(dst, details)
	}
	return dst
}

func cleanPairs(pairs map[string]string) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	clean := make(map[string]string, len(pairs))
	for k, v := range pairs {
		clean[cleanText(k, maxDetails)] = cleanText(v, maxDetails)
	}
	return clean
}

func appendReason(dst []byte, code Code, text string) []byte {
	dst = append(dst, byte(code))
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(text)))
	return append(dst, text...)
}

// parseError reads what the peer says went wrong. Whatever the peer claims, the
// result is an error: an unknown code, or OK, is Unknown.
func parseError(f *frame) (*Error, error) {
	in := fields{b: f.payload}
	e := &Error{remote: true, handed: true, neverRan: f.flags&flagNeverRan != 0}
	e.Code, e.Message = takeReason(&in)
	if f.flags&flagPairs != 0 {
		details, err := parsePairs(in.take(in.uint16()), math.MaxInt)
		if err != nil {
			return nil, err
		}
		e.Details = cleanPairs(details)
	}
	if in.bad || len(in.b) > 0 {
		return nil, errProtocol("malformed error frame for call %d", f.id)
	}
	return e, nil
}

func takeReason(in *fields) (Code, string) {
	code := Code(in.uint8())
	if code == OK || code > lastCode {
		code = Unknown
	}
	return code, cleanBytes(in.take(in.uint16()), maxErrorText)
}

func appendGoAway(dst []byte, lastID uint64, e *Error) []byte {
	text := cleanText(e.Message, 512)
	dst = appendHeader(dst, kindGoAway, 0, lastID, 3+len(text))
	return appendReason(dst, e.Code, text)
}

func parseGoAway(f *frame) (*Error, error) {
	in := fields{b: f.payload}
	e := &Error{remote: true}
	e.Code, e.Message = takeReason(&in)
	if in.bad || len(in.b) > 0 {
		return nil, errProtocol("malformed go-away")
	}
	return e, nil
}

// clientHello is what a client says first.
type clientHello struct {
	codec      string
	maxMessage uint32
	metadata   Metadata
}

// size is the hello's length, which the wire has two bytes for.
func (h *clientHello) size() int { return 1 + len(h.codec) + 4 + pairsSize(h.metadata) }

// check refuses what the wire has no room for, and metadata that may not travel.
func (h *clientHello) check() error {
	if err := h.metadata.check(); err != nil {
		return unrun(Errorf(InvalidArgument, "%w", err))
	}
	if n := h.size(); n > math.MaxUint16 {
		return unrun(Errorf(ResourceExhausted, "hello of %d bytes, of which the metadata are %d: at most %d are allowed (WithHelloMetadata)",
			n, pairsSize(h.metadata), math.MaxUint16))
	}
	return nil
}

func (h *clientHello) append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(h.size()))
	dst = append(dst, byte(len(h.codec)))
	dst = append(dst, h.codec...)
	dst = binary.BigEndian.AppendUint32(dst, h.maxMessage)
	return appendPairs(dst, h.metadata)
}

func parseClientHello(b []byte) (h clientHello, err error) {
	in := fields{b: b}
	h.codec = string(in.take(int(in.uint8())))
	h.maxMessage = in.uint32()
	if in.bad {
		return h, errProtocol("truncated hello")
	}
	if h.maxMessage < 1<<10 {
		return h, errProtocol("hello: a largest message of %d bytes, less than 1024", h.maxMessage)
	}
	if h.metadata, err = parsePairs(in.b, maxPairs); err != nil {
		return h, err
	}
	if err := h.metadata.check(); err != nil {
		return h, Errorf(InvalidArgument, "%w", err)
	}
	return h, nil
}

// serverHello is the server's answer.
type serverHello struct {
	code        Code
	maxInFlight uint32
	maxMessage  uint32
	text        string
}

func (h *serverHello) append(dst []byte) []byte {
	text := cleanText(h.text, 512)
	dst = append(dst, magic...)
	dst = append(dst, version)
	dst = binary.BigEndian.AppendUint16(dst, uint16(9+len(text)))
	dst = append(dst, byte(h.code))
	dst = binary.BigEndian.AppendUint32(dst, h.maxInFlight)
	dst = binary.BigEndian.AppendUint32(dst, h.maxMessage)
	return append(dst, text...)
}

// parseServerHello returns the server's bounds, or its refusal as an error.
func parseServerHello(b []byte) (h serverHello, err error) {
	in := fields{b: b}
	h.code = Code(in.uint8())
	h.maxInFlight = in.uint32()
	h.maxMessage = in.uint32()
	h.text = cleanBytes(in.b, maxErrorText)
	switch {
	case in.bad:
		return h, errProtocol("truncated hello")
	case h.code > lastCode:
		return h, &Error{Code: Unknown, Message: h.text, remote: true, neverRan: true}
	case h.code != OK:
		return h, &Error{Code: h.code, Message: h.text, remote: true, neverRan: true}
	case h.maxInFlight == 0 || h.maxMessage < 1<<10:
		return h, errProtocol("hello: bounds of %d calls and %d bytes", h.maxInFlight, h.maxMessage)
	}
	return h, nil
}

// errVersion is a hello in a version that this side does not speak.
var errVersion = errors.New("unknown version")

// readHello reads one hello and not a byte more: what follows is for the frame reader.
func readHello(conn io.Reader, limit int) ([]byte, error) {
	var head [helloSize]byte
	if _, err := io.ReadFull(conn, head[:len(magic)]); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	if string(head[:len(magic)]) != magic {
		return nil, errProtocol("hello begins with %q: not this protocol", head[:len(magic)])
	}
	if _, err := io.ReadFull(conn, head[len(magic):]); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	length := int(binary.BigEndian.Uint16(head[5:]))
	if length > limit {
		return nil, Errorf(ResourceExhausted, "hello of %d bytes: at most %d are allowed", length, limit)
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, fmt.Errorf("hello: %w", err)
	}
	if head[4] != version {
		return nil, fmt.Errorf("%w %d: this side speaks %d", errVersion, head[4], version)
	}
	return body, nil
}

// isTimeout reports whether err is a deadline that passed.
func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}
