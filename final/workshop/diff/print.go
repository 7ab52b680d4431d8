package diff

import (
	"fmt"
	"strings"

	"github.com/fatih/color"
)

var (
	bold  = color.New(color.Bold).SprintFunc()
	green = color.New(color.FgGreen).SprintFunc()
	red   = color.New(color.FgRed).SprintFunc()
	cyan  = color.New(color.FgCyan).SprintFunc()
)

// String returns the whole diff: what Stat returns, then each file's changes in
// the unified format, which git apply and patch -p1 understand.
func (d *Diff) String() string {
	var b strings.Builder
	b.WriteString(d.Stat())
	for _, f := range d.Files {
		b.WriteString("\n")
		f.write(&b)
	}
	return b.String()
}

// Stat returns how many lines each file gains and loses, and the sums of code
// and of tests.
func (d *Diff) Stat() string {
	if len(d.Files) == 0 {
		return fmt.Sprintf("%s and %s are the same.\n", d.From.Name, d.To.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s: %s\n", d.From.Name, d.To.Name, d.Summary())
	width := 0
	for _, f := range d.Files {
		width = max(width, len(f.Name))
	}
	for _, f := range d.Files {
		plus, minus := fmt.Sprintf("%+5d", f.Added), fmt.Sprintf("%5s", fmt.Sprintf("-%d", f.Deleted))
		fmt.Fprintf(&b, "  %-*s %s %s%s\n", width, f.Name, green(plus), red(minus), f.remark())
	}
	return b.String()
}

// Summary returns the sums of code and of tests in a line.
func (d *Diff) Summary() string {
	var parts []string
	for _, tests := range []bool{false, true} {
		n, plus, minus := 0, 0, 0
		for _, f := range d.Files {
			if f.IsTest == tests {
				n, plus, minus = n+1, plus+f.Added, minus+f.Deleted
			}
		}
		what := "code"
		if tests {
			what = "tests"
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s of %s, %s %s", count(n, "file"), what,
				green(fmt.Sprintf("+%d", plus)), red(fmt.Sprintf("-%d", minus))))
		}
	}
	return strings.Join(parts, "; ")
}

// Names returns the files' names, one a line.
func (d *Diff) Names() string {
	var b strings.Builder
	for _, f := range d.Files {
		b.WriteString(f.Name + "\n")
	}
	return b.String()
}

// remark says what the counts do not.
func (f File) remark() string {
	switch {
	case f.binary:
		return "  no text"
	case f.IsNew():
		return "  new"
	case f.IsGone():
		return "  gone"
	}
	return ""
}

// IsNew reports whether only the later station has the file.
func (f File) IsNew() bool { return f.from == "/dev/null" }

// IsGone reports whether only the earlier station has the file.
func (f File) IsGone() bool { return f.to == "/dev/null" }

func (f File) write(b *strings.Builder) {
	if f.binary {
		fmt.Fprintf(b, "Binary files %s and %s differ\n", f.from, f.to)
		return
	}
	fmt.Fprintf(b, "%s\n%s\n", bold("--- "+f.from), bold("+++ "+f.to))
	for _, h := range f.hunks {
		f.writeHunk(b, h)
	}
}

func (f File) writeHunk(b *strings.Builder, h hunk) {
	lines := f.lines[h.start:h.end]
	head := fmt.Sprintf("@@ -%s +%s @@", span(lines, added), span(lines, deleted))
	b.WriteString(cyan(head))
	if h.within != "" {
		b.WriteString(" " + h.within)
	}
	b.WriteString("\n")
	for _, l := range lines {
		text, whole := strings.CutSuffix(l.text, "\n")
		text = string(l.op) + text
		switch l.op {
		case added:
			text = green(text)
		case deleted:
			text = red(text)
		}
		b.WriteString(text + "\n")
		if !whole {
			b.WriteString("\\ No newline at end of file\n")
		}
	}
}

// span returns where one side's lines begin and how many there are, as a hunk's
// head says it; the other side has those marked with not.
func span(lines []line, not op) string {
	n, first := 0, 0
	for _, l := range lines {
		number := l.old
		if not == deleted {
			number = l.new
		}
		if first == 0 {
			first = number
		}
		if l.op != not {
			n++
		}
	}
	if n == 0 {
		first-- // as the format wants it: the line after which they would stand
	}
	if n == 1 {
		return fmt.Sprint(first)
	}
	return fmt.Sprintf("%d,%d", first, n)
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
