package verify

import "context"

// atOnce is how many pages, stations or exercises run at once.
const atOnce = 2

// checkConsole runs what lessons run and compares what it prints.
func checkConsole(ctx context.Context, c *Course, f *Findings) error {
	eachAtOnce(c.pages, func(p *Page) { c.checkConsolesOf(ctx, p, f) })
	return ctx.Err()
}

func (c *Course) checkConsolesOf(ctx context.Context, p *Page, f *Findings) {
	all, err := c.runPage(ctx, p)
	if err != nil {
		f.page(p, 0, "%v", err)
	}
	for _, r := range all {
		if r.err != nil {
			f.page(p, r.block.Line, "%v", r.err)
		} else if wrong := r.difference(); wrong != "" {
			f.page(p, r.block.Line, "%s: mend the code, or run go tool workshop sync %s", wrong, p.Path)
		}
	}
}
