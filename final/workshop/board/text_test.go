package board

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestClean(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"a name", "Ada Lovelace", "Ada Lovelace"},
		{"other scripts and marks", "Zoë 王小明 Nguyễn", "Zoë 王小明 Nguyễn"},
		{"a terminal's commands", "a\x1b[2J\x1b]0;title\x07b", "a[2J]0;titleb"},
		{"control characters of eight bits", "a\u009b31mb", "a31mb"},
		{"lines", "a\r\nb\u2028c\u0085d", "a b c d"},
		{"blanks", "  a \t\u00a0 b  ", "a b"},
		{"direction", "a\u202eb\u2066c\u200fd", "abcd"},
		{"invisible", "a\u200bb\ufeffc\u00add", "abcd"},
		{"not UTF-8", "a\xffb\xc3", "ab"},
		{"nothing but what is left out", "\x00\u202e \n", ""},
		{"a heap of marks", "e\u0301\u0302\u0303\u0304\u0305x", "e\u0301\u0302x"},
		{"marks on nothing", "\u0301\u0302a", "a"},
		{"long", strings.Repeat("é", 100), strings.Repeat("é", 10)},
		{"long, a blank at the limit", "123456789 1", "123456789"},
		{"escaping is for what shows it", "<b>&amp;", "<b>&amp;"},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := maxName
			if strings.HasPrefix(c.name, "long") {
				limit = 10
			}
			assert.Equal(t, c.want, clean(c.text, limit))
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[2J é\u0301 \u202e")
	f.Fuzz(func(t *testing.T, text string) {
		got := clean(text, maxName)
		assert.True(t, utf8.ValidString(got))
		assert.LessOrEqual(t, utf8.RuneCountInString(got), 3*maxName)
		assert.NotContains(t, got, "\x1b")
		assert.Equal(t, got, clean(got, maxName), "twice is once")
	})
}
