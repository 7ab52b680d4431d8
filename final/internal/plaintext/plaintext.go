// Package plaintext makes text that a peer has sent safe to print: a terminal
// obeys control characters, and shows what follows a bidirectional override in
// another order than it is written.
package plaintext

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// isSafe reports whether r shows as a character or a space and does nothing else.
func isSafe(r rune) bool {
	return unicode.IsPrint(r) && !unicode.Is(unicode.Bidi_Control, r)
}

// escape returns r as JSON writes it.
func escape(r rune) string {
	if hi, lo := utf16.EncodeRune(r); hi != utf8.RuneError {
		return fmt.Sprintf(`\u%04x\u%04x`, hi, lo)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// Line returns text on one line, with what is not safe escaped as in JSON: an ESC
// is \u001b, a newline \u000a, bytes that are not UTF-8 are \ufffd.
func Line(text string) string { return clean(text, false) }

// Lines is Line, but newlines and tabs stay.
func Lines(text string) string { return clean(text, true) }

func clean(text string, layout bool) string {
	safe := func(r rune) bool { return isSafe(r) || layout && (r == '\n' || r == '\t') }
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !safe(r) }) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if safe(r) && r != utf8.RuneError {
			b.WriteRune(r)
		} else {
			b.WriteString(escape(r))
		}
	}
	return b.String()
}

// IsLine reports whether Line leaves text as it is.
func IsLine(text string) bool { return Line(text) == text }

// Fprintf is fmt.Fprintf with Line applied to each argument that is a string.
func Fprintf(w io.Writer, format string, args ...any) (int, error) {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = Line(text)
		}
	}
	return fmt.Fprintf(w, format, args...)
}
