package rpccmd

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"unicode/utf8"
)

// How much is read of what the command line names: a device has no end.
const (
	mostParams   = 64 << 20 // bytes of standard input
	mostFromFile = 1 << 20  // bytes of a file
)

// readAll reads all of r, if it has at most so many bytes.
func readAll(r io.Reader, most int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("more than %d MiB", most>>20)
	}
	return data, err
}

// readFile reads a file with a token, metadata or certificates.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := readAll(f, mostFromFile)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

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
