package logging

import (
	"fmt"
	"log/slog"
	"reflect"
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

// panicText is what a handler panicked with. A [slog.LogValuer] says itself what
// is shown of it.
func panicText(value any) string {
	if _, ok := methods[slog.LogValuer](reflect.ValueOf(value)); ok {
		return "panic: " + show(value, maxText)
	}
	return "panic: " + fmt.Sprint(value) // which catches the panics of methods
}
