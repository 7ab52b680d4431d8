package logging

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"example.com/rpc-from-scratch/final/internal/causes"
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
	text = printable(text)
	if cut {
		text += "…"
	}
	return text
}

// printable is clean without a limit. What package rpc has made of a text does not
// change what printable makes of it.
func printable(text string) string {
	if isPlain(text) {
		return text
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
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

// Bounds of the search for what errors hide.
const (
	maxHidden = 100     // errors that hide something, in one error
	minTail   = 8       // bytes of a hidden text that was cut, to be known as it
	maxTail   = 4 << 10 // and at most: package rpc cuts texts there
)

// withoutHidden returns what text says of err. The text of an error in it that is a
// [slog.LogValuer] is replaced by what that is shown as. Where the text may repeat a
// hidden one in other words, nothing of it is shown. An error whose method panics, a
// nil pointer in most cases, has a note for a text.
func withoutHidden(err error, text func() string) (shown string) {
	defer func() {
		if recover() != nil {
			shown = fmt.Sprintf("(a %T that panics when it is asked for its text)", err)
		}
	}()
	hidden, all := hiddenIn(err)
	switch {
	case !all:
		return fmt.Sprintf("(the text of a %T is not shown: it wraps too many errors to find what they hide)", err)
	case len(hidden) == 0:
		return text()
	}
	// Package rpc has cleaned the text, but not those of the errors in it.
	whole := printable(text())
	var veils []veil
	for _, h := range hidden {
		found := h.in(whole)
		if len(found) == 0 && !h.inner {
			return fmt.Sprintf("(the text of a %T is not shown: it may repeat what a %T hides) %s", err, h.err, show(h.err, maxText))
		}
		veils = append(veils, found...)
	}
	return covered(whole, veils)
}

// hiddenError is an error that is a [slog.LogValuer].
type hiddenError struct {
	err   error
	inner bool // in another one, which need not repeat its text
}

// hiddenIn lists the errors in err that hide their text, outer ones first. It returns
// false if there are too many.
func hiddenIn(err error) (hidden []hiddenError, all bool) {
	outer := -1 // depth of the hidden error around the one visited
	cut := causes.Each(err, func(err error, depth int) {
		if depth <= outer {
			outer = -1
		}
		if _, hides := methods[slog.LogValuer](reflect.ValueOf(err)); !hides {
			return
		}
		if len(hidden) <= maxHidden {
			hidden = append(hidden, hiddenError{err, outer >= 0})
		}
		if outer < 0 {
			outer = depth
		}
	})
	return hidden, !cut && len(hidden) <= maxHidden
}

// veil is a place in a text that is not shown, and what is shown there.
type veil struct {
	from, to int
	shown    string
}

// in returns where a text that printable made has h's, in full or cut at its end.
func (h hiddenError) in(text string) (found []veil) {
	shown, own := show(h.err, maxText), printable(h.err.Error())
	if own == "" {
		return []veil{{}} // it is everywhere, and tells nothing
	}
	for from := 0; ; {
		at := strings.Index(text[from:], own)
		if at < 0 {
			break
		}
		found = append(found, veil{from + at, from + at + len(own), shown})
		from += at + len(own)
	}
	for n := min(len(own)-1, len(text), maxTail); n >= minTail; n-- {
		if strings.HasSuffix(text, own[:n]) {
			return append(found, veil{len(text) - n, len(text), shown})
		}
	}
	return found
}

// covered returns text with its veils. Where some overlap, the first is shown.
func covered(text string, veils []veil) string {
	slices.SortStableFunc(veils, func(a, b veil) int { return a.from - b.from })
	var b strings.Builder
	at := 0
	for _, v := range veils {
		if v.from >= at {
			b.WriteString(text[at:v.from] + v.shown)
		}
		at = max(at, v.to)
	}
	return b.String() + text[at:]
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
