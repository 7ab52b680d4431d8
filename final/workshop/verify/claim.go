package verify

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// A piece is a block that a reader types, and what the page says
// before the next one.
type piece struct {
	block  *lesson.Block // nil: nothing yet, as start gives the folder
	claims []claim
}

// A claim is part of a comment <!-- now: … -->: a claim that is proved, or code
// that the text has the reader delete.
type claim struct {
	line  int
	kind  claimKind
	room  string   // "" means that of the piece
	tests []string // a * at the end stands for the rest of a name
	file  string
	names []string // declarations of file
}

type claimKind int

const (
	saysCompiles claimKind = iota
	saysBroken             // it does not compile
	saysGreen              // each of tests passes
	saysRed                // each of tests fails
	saysAllGreen           // all tests but tests, which fail
	saysDelete             // names of file are deleted
)

var (
	nowComment = regexp.MustCompile(`^<!-- now: (.+) -->$`)
	testWord   = regexp.MustCompile(`^Test\w+\*?$`)
	roomWord   = regexp.MustCompile(`^[a-z]+$`)
)

const claimSyntax = `write "compiles", "does not compile", "TestA TestB green", "TestA red", "all green", "all green but TestA" or "delete FILE NAME", and ";" between several; a package such as cmd may stand in front`

// isTyped reports whether a block is one that a reader types.
func isTyped(b *lesson.Block) bool {
	return isBridge(b) || isQuote(b) && b.Word(1) == "type"
}

// isBridge reports whether a block holds code that the station's code no longer
// has: it is there for some pieces, so that these can be tried. As a diff, it is a
// change of what the reader has.
func isBridge(b *lesson.Block) bool {
	return (b.Word(0) == "go" || b.Word(0) == "diff") && b.Word(1) == "bridge"
}

// bridgeLabel returns what the paragraph before a bridge has the reader do.
func bridgeLabel(b *lesson.Block) string {
	if b.Word(0) == "diff" && !strings.Contains("\n"+b.Body, "\n+") {
		return deleteLabel
	}
	return "type"
}

// pieces returns those of a page in their order, what stands before the first
// one with the name nil.
func (p *Page) pieces(f *Findings) []*piece {
	all := []*piece{{}}
	blocks := slices.DeleteFunc(slices.Clone(p.Blocks), func(b *lesson.Block) bool { return !isTyped(b) })
	for i, line := range strings.Split(p.Text, "\n") {
		if len(blocks) > 0 && blocks[0].Line == i+1 {
			all = append(all, &piece{block: blocks[0]})
			blocks = blocks[1:]
		}
		last := all[len(all)-1]
		said := nowComment.FindStringSubmatch(line)
		if said == nil {
			continue
		}
		for part := range strings.SplitSeq(said[1], ";") {
			r, err := newClaim(strings.Fields(part))
			if err != nil {
				f.page(p, i+1, "%v", err)
				continue
			}
			r.line = i + 1
			last.claims = append(last.claims, r)
		}
	}
	return all
}

func newClaim(words []string) (claim, error) {
	var r claim
	if len(words) > 2 && words[0] == "delete" {
		return claim{kind: saysDelete, file: words[1], names: words[2:]}, nil
	}
	if len(words) > 1 && roomWord.MatchString(words[0]) && !slices.Contains([]string{"does", "all"}, words[0]) {
		r.room, words = words[0], words[1:]
	}
	text := strings.Join(words, " ")
	last := len(words) - 1
	switch {
	case text == "compiles":
		r.kind = saysCompiles
	case text == "does not compile":
		r.kind = saysBroken
	case text == "all green" || strings.HasPrefix(text, "all green but Test"):
		r.kind, r.tests = saysAllGreen, words[min(3, len(words)):]
	case last > 0 && words[last] == "green":
		r.kind, r.tests = saysGreen, words[:last]
	case last > 0 && words[last] == "red":
		r.kind, r.tests = saysRed, words[:last]
	default:
		return r, fmt.Errorf("%q claims nothing: %s", text, claimSyntax)
	}
	for _, test := range r.tests {
		if !testWord.MatchString(test) {
			return r, fmt.Errorf("%q is no test: %s", test, claimSyntax)
		}
	}
	return r, nil
}
