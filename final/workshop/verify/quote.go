package verify

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/diff"

	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// labels say what a reader does with quoted code. A signature is only compared: the
// reader writes the rest.
var labels = []string{"type", "read", signatureLabel}

const (
	signatureLabel = "signature"
	deleteLabel    = "delete" // of a bridge that only takes lines away
)

// isQuote reports whether a block quotes code that it names.
func isQuote(b *lesson.Block) bool {
	return (b.Word(0) == "go" || b.Word(0) == "diff") && b.Word(1) != "" && !isBreak(b) && !isCure(b) && !isVariant(b) && !isBridge(b)
}

// isCure reports whether a block mends a program of the museum, whose own tests
// try it out.
func isCure(b *lesson.Block) bool { return b.Word(0) == "diff" && b.Word(1) == "cure" }

// A quotation is what a block quotes.
type quotation struct {
	file  ref
	decls []*source.Decl // as they are now; none for a whole file
	gone  []string       // names of declarations that only the station before has
	body  string         // what the block has to hold
}

// quote returns what a block has to quote.
func (c *Course) quote(p *Page, b *lesson.Block) (quotation, error) {
	if !slices.Contains(labels, b.Word(1)) {
		return quotation{}, fmt.Errorf("%q is no label: write type, read or signature behind %s", b.Word(1), b.Word(0))
	}
	if b.Word(2) == "" {
		return quotation{}, fmt.Errorf("no file: write one behind %s, such as rpc/server.go", b.Word(1))
	}
	r, err := p.ref(b.Word(2))
	if err != nil {
		return quotation{}, err
	}
	if b.Word(0) == "diff" {
		return c.quoteChange(r, b.Rest(3))
	}
	q, err := c.quoteCode(r, b.Rest(3))
	if err == nil && b.Word(1) == signatureLabel {
		q.body = signatures(q.decls)
	}
	return q, err
}

// signatures returns functions without comments and bodies.
func signatures(decls []*source.Decl) string {
	const begin = "package p\n"
	var b strings.Builder
	for _, d := range decls {
		src := begin + d.Text
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "", src, parser.SkipObjectResolution)
		if err != nil || len(file.Decls) != 1 {
			continue
		}
		if f, ok := file.Decls[0].(*ast.FuncDecl); ok {
			b.WriteString(src[fset.Position(f.Pos()).Offset:fset.Position(f.Type.End()).Offset] + "\n")
		}
	}
	return b.String()
}

func (c *Course) quoteCode(r ref, names []string) (quotation, error) {
	file, err := c.parse(r)
	if err != nil {
		return quotation{}, err
	}
	q := quotation{file: r, body: file.Text}
	if len(names) == 0 {
		q.decls = file.Decls
		return q, nil
	}
	var texts []string
	for _, name := range names {
		d, err := file.Lookup(name)
		if err != nil {
			return quotation{}, err
		}
		q.decls = append(q.decls, d)
		texts = append(texts, d.Text)
	}
	q.body = strings.Join(texts, "\n\n") + "\n"
	return q, nil
}

// quoteChange quotes declarations with what they were at the station before.
func (c *Course) quoteChange(r ref, names []string) (quotation, error) {
	if r.station == nil {
		return quotation{}, errors.New("only a station's code has a station before it: quote this with go")
	}
	if len(names) == 0 {
		return quotation{}, errors.New("a diff block names its declarations: add them behind the file")
	}
	now, err := c.code(*r.station, *r.station, true)
	if err != nil {
		return quotation{}, err
	}
	before, err := c.before(*r.station, true)
	if err != nil {
		return quotation{}, err
	}
	q := quotation{file: r}
	var texts []string
	for _, name := range names {
		text, err := q.addChange(before, now, name)
		if err != nil {
			return quotation{}, err
		}
		texts = append(texts, text)
	}
	q.body = strings.Join(texts, "\n")
	return q, nil
}

func (q *quotation) addChange(before, now code, name string) (string, error) {
	new := now.find(q.file.name, name)
	old := before.find(q.file.name, name)
	if new != nil {
		old = before.twin(new)
		q.decls = append(q.decls, new)
	} else {
		q.gone = append(q.gone, name)
	}
	switch {
	case new != nil && new.File != q.file.name:
		return "", fmt.Errorf("%s stands in %s", name, new.File)
	case new == nil && old == nil:
		return "", fmt.Errorf("neither %s nor the station before declares %s", q.file.name, name)
	case new == nil:
		return changed(old.Text+"\n", ""), nil
	case old == nil:
		return changed("", new.Text+"\n"), nil
	case old.Text == new.Text:
		return "", fmt.Errorf("%s has not changed since the station before: quote it with go, or leave it out", name)
	}
	return nearChanges(changed(old.Text+"\n", new.Text+"\n")), nil
}

const (
	besideChange = 3 // how many lines a quoted change keeps before and after what changed
	fewest       = 4 // how many lines are worth leaving out
)

// nearChanges leaves out of a declaration's change what is far from the changed
// lines: a line "…" stands for it. The line that names the declaration stays, and
// the last line.
func nearChanges(text string) string {
	lines := slices.Collect(strings.Lines(text))
	keep := make([]bool, len(lines))
	for i, line := range lines {
		switch {
		case strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-"):
			for near := max(i-besideChange, 0); near <= min(i+besideChange, len(lines)-1); near++ {
				keep[near] = true
			}
		case isOutermost(line):
			keep[i] = true
		}
	}
	var b strings.Builder
	for i := 0; i < len(lines); {
		end := i + 1
		for end < len(lines) && !keep[i] && !keep[end] {
			end++
		}
		if end-i >= fewest {
			b.WriteString("…\n")
		} else {
			b.WriteString(strings.Join(lines[i:end], ""))
		}
		i = end
	}
	return b.String()
}

// isOutermost reports whether an unchanged line of a change is the first of its
// declaration, after the comment, or the last.
func isOutermost(line string) bool {
	word, _, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, " ")), " ")
	return !strings.HasPrefix(line, " \t") && slices.Contains([]string{"func", "type", "var", "const", "import", "package", "}", ")"}, word)
}

// changed returns all lines of both texts, which differ.
func changed(before, after string) string { return diff.Changes(before, after, len(before))[0] }
