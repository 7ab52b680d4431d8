// Package wrap fits text into the width of a terminal. It breaks lines between words
// alone, and not within a command, so that a path, a name or a command can be copied.
package wrap

import (
	"bytes"
	"io"
	"regexp"
	"strings"

	"github.com/charmbracelet/x/ansi"
)

// label is what stands before a line's text, in a column of its own: a word or two with
// two spaces after them, or in a list's second level a word with a colon.
var label = regexp.MustCompile(`^ *[^ ]+(?: [^ ]+)? {2,}|^    [^ ]+: `)

// command is what a reader copies: quoted, or what ends a line after a colon. A synopsis,
// with [ or |, is none.
var command = regexp.MustCompile("\"go (?:tool|test|vet|run|env) [^\"]*\"|`go (?:tool|test|vet|run|env) [^`]*`|(?:^|: )go tool workshop [^\\[|]*$")

// IsCommand reports whether a word of a line that Words has broken is a command.
func IsCommand(word string) bool { return command.MatchString(word) }

// glued returns a line whose commands have no spaces, but gap in their place.
func glued(line string) string {
	return command.ReplaceAllStringFunc(line, func(found string) string {
		text, colon := strings.CutPrefix(found, ": ")
		text = strings.ReplaceAll(text, " ", gap)
		if colon {
			return ": " + text
		}
		return text
	})
}

const gap = "\x00" // no text has it

// Words breaks a line into lines of at most width columns; each but the first begins
// with indent. A word or a command that is wider stays whole. With a width of 0 or less it returns
// the line as it is.
func Words(line string, width int, indent string) string {
	if width <= 0 || ansi.StringWidth(line) <= width {
		return line
	}
	text := strings.TrimLeft(line, " ")
	before := line[:len(line)-len(text)]
	var b strings.Builder
	b.WriteString(before)
	column, begun := len(before), false
	for word := range strings.SplitSeq(glued(text), " ") {
		word = strings.ReplaceAll(word, gap, " ")
		size := ansi.StringWidth(word)
		switch {
		case begun && column+1+size > width:
			b.WriteString("\n" + indent + word)
			column = ansi.StringWidth(indent) + size
			continue
		case begun:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column, begun = column+size, true
	}
	return b.String()
}

// Text breaks the lines of a text. What follows goes on below the line's own text:
// as far in as that, or beside its label, a word or two with two spaces after them. A
// line that begins with four spaces and has no label is code, and stays whole.
func Text(text string, width int) string {
	if width <= 0 {
		return text
	}
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		lines[i] = fit(line, width)
	}
	return strings.Join(lines, "\n")
}

func fit(line string, width int) string {
	indent := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " ")))
	plain := ansi.Strip(line)
	switch found := ansi.StringWidth(label.FindString(plain)); {
	case found > 0 && found <= width/2:
		indent = strings.Repeat(" ", found)
	case len(indent) >= 4:
		return line
	}
	return Words(line, width, indent)
}

// A Writer writes Text to W. What is written at once consists of whole lines.
type Writer struct {
	W     io.Writer
	Width int // in columns; 0: lines stay as they are
}

func (w Writer) Write(b []byte) (int, error) {
	text := Text(string(bytes.TrimSuffix(b, []byte("\n"))), w.Width)
	if bytes.HasSuffix(b, []byte("\n")) {
		text += "\n"
	}
	if _, err := io.WriteString(w.W, text); err != nil {
		return 0, err
	}
	return len(b), nil
}
