package diff

import "slices"

const (
	// context is how many lines around a change are shown at least.
	context = 3
	// short is how long a declaration may be to be shown whole.
	short = 45
)

// A hunk is a stretch of a diff that is shown: the lines from start to end, the
// latter excluded.
type hunk struct {
	start, end int
	within     string // the declaration that the hunk begins inside of
}

// hunks returns what to show of lines: each change with the lines beside it, or
// the declaration around it if that is short.
func hunks(lines []line, decls declarations, beside int) []hunk {
	var found []hunk
	for i, l := range lines {
		if l.op == same {
			continue
		}
		start, end := max(0, i-beside), min(len(lines), i+beside+1)
		if d, ok := decls.around(l); ok && d.last-d.first < short {
			if first, last := d.span(lines); slices.ContainsFunc(lines[first:last], isSame) {
				start, end = first, max(last, min(i+2, len(lines))) // a hunk that ends with a change would be a file's last
			}
		}
		for n := len(found); n > 0 && start <= found[n-1].end; n = len(found) {
			start, end = min(start, found[n-1].start), max(end, found[n-1].end)
			found = found[:n-1]
		}
		found = append(found, hunk{start: start, end: end})
	}
	for i := range found {
		found[i].within = decls.within(lines[found[i].start])
	}
	return found
}

func isSame(l line) bool { return l.op == same }

// around returns the declaration that a line belongs to: the new file's, or, if
// the line is gone, the old one's.
func (d declarations) around(l line) (declaration, bool) {
	of, number, op := d.new, l.new, added
	if l.op == deleted {
		of, number, op = d.old, l.old, deleted
	}
	for _, decl := range of {
		if decl.first <= number && number <= decl.last {
			decl.op = op
			return decl, true
		}
	}
	return declaration{}, false
}

// span returns which lines of the diff belong to d.
func (d declaration) span(lines []line) (start, end int) {
	for i, l := range lines {
		number := l.new
		if d.op == deleted {
			number = l.old
		}
		if number < d.first {
			start = i + 1
		}
		if number <= d.last {
			end = i + 1
		}
	}
	return start, end
}

// within returns the first line of the declaration inside of which l stands; ""
// if it is that line or stands above it.
func (d declarations) within(l line) string {
	if decl, ok := d.around(l); ok {
		number := l.new
		if l.op == deleted {
			number = l.old
		}
		if number > decl.start {
			return decl.text
		}
	}
	return ""
}
