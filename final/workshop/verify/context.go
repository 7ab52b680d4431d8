package verify

import (
	"strings"

	"example.com/rpc-from-scratch/final/workshop/diff"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/patch"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// besideBreak returns what a break block of a station's page has to hold: its changes,
// each between the three lines of its declaration that stand before and after it.
func (c *Course) besideBreak(p *Page, b *lesson.Block) (string, error) {
	r, err := p.ref(b.Word(2))
	if err != nil {
		return "", err
	}
	text, err := c.read(r)
	if err != nil {
		return "", err
	}
	changed, err := patch.Apply(text, b.Body)
	if err != nil {
		return "", err
	}
	return beside(text, changed)
}

// beside returns how the declarations of a Go file change, as a lesson's diff.
func beside(before, after string) (string, error) {
	old, err := source.Parse("before.go", []byte(before))
	if err != nil {
		return "", err
	}
	now, err := source.Parse("after.go", []byte(after))
	if err != nil {
		return "", err
	}
	var hunks []string
	for _, d := range old.Decls {
		if twin, err := now.Lookup(d.Name()); err == nil {
			hunks = append(hunks, diff.Changes(d.Text+"\n", twin.Text+"\n", besideChange)...)
		}
	}
	for i, hunk := range hunks {
		hunks[i] = strings.Trim(hunk, "\n") + "\n"
	}
	return strings.Join(hunks, "@@\n"), nil
}
