package console

import (
	"fmt"
	"slices"

	"github.com/aymanbagabas/go-udiff/lcs"
)

// Compare returns the first difference between what a block says and what its
// commands printed, or "".
func Compare(said, printed *Block) string {
	for i, c := range said.Commands {
		want, got := c.lines(), printed.Commands[i].lines()
		if fits(mapped(want, masked), mapped(got, masked)) {
			continue
		}
		return fmt.Sprintf("$ %s: %s", c.Line, firstDifference(want, got))
	}
	return ""
}

// fits reports whether the lines printed are those said, where Left in what is
// said stands for any number of lines.
func fits(said, printed []string) bool {
	if len(said) == 0 {
		return len(printed) == 0
	}
	if said[0] != Left {
		return len(printed) > 0 && said[0] == printed[0] && fits(said[1:], printed[1:])
	}
	for i := range len(printed) + 1 {
		if fits(said[1:], printed[i:]) {
			return true
		}
	}
	return false
}

func firstDifference(said, printed []string) string {
	for i, line := range said {
		switch {
		case line == Left:
			return fmt.Sprintf("what stands around the line %q is not printed like that", Left)
		case i >= len(printed):
			return fmt.Sprintf("%q is not printed", line)
		case masked(line) != masked(printed[i]):
			return fmt.Sprintf("prints %q, not %q", printed[i], line)
		}
	}
	return fmt.Sprintf("prints %q, too", printed[len(said)])
}

// Merge returns printed as the block should say it: lines that differ only in
// what is masked stay as they are, and so does what was left out.
func Merge(said, printed *Block) *Block {
	merged := &Block{}
	for i, c := range printed.Commands {
		lines := merge(said.Commands[i].lines(), c.lines())
		merged.Commands = append(merged.Commands, &Command{Line: c.Line, Words: c.Words, Turns: []Turn{{Output: lines}}})
	}
	return merged
}

func merge(said, printed []string) []string {
	if fits(mapped(said, masked), mapped(printed, masked)) {
		return said
	}
	var merged []string
	from := 0 // in said
	left := func(to int) bool { return slices.Contains(said[from:to], Left) }
	pairs := append(common(mapped(said, loose), mapped(printed, loose)), pair{len(said), len(printed)})
	at := 0 // in printed
	for _, p := range pairs {
		if left(p.said) {
			merged = append(merged, Left)
		} else {
			merged = append(merged, printed[at:p.printed]...)
		}
		if p.printed < len(printed) {
			line := printed[p.printed]
			if masked(line) == masked(said[p.said]) {
				line = said[p.said]
			}
			merged = append(merged, line)
		}
		from, at = min(p.said+1, len(said)), p.printed+1
	}
	return merged
}

// A pair is a line that two texts have in common.
type pair struct{ said, printed int }

// common returns the lines that a and b have in common, in the order of both.
func common(a, b []string) []pair {
	var pairs []pair
	i, j := 0, 0
	for _, d := range append(lcs.DiffLines(a, b), lcs.Diff{Start: len(a)}) {
		for ; i < d.Start; i, j = i+1, j+1 {
			pairs = append(pairs, pair{i, j})
		}
		i, j = d.End, d.ReplEnd
	}
	return pairs
}
