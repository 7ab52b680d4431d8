package diff

import (
	"fmt"
	"strings"

	"github.com/fatih/color"
)

// A palette paints the parts of a diff.
type palette struct{ file, hunk, added, deleted func(...any) string }

var (
	plain    = palette{fmt.Sprint, fmt.Sprint, fmt.Sprint, fmt.Sprint}
	coloured = palette{
		color.New(color.Bold).SprintFunc(), color.New(color.FgCyan).SprintFunc(),
		color.New(color.FgGreen).SprintFunc(), color.New(color.FgRed).SprintFunc(),
	}
)

// String returns the whole diff without colours: what Stat returns, then each
// file's changes in the unified format, which git apply understands.
func (d *Diff) String() string { return d.text(plain) }

// Coloured is String with colours, where color.NoColor allows them.
func (d *Diff) Coloured() string { return d.text(coloured) }

// Stat returns how many lines each file gains and loses, and the sums of code
// and of tests, without colours.
func (d *Diff) Stat() string { return d.stat(plain) }

// ColouredStat is Stat with colours, where color.NoColor allows them.
func (d *Diff) ColouredStat() string { return d.stat(coloured) }

// Names returns the files' names, one a line.
func (d *Diff) Names() string {
	var b strings.Builder
	for _, f := range d.Files {
		b.WriteString(f.Name + "\n")
	}
	return b.String()
}

func (d *Diff) text(p palette) string {
	var b strings.Builder
	b.WriteString(d.stat(p))
	for _, f := range d.Files {
		b.WriteString("\n")
		f.write(&b, p)
	}
	return b.String()
}

func (d *Diff) stat(p palette) string {
	if len(d.Files) == 0 {
		return fmt.Sprintf("%s and %s are the same.\n", d.From.Name, d.To.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s → %s: %s\n", d.From.Name, d.To.Name, d.summary(p))
	width := 0
	for _, f := range d.Files {
		width = max(width, len(f.Name))
	}
	for _, f := range d.Files {
		plus, minus := fmt.Sprintf("%+5d", f.Added), fmt.Sprintf("%5s", fmt.Sprintf("-%d", f.Deleted))
		fmt.Fprintf(&b, "  %-*s %s %s%s\n", width, f.Name, p.added(plus), p.deleted(minus), f.remark())
	}
	return b.String()
}

// summary returns the sums of code and of tests in a line.
func (d *Diff) summary(p palette) string {
	var parts []string
	for _, what := range []string{"code", "tests"} {
		n, plus, minus := 0, 0, 0
		for _, f := range d.Files {
			if f.IsTest == (what == "tests") {
				n, plus, minus = n+1, plus+f.Added, minus+f.Deleted
			}
		}
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s of %s, %s %s", count(n, "file"), what,
				p.added(fmt.Sprintf("+%d", plus)), p.deleted(fmt.Sprintf("-%d", minus))))
		}
	}
	return strings.Join(parts, "; ")
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

func (f File) write(b *strings.Builder, p palette) {
	if f.binary {
		fmt.Fprintf(b, "Binary files %s and %s differ\n", f.from, f.to)
		return
	}
	fmt.Fprintf(b, "%s\n%s\n", p.file("--- "+f.from), p.file("+++ "+f.to))
	for _, h := range f.hunks {
		f.writeHunk(b, p, h)
	}
}

func (f File) writeHunk(b *strings.Builder, p palette, h hunk) {
	lines := f.lines[h.start:h.end]
	head := fmt.Sprintf("@@ -%s +%s @@", span(lines, added), span(lines, deleted))
	b.WriteString(p.hunk(head))
	if h.within != "" {
		b.WriteString(" " + h.within)
	}
	b.WriteString("\n")
	for _, l := range lines {
		text, whole := strings.CutSuffix(l.text, "\n")
		text = string(l.op) + text
		switch l.op {
		case added:
			text = p.added(text)
		case deleted:
			text = p.deleted(text)
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

// Hunks returns the file's changes in the unified format, without the lines that name
// it. It is empty for a file that is no text.
func (f File) Hunks() string {
	var b strings.Builder
	for _, h := range f.hunks {
		f.writeHunk(&b, plain, h)
	}
	return b.String()
}
