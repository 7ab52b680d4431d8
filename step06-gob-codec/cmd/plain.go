package cmd

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
)

// plain returns a peer's text on one line, for a terminal. Characters that would
// move the cursor, ring the bell or reverse the text are escaped as in JSON.
func plain(text string) string {
	var b strings.Builder
	for _, r := range text {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, `\u%04x`, unit)
		}
	}
	return b.String()
}
