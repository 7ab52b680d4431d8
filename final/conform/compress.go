package conform

import (
	"bytes"
	"compress/gzip"
	"io"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

func offerCompression(c *client) error { return c.offer(frames.Compression, frames.Gzip, 4<<20) }

// offer says hello with an offer, and takes what the server says to that: nothing, or a
// grant.
func (c *client) offer(key, value string, largest uint32) error {
	return c.offerAll(largest, frames.Pair{Key: key, Value: value})
}

func (c *client) offerAll(largest uint32, offers ...frames.Pair) error {
	hello := frames.ClientHello{Codec: "json", MaxMessage: largest, Metadata: offers}
	c.largest = int(hello.MaxMessage)
	c.send(hello.Bytes())
	want := frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20}
	got, err := c.read(c.timeout, want.Bytes())
	if err != nil {
		return err
	}
	if c.agreed = frames.Agreed(hello, c.bounds); c.agreed != 0 {
		want.Text = c.bounds.Text
	}
	return c.compare(want.Bytes(), got, true)
}

// offered checks that an offer changes nothing for who does not make use of it.
func offered(c *client) error { return inOrder(func() error { return c.check(1) }, c.alive) }

// compressed checks what is done with compressed params, if the server grants
// that.
func compressed(c *client) error {
	if c.agreed&wire.FlagCompressed == 0 {
		return skip("the server does not grant compression")
	}
	good := gzipped(item1, 0)
	right := func(id uint64) []byte { return response(id, `{"Count":100}`) }
	wrong := func(id uint64) []byte { return refused(id, wire.InvalidArgument) }
	return inOrder(
		func() error { return c.checkCompressed(1, good, right) },
		func() error { return c.checkCompressed(2, item1, wrong) },
		func() error { return c.checkCompressed(3, good[:len(good)-8], wrong) },
		func() error { return c.checkCompressed(4, good+good, wrong) },
		func() error { return c.checkCompressed(5, good, right) },
		c.alive)
}

// bombed checks that a server expands no more than it announced, and goes on.
func bombed(c *client) error {
	const most = 64 // MiB that this side compresses
	size := int(c.bounds.MaxMessage>>20) + 1
	switch {
	case c.agreed&wire.FlagCompressed == 0:
		return skip("the server does not grant compression")
	case size > most:
		return skip("the server reads messages of more than %d MiB", most)
	}
	tooMuch := func(id uint64) []byte { return refused(id, wire.ResourceExhausted) }
	return inOrder(
		func() error { return c.checkCompressed(1, gzipped(item1, size), tooMuch) },
		func() error { return c.check(2) })
}

// checkCompressed makes a call with params that are said to be gzip.
func (c *client) checkCompressed(id uint64, params string, want func(id uint64) []byte) error {
	c.request(frames.Request{ID: id, Flags: wire.FlagCompressed, Method: checkStock, Params: []byte(params)})
	return c.expect(want(id))
}

// gzipped compresses params, and so many MiB of blanks after them.
func gzipped(params string, blanks int) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, params)
	mebibyte := bytes.Repeat([]byte(" "), 1<<20)
	for range blanks {
		w.Write(mebibyte)
	}
	w.Close()
	return b.String()
}

// expanded returns a response as it would be without compression.
func (c *client) expanded(got, want []byte) ([]byte, error) {
	f, err := frames.ParseFrame(got)
	if err != nil || f.Kind != wire.KindResponse || f.Flags&c.agreed&wire.FlagCompressed == 0 {
		return got, nil
	}
	f.Fields, err = frames.Expand(f.Fields, c.largest-wire.MinLength)
	if err != nil {
		return nil, c.failure("a compressed result that is none: "+err.Error(), want, got)
	}
	f.Flags &^= wire.FlagCompressed
	return f.Bytes(), nil
}
