package verify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// Sync rewrites what can be rewritten in the course's lessons: quoted code, output
// of consoles, excerpts, regions, and the kept diffs. It returns the pages it has changed, and as one
// error all that it cannot mend. What is right already it leaves as it is.
func (c *Course) Sync(ctx context.Context) (changed []string, err error) {
	var errs []error
	for _, p := range c.pages {
		text, err := c.synced(ctx, p)
		if err != nil {
			errs = append(errs, err)
		}
		if text == p.Text || ctx.Err() != nil {
			continue
		}
		file := filepath.Join(c.Root, filepath.FromSlash(p.Path))
		if now, err := os.ReadFile(file); err != nil || string(now) != p.Text {
			errs = append(errs, fmt.Errorf("%s: it has changed meanwhile: sync again", p.Path))
			continue
		}
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			errs = append(errs, err)
			continue
		}
		changed = append(changed, p.Path)
	}
	if len(c.only) == 0 {
		diffs, err := c.SyncDiffs()
		changed, errs = append(changed, diffs...), append(errs, err)
	}
	return changed, errors.Join(errs...)
}

// synced returns a page's text as it should be.
func (c *Course) synced(ctx context.Context, p *Page) (string, error) {
	var edits []lesson.Edit
	var errs []error
	for _, b := range p.Blocks {
		body, err := c.wanted(p, b)
		if err != nil {
			errs = append(errs, problem(p, b.Line, "%v", err))
		} else if body != b.Body {
			edits = append(edits, b.Edit(body))
		}
	}
	for _, r := range p.Regions {
		body, err := c.region(p, r)
		if err != nil {
			errs = append(errs, problem(p, r.Line, "%v", err))
		} else if body != r.Body {
			edits = append(edits, r.Edit(body))
		}
	}
	all, err := c.runPage(ctx, p)
	if err != nil {
		errs = append(errs, err)
	}
	for _, r := range all {
		if r.err != nil {
			errs = append(errs, problem(p, r.block.Line, "%v", r.err))
		} else if body := r.update(); body != r.block.Body {
			edits = append(edits, r.block.Edit(body))
		}
	}
	return p.Apply(edits), errors.Join(errs...)
}

// wanted returns the body that a block should have, for those that quote.
func (c *Course) wanted(p *Page, b *lesson.Block) (string, error) {
	switch {
	case isQuote(b):
		q, err := c.quote(p, b)
		return q.body, err
	case isBreak(b) && p.IsTold():
		return c.besideBreak(p, b)
	case isExcerpt(b):
		return c.excerpt(p, b)
	}
	return b.Body, nil
}
