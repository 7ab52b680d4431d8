package check

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// window shortens two values that are compared to at most width characters, so
// that their first difference is still to be seen.
func window(expected, got string, width int) (string, string) {
	a, b := []rune(expected), []rune(got)
	if len(a) <= width && len(b) <= width {
		return expected, got
	}
	same := 0
	for same < min(len(a), len(b)) && a[same] == b[same] {
		same++
	}
	from := max(0, same-min(width/3, 40))
	if len(a) == 0 || len(b) == 0 || same < width/2 {
		from = 0
	}
	return cut(a, from, width), cut(b, from, width)
}

// cut returns about width characters of a value, and says what is left out.
func cut(value []rune, from, width int) string {
	to := min(len(value), from+width)
	text := string(value[from:to])
	if left := len(value) - to; left > 0 {
		whole := value[from:min(len(value), to+50)] // the words below are shorter than 50 characters
		text = shorter(string(whole), fmt.Sprintf("%s… (%d characters more)", text, left))
	}
	if from > 0 {
		text = fmt.Sprintf("(%d characters the same) …%s", from, text)
	}
	return text
}

// shorter returns a cut text, or the whole one if that takes no more room.
func shorter(whole, cut string) string {
	if utf8.RuneCountInString(whole) <= utf8.RuneCountInString(cut) {
		return whole
	}
	return cut
}

// short cuts a line that is too long to be read.
func short(line string) string { return cut([]rune(line), 0, maxWidth) }

// middle returns about width characters of each line: the beginning, which says
// what it is, and the end, which says what was wanted. What an assertion says about
// a long value, such as that it does not contain another, has both.
func middle(text string, width int) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if value := []rune(line); len(value) > width {
			from, to := width*2/3, len(value)-width/3
			lines[i] = shorter(line, fmt.Sprintf("%s… (%d characters) …%s", string(value[:from]), to-from, string(value[to:])))
		}
	}
	return strings.Join(lines, "\n")
}

// pairs shortens the lines of a diff, a removed and the added one after it
// together.
func pairs(lines []string) []string {
	out := make([]string, len(lines))
	for i := 0; i < len(lines); i++ {
		if i+1 < len(lines) && strings.HasPrefix(lines[i], "-") && strings.HasPrefix(lines[i+1], "+") {
			a, b := window(lines[i][1:], lines[i+1][1:], maxWidth)
			out[i], out[i+1] = "-"+a, "+"+b
			i++
			continue
		}
		out[i] = short(lines[i])
	}
	return out
}

// clean returns a line as a terminal may show it: what would move its cursor or
// change its colours is written out.
func clean(line string) string {
	plain := func(r rune) bool { return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) }
	if utf8.ValidString(line) && !strings.ContainsFunc(line, func(r rune) bool { return !plain(r) }) {
		return line
	}
	var b strings.Builder
	for _, r := range line {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case plain(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
