package wire

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
)

// What a peer says is text, and no command for the terminal.
func TestPrinter_APeersWordsAreText(t *testing.T) {
	const words = "a\x1b[31m\a\r\x7f\u009b2J\u202e\nforged\xff"
	var out bytes.Buffer
	p := &printer{out: &out, max: 1000, dump: true}
	p.event(1, 0, words)
	p.message(1, message{text: words, wrong: words, head: []byte(words), size: int64(len(words))})
	p.max = 8 // a message is cut before it is printed
	p.message(1, message{text: words, wrong: words})
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		assert.False(t, strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", line)
		assert.False(t, strings.HasPrefix(line, "forged"), "%q", line)
	}
	assert.Equal(t, 3, strings.Count(out.String(), `a\x1b[31m\a\r\x7f\u009b2J\u202e\nforged\xff`))
}
