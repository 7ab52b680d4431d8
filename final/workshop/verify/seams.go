package verify

import (
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/seam"
)

// checkSeams checks that a lesson, or one before it, lists each unexported name of
// the code that tests use: a learner has to choose the same.
func (c *Course) checkSeams(p *Page, f *Findings) error {
	s := *p.Station
	used, err := seam.Used(filepath.Join(c.Root, filepath.FromSlash(s.Folder)))
	if err != nil {
		return err
	}
	listed, err := seam.All(c.Root, s)
	if err != nil {
		return err
	}
	for _, name := range used {
		if !slices.ContainsFunc(listed, func(l seam.Seam) bool { return l.Name == name }) {
			f.page(p, 0, "the tests of %s use %s: write <!-- seams %[2]s --> and <!-- end --> above the code, then sync", s.Name, name)
		}
	}
	return nil
}
