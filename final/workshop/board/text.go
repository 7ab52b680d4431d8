package board

import (
	"strings"
	"unicode"
)

const (
	maxName   = 40  // letters of a participant's name
	maxAnswer = 160 // of what a board answers, in a participant's terminal
)

// clean returns text for a page or a terminal: one line of at most max letters. Control
// characters are left out, and so are invisible ones and those that change the direction
// of text. A letter keeps two marks at most, so that none covers the lines above.
func clean(text string, max int) string {
	var b strings.Builder
	letters, marks, space := 0, 0, false
	for _, r := range text {
		switch {
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029':
			space = letters > 0
			continue
		case r == unicode.ReplacementChar || !unicode.IsGraphic(r):
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > 2 || letters == 0 || space {
				continue
			}
			b.WriteRune(r)
			continue
		}
		if letters >= max || space && letters+2 > max {
			break
		}
		if space {
			b.WriteByte(' ')
			letters, space = letters+1, false
		}
		b.WriteRune(r)
		letters, marks = letters+1, 0
	}
	return b.String()
}
