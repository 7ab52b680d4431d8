package wire

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/internal/wire"
)

// final is one direction of final's wire: a hello, then frames.
type final struct {
	fromClient bool
	talk       *finalTalk
	helloed    bool
	gob        gobStream
}

// finalTalk is what both directions of a connection have to know.
type finalTalk struct {
	codec   string
	client  frames.ClientHello
	agreed  uint8 // that frames may have, by both hellos
	streams finalStreams
	largest map[bool]uint32 // length of a frame that the client (true) and the server read; 0: not said yet
}

func newFinal() (client, server dialect) {
	t := &finalTalk{largest: map[bool]uint32{}}
	return &final{fromClient: true, talk: t}, &final{talk: t}
}

func (d *final) cut(have []byte, size int64, more []byte) (int, bool, error) {
	head := int64(wire.LengthSize)
	if !d.helloed {
		head = wire.HelloSize
		if size == 0 && !wire.IsMagic(more) {
			return 0, false, &frames.Error{Reason: "not a hello of this protocol"}
		}
	}
	n := min(head-size, int64(len(more)))
	if size < head {
		have = append(append([]byte(nil), have...), more[:n]...)
	}
	total := int64(frames.Size(have, !d.helloed))
	if size >= head {
		n = min(total-size, int64(len(more)))
	} else if total > 0 {
		if err := d.checkHead(have); err != nil {
			return 0, false, err
		}
	}
	return int(n), size+n == total, nil
}

// checkHead checks the length, as the receiver does before it makes room.
func (d *final) checkHead(head []byte) error {
	if !d.helloed {
		if !wire.IsMagic(head) {
			return &frames.Error{Reason: "not a hello of this protocol"}
		}
		return nil
	}
	length := binary.BigEndian.Uint32(head)
	largest := d.talk.largest[!d.fromClient]
	switch {
	case length < wire.MinLength:
		return &frames.Error{Reason: fmt.Sprintf("frame of length %d, less than %d", length, wire.MinLength)}
	case largest > 0 && length > largest:
		return &frames.Error{Reason: fmt.Sprintf("frame of length %d: the other side reads at most %d", length, largest)}
	}
	return nil
}

func (d *final) explain(message []byte, size int64) (meaning, error) {
	text, err := d.say(message, size)
	return meaning{text: text}, err
}

// say is explain without the fields.
func (d *final) say(message []byte, size int64) (string, error) {
	if !d.helloed {
		d.helloed = true
		return d.explainHello(message)
	}
	if int64(len(message)) < size { // its beginning is a frame, too, with a shorter body
		message = append([]byte(nil), message...)
		binary.BigEndian.PutUint32(message, uint32(len(message)-wire.LengthSize))
	}
	f, err := frames.ParseFrame(message)
	if err != nil {
		return "", err
	}
	text, err := d.explainFrame(f, size-int64(len(message)))
	if wrong := f.CheckAgreed(d.fromClient, d.talk.agreed); wrong != nil {
		err = wrong
	}
	return text, err
}

func (d *final) explainHello(whole []byte) (string, error) {
	h, err := frames.ParseHello(whole)
	if err != nil {
		return "", err
	}
	text := fmt.Sprintf("hello: version %d", h.Version)
	if h.Version != wire.Version {
		return text + ", which is not known here", nil
	}
	if d.fromClient {
		c, err := h.Client()
		d.talk.codec, d.talk.largest[true], d.talk.client = c.Codec, c.MaxMessage, c
		return fmt.Sprintf("%s, codec %s, reads at most %d bytes%s", text, clean(c.Codec), c.MaxMessage, pairs("metadata", c.Metadata)), err
	}
	s, err := h.Server()
	if s.Code != wire.OK {
		return fmt.Sprintf("%s, refused: %s %q", text, s.Code, s.Text), err
	}
	d.talk.largest[false], d.talk.agreed = s.MaxMessage, frames.Agreed(d.talk.client, s)
	d.talk.streams.begin(d.talk.client, s)
	text = fmt.Sprintf("%s, accepted: %d calls in flight, reads at most %d bytes", text, s.InFlight, s.MaxMessage)
	if s.Text != "" {
		text += ", grants " + strconv.Quote(s.Text)
	}
	return text, err
}

// explainFrame explains a frame whose body is missing so many bytes.
func (d *final) explainFrame(f frames.Frame, missing int64) (string, error) {
	text := fmt.Sprintf("%s %d", f.Kind, f.ID)
	switch f.Kind {
	case wire.KindRequest:
		r, err := f.Request()
		text += " " + clean(r.Method)
		if r.TimeoutMS > 0 {
			text += ", timeout " + (time.Duration(r.TimeoutMS) * time.Millisecond).String()
		}
		text += flags(f.Flags) + pairs("metadata", r.Metadata)
		if err != nil {
			return text, err
		}
		return d.withBody(text, "params", f, r.Params, missing)
	case wire.KindResponse:
		r, err := f.Response()
		text += flags(f.Flags) + pairs("metadata", r.Metadata)
		if err != nil {
			return text, err
		}
		return d.withBody(text, "result", f, r.Result, missing)
	case wire.KindOpen, wire.KindData, wire.KindEnd, wire.KindCredit, wire.KindWant, wire.KindHeader:
		return d.explainStream(text, f, missing)
	case wire.KindCancel:
		d.talk.streams.cancel(f.ID)
	case wire.KindError, wire.KindGoAway:
		r, err := f.Reason()
		if f.Kind == wire.KindGoAway {
			text = fmt.Sprintf("%s after call %d", f.Kind, f.ID)
		}
		return fmt.Sprintf("%s %s %q%s%s%s", text, r.Code, r.Text, flags(f.Flags), pairs("details", r.Details), pairs("metadata", r.Metadata)), err
	}
	return text + flags(f.Flags), nil
}

// withBody adds params, a result or an item: their length, and what they are if the codec
// lets a stranger read them.
func (d *final) withBody(text, what string, f frames.Frame, body []byte, missing int64) (string, error) {
	if len(body) == 0 {
		return text + ", no " + what, nil
	}
	text += fmt.Sprintf(", %s of %d bytes", what, int64(len(body))+missing)
	if f.Flags&d.talk.agreed&wire.FlagCompressed != 0 {
		if missing > 0 {
			return tooLong(text, nil)
		}
		plain, err := frames.Expand(body, int(min(d.talk.largest[!d.fromClient], 1<<20)))
		if err != nil {
			return text + ", not to be expanded: " + err.Error(), nil
		}
		text, body = fmt.Sprintf("%s, expanded %d bytes", text, len(plain)), plain
	}
	switch {
	case d.talk.codec == "json":
		return text + " " + string(body), nil
	case d.talk.codec == "gob" && missing > 0:
		return tooLong(text, nil)
	case d.talk.codec == "gob":
		value, err := d.gobStream(f.Flags).readAll(body)
		return text + " " + value, shifted(err, len(f.Bytes())-len(body))
	}
	return text + " in " + clean(d.talk.codec), nil
}

// gobStream returns the stream that a body with these flags belongs to.
func (d *final) gobStream(f uint8) *gobStream {
	if f&wire.FlagSelfContained != 0 {
		return &gobStream{}
	}
	if f&wire.FlagRestart != 0 {
		d.gob = gobStream{}
	}
	return &d.gob
}

var flagNames = [...]string{"pairs", "restart", "self-contained", "never ran", "compressed", "reply metadata", "more"}

func flags(f uint8) string {
	if f == 0 {
		return ""
	}
	return strings.TrimSuffix(fmt.Sprintf(", flags %02x %s", byte(f), strings.Join(FlagNames(f), " + ")), " ")
}

// FlagNames returns the names of a frame's flags; those that version 1 does not have are
// left out.
func FlagNames(f uint8) (names []string) {
	for i, name := range flagNames {
		if f&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return names
}

func pairs(what string, all []frames.Pair) string {
	if len(all) == 0 {
		return ""
	}
	var parts []string
	for _, p := range all {
		parts = append(parts, clean(p.Key)+"="+strconv.Quote(p.Value))
	}
	return ", " + what + " " + strings.Join(parts, " ")
}
