// Package console runs the commands of a lesson as a reader would, each in its
// own process and without a shell, and compares what they print with what the
// lesson says they print.
package console

import (
	"errors"
	"fmt"
	"strings"
)

// Typed ends a line that the reader types into a running program.
const Typed = "← you type"

// Left stands, alone on a line of output, for any number of lines.
const Left = "…"

// A Block is a console block: commands and what they print.
type Block struct {
	Commands []*Command
}

// A Command is a line after "$ " and what follows it.
type Command struct {
	Line  string // as it stands in the block, without "$ "
	Words []string
	Turns []Turn // at least one; only the first begins without typing
}

// A Turn is what is typed and what the program prints before more is typed.
type Turn struct {
	Typed  string // the line in the block, with its mark; "" for the first turn
	Output []string
}

// Input returns what is typed, without the mark.
func (t Turn) Input() string {
	return strings.TrimRight(strings.TrimSuffix(strings.TrimRight(t.Typed, " "), Typed), " ")
}

// Parse reads a block's body.
func Parse(body string) (*Block, error) {
	b := &Block{}
	for line := range strings.Lines(body) {
		line = strings.TrimRight(line, "\n")
		if text, ok := strings.CutPrefix(line, "$ "); ok {
			words, err := Split(text)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", line, err)
			}
			if len(words) == 0 {
				return nil, errors.New("a $ without a command")
			}
			b.Commands = append(b.Commands, &Command{Line: text, Words: words, Turns: []Turn{{}}})
			continue
		}
		if len(b.Commands) == 0 {
			if strings.TrimSpace(line) == "" {
				continue
			}
			return nil, fmt.Errorf("%q stands before any command: begin the block with \"$ \" and one", line)
		}
		b.Commands[len(b.Commands)-1].add(line)
	}
	if len(b.Commands) == 0 {
		return nil, errors.New("no command: write one behind \"$ \"")
	}
	return b, nil
}

func (c *Command) add(line string) {
	if strings.HasSuffix(strings.TrimRight(line, " "), Typed) {
		c.Turns = append(c.Turns, Turn{Typed: line})
		return
	}
	last := &c.Turns[len(c.Turns)-1]
	last.Output = append(last.Output, line)
}

// isBlank reports whether the block says nothing of what the command prints.
func (c *Command) isBlank() bool {
	for _, t := range c.Turns {
		if len(trim(t.Output)) > 0 {
			return false
		}
	}
	return true
}

// lines returns typed lines and output in their order.
func (c *Command) lines() []string {
	var lines []string
	for _, t := range c.Turns {
		if t.Typed != "" {
			lines = append(lines, t.Typed)
		}
		lines = append(lines, t.Output...)
	}
	return trim(lines)
}

// String returns the block's body.
func (b *Block) String() string {
	var s strings.Builder
	for _, c := range b.Commands {
		s.WriteString("$ " + c.Line + "\n")
		for _, line := range c.lines() {
			s.WriteString(line + "\n")
		}
	}
	return s.String()
}

// trim takes off empty lines at both ends, and spaces behind each line.
func trim(lines []string) []string {
	var trimmed []string
	for _, line := range lines {
		trimmed = append(trimmed, strings.TrimRight(line, " \t\r"))
	}
	for len(trimmed) > 0 && trimmed[0] == "" {
		trimmed = trimmed[1:]
	}
	for len(trimmed) > 0 && trimmed[len(trimmed)-1] == "" {
		trimmed = trimmed[:len(trimmed)-1]
	}
	return trimmed
}
