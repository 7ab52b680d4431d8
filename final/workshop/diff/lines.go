package diff

import (
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"
)

// An op says what happened to a line.
type op byte

const (
	same    op = ' '
	deleted op = '-'
	added   op = '+'
)

// A line of a diff, with the number that it has in the old and the new file; a
// line that is in one file alone has the number of the next line in the other.
type line struct {
	op       op
	text     string // with its newline, unless it is a file's last and has none
	old, new int    // from 1
}

// compare returns the lines of both files in order, each marked with its op.
// What has the same name in both is compared with itself: a plain search for
// the longest common sequence finds matches across functions that mean nothing.
func compare(before, after []section) []line {
	var lines []line
	i, j := 0, 0
	for _, m := range matches(before, after) {
		lines = append(lines, compareTexts(join(before[i:m.old]), join(after[j:m.new]))...)
		lines = append(lines, compareTexts(before[m.old].text, after[m.new].text)...)
		i, j = m.old+1, m.new+1
	}
	lines = append(lines, compareTexts(join(before[i:]), join(after[j:]))...)
	tidy(lines)
	number(lines)
	return lines
}

// Changes returns the lines of both texts that changed, with '-' or '+' in front, in
// hunks with at most so many unchanged lines beside them. An unchanged line has ' ' in
// front, unless it is empty.
func Changes(before, after string, beside int) []string {
	lines := compareTexts(before, after)
	tidy(lines)
	var all []string
	for _, h := range hunks(lines, declarations{}, beside) {
		var b strings.Builder
		for _, l := range lines[h.start:h.end] {
			if l.op != same || l.text != "\n" {
				b.WriteByte(byte(l.op))
			}
			b.WriteString(l.text)
		}
		all = append(all, b.String())
	}
	return all
}

func compareTexts(before, after string) []line {
	var lines []line
	add := func(text string, op op) {
		for _, text := range splitLines(text) {
			lines = append(lines, line{op: op, text: text})
		}
	}
	at := 0 // in before
	for _, edit := range udiff.Lines(before, after) {
		add(before[at:edit.Start], same)
		add(before[edit.Start:edit.End], deleted)
		add(edit.New, added)
		at = edit.End
	}
	add(before[at:], same)
	return lines
}

// deletedFirst sorts each run of changed lines: what is gone, then what is new.
func deletedFirst(lines []line) {
	for start := 0; start < len(lines); start++ {
		end := start
		for end < len(lines) && lines[end].op != same {
			end++
		}
		slices.SortStableFunc(lines[start:end], func(a, b line) int { return int(b.op) - int(a.op) })
		start = end
	}
}

// splitLines splits text after each newline.
func splitLines(text string) []string {
	lines := strings.SplitAfter(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

// number sets the lines' numbers.
func number(lines []line) {
	before, after := 1, 1
	for i := range lines {
		l := &lines[i]
		l.old, l.new = before, after
		if l.op != added {
			before++
		}
		if l.op != deleted {
			after++
		}
	}
}

// tidy moves each block of added or of deleted lines to where a person would
// say that it was put in. Often there is a choice: of "}", blank, "func b() {",
// …, "}", blank the first two lines may be new as well as the last two. The
// block that ends with a blank line, or else begins with one, is a whole
// declaration.
func tidy(lines []line) {
	deletedFirst(lines)
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && lines[end].op == lines[i].op {
			end++
		}
		alone := (i == 0 || lines[i-1].op == same) && (end == len(lines) || lines[end].op == same)
		if lines[i].op != same && alone {
			end = slide(lines, i, end)
		}
		i = end
	}
}

// slide moves the block lines[start:end] to its best place, and returns where
// it ends then.
func slide(lines []line, start, end int) int {
	op, size := lines[start].op, end-start
	first := start
	for first > 0 && lines[first-1].op == same && lines[first-1].text == lines[first+size-1].text {
		first--
	}
	last := start
	for last+size < len(lines) && lines[last+size].op == same && lines[last].text == lines[last+size].text {
		last++
	}
	best, bestScore := start, -1
	for at := last; at >= first; at-- {
		if score := score(lines, at, at+size); score > bestScore {
			best, bestScore = at, score
		}
	}
	for i := min(start, best); i < max(end, best+size); i++ {
		lines[i].op = same
	}
	for i := best; i < best+size; i++ {
		lines[i].op = op
	}
	return best + size
}

// score is higher the more lines[start:end] looks like something put in as a
// whole.
func score(lines []line, start, end int) int {
	blank := func(i int) bool { return i < 0 || i >= len(lines) || strings.TrimSpace(lines[i].text) == "" }
	score := 0
	switch {
	case blank(end-1) && blank(start-1):
		score = 100
	case blank(start) && blank(end):
		score = 90
	}
	// Among equals, the block whose first line stands furthest to the left.
	for i := start; i < end; i++ {
		if !blank(i) {
			return score + max(0, 9-indent(lines[i].text))
		}
	}
	return score
}

func indent(text string) int { return len(text) - len(strings.TrimLeft(text, " \t")) }
