package logging

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"example.com/rpc-from-scratch/final/rpc"
)

// clean makes a text that others have made fit for a line: valid UTF-8, cut
// after limit bytes, and without control characters, line separators and marks
// that turn the direction of text.
func clean(text string, limit int) string {
	if len(text) <= limit && isPlain(text) {
		return text
	}
	cut := len(text) > limit
	if cut {
		text = text[:limit] // may cut a rune; ToValidUTF8 mends that
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if cut {
		text += "…"
	}
	return text
}

// isPlain reports whether a text is printable ASCII, as most are.
func isPlain(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] >= utf8.RuneSelf-1 {
			return false
		}
	}
	return true
}

// errorText is an error without the code, which has an attribute of its own. An
// error around another one may say more than its caller gets to see.
func errorText(err error) string {
	if e, ok := err.(*rpc.Error); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// show renders params or a result, as far as that goes.
func show(v any, limit int) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(a %T that panics when it is encoded)", v)
		}
	}()
	if valuer, ok := v.(slog.LogValuer); ok {
		return clean(slog.AnyValue(valuer).Resolve().String(), limit)
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprintf("(a %T that is not encoded as JSON)", v)
	}
	return clean(string(data), limit)
}
