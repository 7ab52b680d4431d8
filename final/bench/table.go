package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// A table is written as Markdown whose columns line up, so that it reads on a terminal, too.
type table struct {
	head []string
	rows [][]string

	// textColumns, at least the first, are set to the left; the others hold figures and are set to the right.
	textColumns int
}

// write writes the table under a heading, if there is one, or nothing when it has no rows.
func (t table) write(w io.Writer, title string) {
	if len(t.rows) == 0 {
		return
	}
	t.textColumns = max(1, t.textColumns)
	widths := t.widths()
	if title != "" {
		fmt.Fprintf(w, "\n### %s\n", title)
	}
	fmt.Fprintln(w)
	t.writeRow(w, t.head, widths)
	t.writeRule(w, widths)
	for _, row := range t.rows {
		t.writeRow(w, row, widths)
	}
}

func (t table) widths() []int {
	widths := make([]int, len(t.head))
	for _, row := range append([][]string{t.head}, t.rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell), 3)
		}
	}
	return widths
}

func (t table) writeRow(w io.Writer, row []string, widths []int) {
	for i, cell := range row {
		pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
		if i < t.textColumns {
			fmt.Fprintf(w, "| %s%s ", cell, pad)
		} else {
			fmt.Fprintf(w, "| %s%s ", pad, cell)
		}
	}
	fmt.Fprintln(w, "|")
}

func (t table) writeRule(w io.Writer, widths []int) {
	for i, width := range widths {
		if i < t.textColumns {
			fmt.Fprintf(w, "| %s ", strings.Repeat("-", width))
		} else {
			fmt.Fprintf(w, "| %s:", strings.Repeat("-", width))
		}
	}
	fmt.Fprintln(w, "|")
}
