package rpccmd

import (
	"bytes"
	"unicode/utf8"
)

// utf8Text returns text without the byte-order mark that some editors and shells
// put before it. Text that is not UTF-8 is a usage error; what names it.
func utf8Text(what string, text []byte) ([]byte, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	head := text[:min(len(text), 4)]
	switch {
	case bytes.HasPrefix(head, []byte{0xff, 0xfe}), bytes.HasPrefix(head, []byte{0xfe, 0xff}), bytes.IndexByte(head, 0) >= 0:
		return nil, usagef("%s: this is UTF-16 or UTF-32: save it as UTF-8", what)
	case !utf8.Valid(text):
		return nil, usagef("%s: this is not UTF-8: byte %d is 0x%02x", what, validPrefix(text)+1, text[validPrefix(text)])
	}
	return text, nil
}

// validPrefix returns how many bytes at the start of text are UTF-8.
func validPrefix(text []byte) int {
	n := 0
	for n < len(text) {
		r, size := utf8.DecodeRune(text[n:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		n += size
	}
	return n
}
