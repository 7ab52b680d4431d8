package book

import (
	"errors"
	"fmt"
	"html"
	"strings"

	"github.com/yuin/goldmark/ast"

	"example.com/rpc-from-scratch/final/workshop/source"
)

// key is the declaration that the lesson breaks in its first "break it", with the lines
// marked that the break takes out.
func (d *deck) key() error {
	var first *ast.FencedCodeBlock
	d.lesson.each(func(n *ast.FencedCodeBlock, words []string) {
		if first == nil && len(words) > 3 && words[1] == "break" {
			first = n
		}
	})
	if first == nil {
		return errors.New("the lesson breaks nothing")
	}
	words := d.lesson.words(first)
	file := d.lesson.quoted(words[2])
	if file == nil {
		return fmt.Errorf("the book has no %s", words[2])
	}
	text, err := d.read(file.Source)
	if err != nil {
		return err
	}
	decl, marked, err := brokenBy(file.Source, text, d.lesson.text(first))
	if err != nil {
		return err
	}
	code := highlightGo(decl.Text)
	for i := range code {
		if marked[decl.Line+i] {
			code[i] = "<mark>" + code[i] + "</mark>"
		}
	}
	var tests []string
	for _, test := range words[3:] {
		tests = append(tests, "<code>"+html.EscapeString(test)+"</code>")
	}
	notes := "<p>The lesson breaks what is marked. Ask which test notices: " + strings.Join(tests, " and ") + ".</p>\n" + d.lesson.html(first)
	shown := d.lesson.code(block{words: []string{"go", "read", words[2], decl.Name()}}, code)
	d.slide("The key declaration", fmt.Sprintf(`<div class="whole" style="--lines:%d">%s</div>`, len(code), shown), notes)
	return nil
}

// brokenBy returns the declaration of a file that a diff changes, and the lines of the file
// that it takes out.
func brokenBy(name, text, diff string) (*source.Decl, map[int]bool, error) {
	var old []string
	var out []int // which of them go
	for line := range strings.Lines(diff) {
		if kind := line[0]; kind != '+' {
			if kind == '-' {
				out = append(out, len(old))
			}
			old = append(old, strings.TrimPrefix(line[1:], "\n"))
		}
	}
	before, _, found := strings.Cut(text, strings.Join(old, ""))
	if !found || len(out) == 0 {
		return nil, nil, fmt.Errorf("%s has not the lines that the lesson breaks", name)
	}
	at := strings.Count(before, "\n") + 1
	marked := map[int]bool{}
	for _, i := range out {
		marked[at+i] = true
	}
	file, err := source.Parse(name, []byte(text))
	if err != nil {
		return nil, nil, err
	}
	for _, decl := range file.Decls {
		if first := at + out[0]; decl.Line <= first && first <= decl.End {
			return decl, marked, nil
		}
	}
	return nil, nil, fmt.Errorf("%s: no declaration has line %d", name, at+out[0])
}
