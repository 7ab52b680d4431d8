package logging

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

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
		text = text[:limit] // may cut a rune; ToValidUTF8 fixes that
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
// error around another one may say more than its caller gets to see. One whose
// method panics, a nil pointer in most cases, has a note for a text.
func errorText(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(a %T that panics when it is asked for its text)", err)
		}
	}()
	if e, ok := err.(*rpc.Error); ok && e.Message != "" {
		return e.Message
	}
	return err.Error()
}

// panicText is what a handler panicked with: its text, or its JSON if there may be a
// [slog.LogValuer] in it, which says itself what is shown of it. Most often that is
// the params.
func panicText(value any) string {
	if !hasText(value) && mayHold(reflect.TypeOf(value), map[reflect.Type]bool{}) {
		return "panic: " + show(value, maxText)
	}
	return "panic: " + fmt.Sprint(value) // which catches the panics of methods
}

// hasText reports whether a value has a text of its own to be printed by.
func hasText(value any) bool {
	switch value.(type) {
	case slog.LogValuer, proto.Message: // a message's own text has what debug_redact marks
		return false
	case error, fmt.Stringer, fmt.Formatter:
		return true
	}
	return value == nil
}
