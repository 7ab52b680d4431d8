package logging

import (
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/internal/values"
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
// error around another one may say more than its caller gets to see.
func errorText(err error) string {
	if e, ok := err.(*rpc.Error); ok && e != nil && e.Message != "" {
		return withoutHidden(err, func() string { return e.Message })
	}
	return withoutHidden(err, err.Error)
}

// maxErrors is how many errors in an error are looked at: they may form a circle.
const maxErrors = 100

// withoutHidden returns what text says of err. The text of an error in it that is a
// [slog.LogValuer] is replaced by what that is shown as. An error whose method
// panics, a nil pointer in most cases, has a note for a text.
func withoutHidden(err error, text func() string) (clean string) {
	defer func() {
		if recover() != nil {
			clean = fmt.Sprintf("(a %T that panics when it is asked for its text)", err)
		}
	}()
	clean = text()
	todo := []error{err}
	for range maxErrors {
		if len(todo) == 0 {
			break
		}
		at := todo[0]
		todo = append(todo[1:], errorsIn(at)...)
		if _, hides := methods[slog.LogValuer](reflect.ValueOf(at)); !hides {
			continue
		}
		if own := at.Error(); own != "" {
			clean = strings.ReplaceAll(clean, own, show(at, maxText))
		}
	}
	return clean
}

// errorsIn lists what err wraps.
func errorsIn(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() []error }:
		return e.Unwrap()
	case interface{ Unwrap() error }:
		return []error{e.Unwrap()}
	}
	return nil
}

// panicText is what a handler panicked with: an error's text, or the value's JSON if
// there may be a [slog.LogValuer] in it, which says itself what is shown of it, or if
// it is too deep to be printed. Most often that is the params.
func panicText(value any) string {
	text := ""
	_, message := value.(proto.Message) // its own text has what debug_redact marks
	switch err, failed := value.(error); {
	case failed && !message && !has(reflect.TypeOf(value), reflect.TypeFor[slog.LogValuer]()):
		text = withoutHidden(err, err.Error)
	case message || mayHold(reflect.TypeOf(value), map[reflect.Type]bool{}) || values.IsDeep(value):
		text = show(value, maxText)
	default:
		text = fmt.Sprint(value) // which catches the panics of methods
	}
	return "panic: " + text
}
