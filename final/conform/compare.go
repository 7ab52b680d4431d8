package conform

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// What PROTOCOL.md leaves to the server is filled in from what it sent, so that
// all other bytes can be compared one by one: its bounds, its words, the white
// space of its JSON, the order of details.

// fill returns the message that want means when got was received.
func fill(want, got []byte, hello bool) []byte {
	if hello {
		return fillHello(want, got)
	}
	w, err := frames.ParseFrame(want)
	if err != nil {
		return want
	}
	g, err := frames.ParseFrame(got)
	if err != nil || g.Kind != w.Kind {
		return want
	}
	switch w.Kind {
	case wire.KindResponse:
		return fillResponse(w, g)
	case wire.KindError, wire.KindGoAway:
		return fillReason(w, g)
	}
	return want
}

func fillResponse(w, g frames.Frame) []byte {
	wr, err := w.Response()
	if err != nil {
		return w.Bytes()
	}
	gr, err := g.Response()
	if err != nil {
		return w.Bytes()
	}
	if sameJSON(wr.Result, gr.Result) {
		wr.Result = gr.Result
	}
	wr.Metadata = inOrderOf(gr.Metadata, wr.Metadata)
	return wr.Frame().Bytes()
}

// inOrderOf returns the wanted pairs, in the order of those that were received if these are
// the same.
func inOrderOf(got, want []frames.Pair) []frames.Pair {
	if maps.Equal(pairMap(want), pairMap(got)) {
		return got
	}
	return want
}

func fillHello(want, got []byte) []byte {
	w, g := serverHello(want), serverHello(got)
	switch {
	case w == nil || g == nil || w.Code != g.Code:
		return want
	case w.Code != wire.OK && isLine(g.Text, 512):
		w.Text = g.Text
	case w.Code == wire.OK && g.InFlight >= 1 && g.MaxMessage >= 1024:
		w.InFlight, w.MaxMessage = g.InFlight, g.MaxMessage
	}
	return w.Bytes()
}

func serverHello(b []byte) *frames.ServerHello {
	h, err := frames.ParseHello(b)
	if err != nil || h.Version != wire.Version {
		return nil
	}
	s, err := h.Server()
	if err != nil {
		return nil
	}
	return &s
}

// fillReason leaves the words of a refusal to the server. An error that a method
// returned has to come as it was: its text and its details.
func fillReason(w, g frames.Frame) []byte {
	wr, err := w.Reason()
	if err != nil {
		return w.Bytes()
	}
	gr, err := g.Reason()
	if err != nil {
		return w.Bytes()
	}
	longest := 4096
	if w.Kind == wire.KindGoAway {
		longest = 512
	}
	if wr.Code != wire.NotFound && isLine(gr.Text, longest) {
		wr.Text = gr.Text
		wr.Details = gr.Details
	}
	wr.Details = inOrderOf(gr.Details, wr.Details)
	wr.Metadata = inOrderOf(gr.Metadata, wr.Metadata)
	return wr.Frame(w.Kind, w.Flags&^(wire.FlagPairs|wire.FlagReplyMetadata), w.ID).Bytes()
}

func pairMap(pairs []frames.Pair) map[string]string {
	m := map[string]string{}
	for _, p := range pairs {
		m[p.Key] = p.Value
	}
	return m
}

// isLine reports whether a text is one line of UTF-8, and not too long.
func isLine(text string, longest int) bool {
	return len(text) <= longest && utf8.ValidString(text) && strings.IndexFunc(text, unicode.IsControl) < 0
}

func sameJSON(a, b []byte) bool {
	var va, vb any
	return json.Unmarshal(a, &va) == nil && json.Unmarshal(b, &vb) == nil && reflect.DeepEqual(va, vb)
}

// describe says in words what a server's message is.
func describe(b []byte) string {
	if wire.IsMagic(b) {
		return describeHello(b)
	}
	f, err := frames.ParseFrame(b)
	if err != nil {
		return fmt.Sprintf("%d bytes that are no message: %v", len(b), err)
	}
	switch f.Kind {
	case wire.KindError, wire.KindGoAway:
		r, err := f.Reason()
		if err != nil {
			return fmt.Sprintf("%s %d: %v", f.Kind, f.ID, err)
		}
		return fmt.Sprintf("%s %d %s, flags %02x, %q", f.Kind, f.ID, r.Code, byte(f.Flags), r.Text)
	case wire.KindResponse:
		r, err := f.Response()
		if err != nil {
			return fmt.Sprintf("response %d: %v", f.ID, err)
		}
		return fmt.Sprintf("response %d, flags %02x, %.80q", f.ID, byte(f.Flags), r.Result)
	}
	return fmt.Sprintf("%s %d", f.Kind, f.ID)
}

func describeHello(b []byte) string {
	h := serverHello(b)
	switch {
	case h == nil:
		return "a hello that cannot be read"
	case h.Code == wire.OK:
		return fmt.Sprintf("a hello that accepts, %d calls in flight, %d bytes", h.InFlight, h.MaxMessage)
	}
	return fmt.Sprintf("a hello that refuses with %s, %q", h.Code, h.Text)
}
