package verify

import (
	"errors"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// isExcerpt reports whether a block shows lines of a file that it names.
func isExcerpt(b *lesson.Block) bool { return b.Word(0) == "text" && b.Word(1) != "" }

// checkText holds excerpts to their files.
func (c *Course) checkText(p *Page, f *Findings) error {
	for _, b := range p.Blocks {
		if !isExcerpt(b) {
			continue
		}
		switch body, err := c.excerpt(p, b); {
		case err != nil:
			f.page(p, b.Line, "%v", err)
		case body != b.Body:
			f.page(p, b.Line, "%s has other lines: run go tool workshop sync %s", b.Word(1), p.Path)
		}
	}
	return nil
}

// excerpt returns what the block should hold: the same, if the file has these
// lines in this order; the whole file, if the block is empty; or what stands now
// from its first line to its last.
func (c *Course) excerpt(p *Page, b *lesson.Block) (string, error) {
	r, err := p.ref(b.Word(1))
	if err != nil {
		return "", err
	}
	text, err := c.read(r)
	if err != nil {
		return "", err
	}
	switch {
	case b.Body == "":
		return text, nil
	case strings.Contains("\n"+text, "\n"+b.Body):
		return b.Body, nil
	}
	return between(text, b.Body)
}

// between returns the lines of text from the first of body to the last.
func between(text, body string) (string, error) {
	lines := strings.SplitAfter(body, "\n")
	first, last := lines[0], lines[len(lines)-2]
	if strings.Count("\n"+text, "\n"+first) != 1 || strings.Count("\n"+text, "\n"+last) != 1 {
		return "", errors.New("the file has not these lines, and its first and last do not stand there once: copy the lines anew")
	}
	from := strings.Index("\n"+text, "\n"+first)
	to := strings.Index("\n"+text, "\n"+last) + len(last)
	if to <= from {
		return "", errors.New("the file has these lines in another order: copy them anew")
	}
	return text[from:to], nil
}
