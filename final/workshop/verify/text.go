package verify

import "context"

// checkText holds excerpts to their files.
func checkText(_ context.Context, c *Course, f *Findings) error {
	for _, p := range c.pages {
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
	}
	return nil
}
