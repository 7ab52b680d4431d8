package verify

import "context"

// checkRegions checks that what sync writes is what it would write now.
func checkRegions(_ context.Context, c *Course, f *Findings) error {
	for _, p := range c.pages {
		for _, r := range p.Regions {
			switch body, err := c.region(p, r); {
			case err != nil:
				f.page(p, r.Line, "%v", err)
			case body != r.Body:
				f.page(p, r.Line, "out of date: run go tool workshop sync %s", p.Path)
			}
		}
	}
	return nil
}
