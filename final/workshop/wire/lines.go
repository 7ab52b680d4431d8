package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/conform/frames"
)

// lines is step 01's wire: a message is a line, its newline included.
type lines struct{}

func newLines() (client, server dialect) { return lines{}, lines{} }

func (lines) cut(_ []byte, _ int64, more []byte) (int, bool, error) {
	if i := bytes.IndexByte(more, '\n'); i >= 0 {
		return i + 1, true, nil
	}
	return len(more), false, nil
}

func (lines) explain(message []byte, _ int64) (meaning, error) {
	line := strings.TrimSuffix(string(message), "\n")
	return meaning{"line " + strconv.Quote(line), []Field{{"line", line}}}, nil
}

// tooLong says of a message that it is not looked into.
func tooLong(what string, message []byte) (string, error) {
	return what + ", too long to be looked into: " + string(message[:min(len(message), 1<<10)]), nil
}

// jsonLines is the wire of steps 02 to 05: a message is a line of JSON.
type jsonLines struct {
	lines
	fromClient bool
}

func newJSONLines() (client, server dialect) {
	return jsonLines{fromClient: true}, jsonLines{}
}

// jsonMessage has the members of requests and responses, all steps' together,
// as they came: what is odd is shown, not refused.
type jsonMessage struct {
	ID        json.RawMessage `json:"id"`
	Method    json.RawMessage `json:"method"`
	Params    json.RawMessage `json:"params"`
	TimeoutMS json.RawMessage `json:"timeout_ms"`
	Cancel    json.RawMessage `json:"cancel"`
	Result    json.RawMessage `json:"result"`
	Error     json.RawMessage `json:"error"`
	Code      json.RawMessage `json:"code"`
}

func (d jsonLines) explain(whole []byte, size int64) (meaning, error) {
	text, err := d.say(whole, size)
	return meaning{text, members(whole)}, err
}

// members returns the members of a line's JSON, in their order; none if it is no object.
func members(line []byte) []Field {
	d := json.NewDecoder(bytes.NewReader(line))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return nil
	}
	var found []Field
	for d.More() {
		key, err := d.Token()
		var value json.RawMessage
		if err != nil || d.Decode(&value) != nil {
			return nil
		}
		found = append(found, Field{fmt.Sprint(key), string(value)})
	}
	return found
}

// say is explain without the fields.
func (d jsonLines) say(whole []byte, size int64) (string, error) {
	switch {
	case int64(len(whole)) < size:
		return tooLong("line", whole)
	case len(bytes.TrimSpace(whole)) == 0:
		return "empty line", nil
	}
	if at := invalidUTF8(whole); at >= 0 {
		return "", &frames.Error{Offset: at, Reason: "not UTF-8"}
	}
	var m jsonMessage
	if err := json.Unmarshal(whole, &m); err != nil {
		return "", jsonError(whole, err)
	}
	if d.fromClient {
		return m.request(), nil
	}
	return m.response(), nil
}

// jsonError says at which byte the JSON is none.
func jsonError(whole []byte, err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return &frames.Error{Offset: max(int(syntax.Offset)-1, 0), Reason: "not JSON: " + syntax.Error()}
	case errors.As(err, &kind):
		return &frames.Error{Reason: "JSON, but no object: " + kind.Value}
	}
	return &frames.Error{Offset: len(whole), Reason: err.Error()}
}

// invalidUTF8 returns where b is not UTF-8, -1 if it is.
func invalidUTF8(b []byte) int {
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func (m *jsonMessage) request() string {
	if string(m.Cancel) == "true" {
		return words("cancel", string(m.ID))
	}
	s := words("request", string(m.ID), unquoted(m.Method))
	if m.Method == nil {
		s = words("request", string(m.ID), "without a method")
	}
	s += member("params", m.Params)
	if m.TimeoutMS != nil {
		s += ", timeout " + milliseconds(string(m.TimeoutMS))
	}
	return s
}

func (m *jsonMessage) response() string {
	switch {
	case m.Error != nil:
		return words("error", string(m.ID), string(m.Error)) + member("code", m.Code)
	case m.Result != nil:
		return words("response", string(m.ID)) + member("result", m.Result)
	}
	return words("response", string(m.ID)) + " with neither result nor error"
}

func member(name string, raw json.RawMessage) string {
	if raw == nil {
		return ""
	}
	return ", " + name + " " + string(raw)
}

// unquoted returns a JSON string's text if that is one plain word.
func unquoted(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil && s != "" && !strings.ContainsAny(s, " ,\"\\") {
		return s
	}
	return string(raw)
}

// milliseconds makes 1500 into 1.5s.
func milliseconds(n string) string {
	if d, err := time.ParseDuration(n + "ms"); err == nil {
		return d.String()
	}
	return fmt.Sprintf("%s ms", n)
}

// words joins what is not empty.
func words(all ...string) string {
	var b strings.Builder
	for _, w := range all {
		if w != "" && b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(w)
	}
	return b.String()
}
