package wire

import (
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
)

// hellos is the wire of steps 06 and 07: a hello that chooses the codec, then its
// messages. A first byte that is not R begins step 05's lines.
type hellos struct {
	lines
	fromClient bool
	talk       *talk   // the connection's
	then       dialect // after the hello; nil before
}

// talk is what both directions of a connection have to know.
type talk struct {
	helloed bool // the client said hello
	codec   string
}

func newHellos() (client, server dialect) {
	t := &talk{codec: "json"}
	return &hellos{fromClient: true, talk: t}, &hellos{talk: t}
}

func (d *hellos) cut(have []byte, size int64, more []byte) (int, bool, error) {
	if d.then == nil && size == 0 && !d.greets(more[0]) {
		d.then = jsonLines{fromClient: d.fromClient}
	}
	if d.then == nil {
		return d.lines.cut(have, size, more)
	}
	return d.then.cut(have, size, more)
}

// greets reports whether a direction that begins with that byte begins with a hello.
func (d *hellos) greets(first byte) bool {
	if d.fromClient {
		d.talk.helloed = first == 'R'
	}
	return d.talk.helloed
}

func (d *hellos) explain(message []byte, size int64) (meaning, error) {
	if d.then != nil {
		return d.then.explain(message, size)
	}
	version, rest, _ := strings.Cut(strings.TrimSpace(string(message)), " ")
	text, err := d.say(message)
	return meaning{text, []Field{{"version", version}, {"rest", rest}}}, err
}

// say says what a hello means.
func (d *hellos) say(message []byte) (string, error) {
	line := strings.TrimSpace(string(message))
	version, word, _ := strings.Cut(line, " ")
	if d.fromClient {
		d.talk.codec = word
	}
	if d.talk.codec == "gob" {
		d.then = &gobMessages{}
	} else {
		d.then = jsonLines{fromClient: d.fromClient}
	}
	switch {
	case version != "RPC/1":
		return "", &frames.Error{Reason: "not a hello in version 1: " + line}
	case d.fromClient:
		return "hello: version 1, codec " + word, nil
	case word == "ok":
		return "hello: accepted", nil
	}
	return "hello: refused, " + strings.TrimPrefix(word, "error "), nil
}

// gobMessages are the messages of step 06's gobCodec: a Request or a Response
// without its value, and then the value.
type gobMessages struct {
	gob   gobStream
	value string // what the next value is; "" before a Request or Response

	fields []Field // of the message that was read last
}

func (d *gobMessages) cut(have []byte, size int64, more []byte) (int, bool, error) {
	return cutGob(have, size, more)
}

func (d *gobMessages) explain(whole []byte, size int64) (meaning, error) {
	d.fields = nil
	text, err := d.say(whole, size)
	return meaning{text, d.fields}, err
}

// say is explain without the fields, which it notes.
func (d *gobMessages) say(whole []byte, size int64) (string, error) {
	if int64(len(whole)) < size {
		what := "gob message " + d.value
		d.value = ""
		return tooLong(strings.TrimSpace(what), nil)
	}
	m, err := d.gob.read(whole)
	if err != nil {
		d.value = ""
		return "", err
	}
	for _, f := range m.fields {
		d.fields = append(d.fields, Field{f.name, f.text})
	}
	switch {
	case m.defines != "":
		return m.defines, nil
	case m.goesOn:
		return "a value that goes on in the next message", nil
	case d.value != "":
		what := d.value
		d.value = ""
		return "  " + what + " " + m.String(), nil
	case m.name == "Request":
		d.value = "params"
		return m.request(), nil
	case m.name == "Response":
		d.value = "result"
		return m.response(), nil
	}
	return "value " + m.String() + ", where a Request or a Response should be", nil
}

func (m *gobMessage) request() string {
	if m.field("Cancel") == "true" {
		return words("cancel", m.field("ID"))
	}
	s := words("request", m.field("ID"), strings.Trim(m.field("Method"), `"`))
	if ms := m.field("TimeoutMS"); ms != "" {
		s += ", timeout " + milliseconds(ms)
	}
	return s
}

func (m *gobMessage) response() string {
	if text := m.field("Error"); text != "" {
		s := words("error", m.field("ID"), text)
		if code := m.field("Code"); code != "" {
			s += ", code " + code
		}
		return s
	}
	return words("response", m.field("ID"))
}
