package rpc

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"

	"example.com/rpc-from-scratch/final/internal/bytepool"
	"example.com/rpc-from-scratch/final/internal/causes"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// Compression is an [extension]; each body's sender decides whether it compresses that.
//
// gob is left out: its bodies are encoded one at a time and decoded by the reader,
// where compressing would delay every other call.
const (
	compressionKey = "rpc.compression" // its value: what the client knows, with commas between
	gzipName       = "gzip"

	defaultCompressFrom = 1 << 10
)

func offerCompression(o *clientOptions) string {
	if o.compressFrom == 0 || isStream(o.codec) {
		return ""
	}
	return gzipName
}

func grantCompression(c *serverConn, codec Codec, offered string) string {
	from := c.server.options.compressFrom
	if from == 0 || isStream(codec) || !slices.Contains(strings.Split(offered, ","), gzipName) {
		return ""
	}
	c.compress = from
	return gzipName
}

func compressionGranted(c *clientConn, value string) bool {
	if value != gzipName {
		return false
	}
	c.compress = c.options.compressFrom
	return true
}

// compress compresses a body. It stays as it is if it has less than from bytes, if
// compressing does not make it smaller, or if it is larger than limit: then it is not
// sent anyway.
func (b *outBody) compress(from, limit int) {
	if from == 0 || b.size() < from || b.size() > limit {
		return
	}
	compressing <- struct{}{}
	c := compressors.Get().(*compressor)
	smaller := c.compress(b.buf.B)
	compressors.Put(c)
	<-compressing
	if smaller != nil {
		bytepool.Put(b.buf)
		b.buf, b.flags = smaller, b.flags|wire.FlagCompressed
	}
}

// compressing bounds the memory of compressors: of bodies that are ready at once, no
// more are compressed than keep the processors busy. Compressing waits for nothing, so
// one ends soon.
var compressing = make(chan struct{}, 2*runtime.GOMAXPROCS(0))

// compressor is a gzip.Writer with where it writes to. The fastest level takes
// most of what can be gained from text; a Writer is large, so it is used again.
type compressor struct {
	gz  *gzip.Writer
	out *bytepool.Buffer
	max int // out stays below
}

var compressors = sync.Pool{New: func() any {
	gz, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // its error is about another level
	return &compressor{gz: gz}
}}

// compress returns data compressed, or nil if that is not smaller.
func (c *compressor) compress(data []byte) *bytepool.Buffer {
	c.out, c.max = bytepool.Get(len(data)/4), len(data)
	c.gz.Reset(c)
	_, err := c.gz.Write(data)
	if err == nil {
		err = c.gz.Close()
	}
	out := c.out
	c.out = nil
	if err != nil {
		bytepool.Put(out)
		return nil
	}
	return out
}

var errNotSmaller = errors.New("not smaller")

func (c *compressor) Write(p []byte) (int, error) {
	size := len(c.out.B) + len(p)
	if size >= c.max {
		return 0, errNotSmaller
	}
	if size > cap(c.out.B) {
		c.out = c.out.Moved(max(size, 2*len(c.out.B)))
	}
	c.out.B = append(c.out.B, p...)
	return len(p), nil
}

// decompressor is a gzip.Reader with what it reads from.
type decompressor struct {
	in bytes.Reader
	gz gzip.Reader
}

var decompressors = sync.Pool{New: func() any { return new(decompressor) }}

// gzipHead is how a body begins: none of gzip's optional fields, for which
// 64 KiB would be allocated because four bytes ask for it.
var gzipHead = []byte{0x1f, 0x8b, 8, 0}

var (
	errNotGzip   = errors.New("gzip: no header, or one with optional fields")
	errAfterGzip = errors.New("gzip: more after the end")
	errExpands   = errors.New("gzip: more bytes than a message may have")

	// errExpandsMore is not errExpands: what claims too little is broken, and not too large.
	errExpandsMore = errors.New("gzip: more bytes than its length says")
)

// claimedSize returns what gzip's last four bytes say of the length of what is
// compressed.
func claimedSize(data []byte) int {
	if len(data) < 4 {
		return 0
	}
	return int(min(binary.LittleEndian.Uint32(data[len(data)-4:]), math.MaxInt32))
}

// expand takes data, which lies in body, out of its compression, and gives body
// back. The result is at most limit bytes. Its memory grows with what comes out:
// what gzip says of the length is not believed. With errExpands, no more than a
// byte above limit was made.
func expand(body *bytepool.Buffer, data []byte, limit int) (*bytepool.Buffer, error) {
	defer bytepool.Put(body)
	if !bytes.HasPrefix(data, gzipHead) {
		return nil, errNotGzip
	}
	d := decompressors.Get().(*decompressor)
	defer decompressors.Put(d)
	d.in.Reset(data)
	defer d.in.Reset(nil)
	if err := d.gz.Reset(&d.in); err != nil {
		return nil, err
	}
	d.gz.Multistream(false)
	out, err := d.read(bytepool.Get(min(2*len(data), limit+1)), limit)
	if err == nil && d.in.Len() > 0 {
		err = errAfterGzip
	}
	if err != nil {
		bytepool.Put(out)
		return nil, err
	}
	return out, nil
}

// expandClaimed is expand for a limit that is what gzip claims of the length, if that is less
// than most.
func expandClaimed(body *bytepool.Buffer, data []byte, limit, most int) (*bytepool.Buffer, error) {
	out, err := expand(body, data, limit)
	if limit < most && causes.Is(err, errExpands) {
		err = errExpandsMore
	}
	return out, err
}

// read reads to the end and returns out, or a larger buffer.
func (d *decompressor) read(out *bytepool.Buffer, limit int) (*bytepool.Buffer, error) {
	for {
		if len(out.B) == cap(out.B) {
			out = out.Moved(min(2*len(out.B), limit+1))
		}
		have := len(out.B)
		n, err := d.gz.Read(out.B[have:min(cap(out.B), limit+1)])
		out.B = out.B[:have+n]
		switch {
		case len(out.B) > limit:
			return out, errExpands
		case err == io.EOF:
			return out, nil
		case err != nil:
			return out, err
		}
	}
}

// undecoded is the code for a body that could not be decoded, in place of code
// if it was too large.
func undecoded(err error, code Code) Code {
	if _, large := causes.Find[*decodedTooLarge](err); large || causes.Is(err, errExpands) {
		return ResourceExhausted
	}
	return code
}
