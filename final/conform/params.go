package conform

import (
	"strconv"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
)

// offerParams says hello as a client that counts its params, and takes what the server
// says to that: nothing, or how much room there is.
func (c *client) offerParams() error {
	hello := frames.ClientHello{Codec: "json", MaxMessage: 4 << 20,
		Metadata: []frames.Pair{{Key: frames.Params, Value: frames.Bytes}}}
	c.largest = int(hello.MaxMessage)
	c.send(hello.Bytes())
	want := frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20}
	got, err := c.read(c.timeout, want.Bytes())
	if err != nil {
		return err
	}
	if word := c.bounds.Word(frames.Params); isRoom(word) {
		want.Text = c.bounds.Text
	}
	return c.compare(want.Bytes(), got, true)
}

// isRoom reports whether a grant has two numbers, of which the second is not below the first.
func isRoom(value string) bool {
	room, most, _ := strings.Cut(value, ",")
	r, err := strconv.ParseUint(room, 10, 63)
	m, err2 := strconv.ParseUint(most, 10, 63)
	return err == nil && err2 == nil && 1 <= r && r <= m
}

var paramsClientRules = []Rule{
	{Name: "client: small params and no room", Says: "Params of up to 4 KiB count nothing", test: asServer(clientSmallParams)},
}

// clientSmallParams announces as little room as there can be.
func clientSmallParams(c *caller) error {
	if err := c.hello(); err != nil {
		return err
	}
	if !c.said.Offers(frames.Params, frames.Bytes) {
		return skip("the client does not offer to count its params")
	}
	c.send(frames.ServerHello{InFlight: 1024, MaxMessage: 4 << 20, Text: frames.Params + "=1,1"}.Bytes())
	if err := c.request(); err != nil {
		return err
	}
	c.send(frames.Response{ID: c.id, Result: []byte(`{"Count":100}`)}.Frame().Bytes())
	return c.succeeds(`{"Count":100}`)
}

// paramsOffered checks that an offer changes nothing for small params.
func paramsOffered(c *client) error { return inOrder(func() error { return c.check(1) }, c.alive) }
