package verify

import (
	"context"

	"example.com/rpc-from-scratch/final/workshop/book"
)

// checkBook makes the book of the course, and notes what is wrong with its pages: a link to
// nothing, a diagram without a drawing, a station without its part in the instructor's page.
func checkBook(_ context.Context, c *Course, f *Findings) error {
	b, err := book.Load(c.Root)
	if err != nil {
		return err
	}
	problems, err := b.Check()
	for _, p := range problems {
		f.file(p.Source, 0, "%s", p.Text)
	}
	return err
}
