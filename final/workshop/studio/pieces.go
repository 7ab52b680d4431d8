package studio

import (
	"bytes"
	"errors"
	"go/scanner"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/source"
	"example.com/rpc-from-scratch/final/workshop/starter"
)

// A piece is one of the lesson, and how far the reader's code of it is.
type piece struct {
	course.Piece
	id    string // the anchor of its heading
	code  standing
	next  string // the declaration to write next, with its file; ""
	has   bool   // the reader has that, as the station before left it
	place string // where that is in the reader's folder; ""
	diff  string // from the reader's code to ours; "" if they are the same
}

// A standing is how far the code of a piece is.
type standing string

const (
	notBegun standing = "not begun"
	differs  standing = "differs from ours"
	same     standing = "same as ours"
	noCode   standing = "" // the reader types nothing in it
	unknown  standing = "not known yet"
)

// piecesOf returns the pieces of the lesson at which a learner is. broken says that some
// may look as if they were not there, since a file does not parse.
func piecesOf(t check.Target) (all []piece, broken bool, err error) {
	found, err := course.Pieces(t.Root, t.Station)
	if err != nil {
		return nil, false, err
	}
	c, err := newCode(t)
	if err != nil {
		return nil, false, err
	}
	for _, p := range found {
		all = append(all, c.piece(p))
	}
	return all, c.broken, nil
}

// A code has a station's code as the reader has it, as we have it, and as it was before.
type code struct {
	mine, ours, before map[string]*source.Decl // by package and name
	stubs              map[string]bool
	broken             bool // a file of the reader's does not parse
}

func newCode(t check.Target) (*code, error) {
	module := starter.Module
	if t.Progress == nil {
		module = t.Station.Module()
	}
	ours, err := t.Station.Files(t.Root, module)
	if err != nil {
		return nil, err
	}
	before := course.Files{}
	if previous, ok := t.Station.Previous(); ok {
		if before, err = previous.Files(t.Root, module); err != nil {
			return nil, err
		}
	}
	mine, err := codeIn(t.Dir)
	if err != nil {
		return nil, err
	}
	c := &code{mine: declarations(mine), ours: declarations(ours), before: declarations(before), stubs: map[string]bool{}}
	for name, text := range mine {
		if _, err := source.Parse(name, text); err != nil {
			c.broken = true
		}
		for _, stub := range starter.UnwrittenIn(text) {
			c.stubs[path.Dir(name)+"."+stub.Name] = true
		}
	}
	return c, nil
}

// codeIn returns the code below a folder. What cannot be read is not there.
func codeIn(dir string) (course.Files, error) {
	files := course.Files{}
	err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && file != dir:
			return nil
		case err != nil:
			return err
		case entry.IsDir() && file != dir && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		rel, err := filepath.Rel(dir, file)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if !course.IsCode(name) || filepath.Ext(name) != ".go" {
			return nil
		}
		text, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // an editor replaces it
		}
		files[name] = text
		return err
	})
	return files, err
}

// declarations returns those of all files, by package and name. A file that does not
// parse has none.
func declarations(files course.Files) map[string]*source.Decl {
	all := map[string]*source.Decl{}
	for name, text := range files {
		if source.IsTest(name) || !strings.HasSuffix(name, ".go") {
			continue
		}
		file, err := source.Parse(name, text)
		if err != nil {
			continue
		}
		for _, d := range file.Decls {
			for _, n := range d.Names {
				all[path.Dir(name)+"."+n] = d
			}
		}
	}
	return all
}

// piece says how far the reader's code of a piece is.
func (c *code) piece(p course.Piece) piece {
	k := &comparing{code: c, found: piece{Piece: p, id: lesson.Anchor(p.Heading)}}
	for _, w := range p.Writes {
		for _, name := range w.Names {
			imports := name == string(source.Package) || name == string(source.Import)
			if !w.Bridge && !imports && c.ours[path.Dir(w.File)+"."+name] != nil {
				k.compare(w.File, name)
			}
		}
	}
	k.found.code = k.standing()
	k.found.diff = udiff.Unified("yours/"+k.file, "ours/"+k.file, k.yours.String(), k.our.String())
	return k.found
}

// comparing is a piece while its declarations are compared.
type comparing struct {
	*code
	found                   piece
	file                    string // of the last declaration
	yours, our              bytes.Buffer
	untouched, equal, other int
	written                 bool // a function is as ours
}

func (k *comparing) compare(file, name string) {
	key := path.Dir(file) + "." + name
	mine, ours := k.mine[key], k.ours[key]
	k.file = file
	writeDecl(&k.yours, mine)
	writeDecl(&k.our, ours)
	switch {
	case k.isUntouched(key):
		k.untouched++
		if k.found.next == "" {
			k.found.next = name + " in " + file
			if mine != nil {
				k.found.place, k.found.has = placeOf(mine), !k.stubs[key]
			}
		}
	case equalCode(mine, ours):
		k.equal++
		k.written = k.written || ours.Kind == source.Func
	default:
		k.other++
	}
}

// standing sums up what was compared. What is not a function may be as ours from the start.
func (k *comparing) standing() standing {
	switch {
	case k.untouched+k.equal+k.other == 0:
		return noCode
	case k.other > 0, k.untouched > 0 && k.written:
		return differs
	case k.untouched > 0:
		return notBegun
	}
	return same
}

func writeDecl(b *bytes.Buffer, d *source.Decl) {
	if d != nil {
		b.WriteString(d.Text + "\n\n")
	}
}

func placeOf(d *source.Decl) string {
	line := d.Line + strings.Count(d.Text[:strings.Index(d.Text, firstCode(d.Text))], "\n")
	return d.File + ":" + itoa(line)
}

// firstCode returns the first line of a declaration that is no comment.
func firstCode(text string) string {
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "//") {
			return line
		}
	}
	return text
}

// isUntouched reports whether a declaration is as the reader was given it: not there, a
// stub, or still as the station before had it, though this one changes it.
func (c *code) isUntouched(key string) bool {
	mine := c.mine[key]
	if mine == nil || c.stubs[key] {
		return true
	}
	before := c.before[key]
	return before != nil && equalCode(mine, before) && !equalCode(before, c.ours[key])
}

// equalCode reports whether two declarations are the same but for comments and spaces.
func equalCode(a, b *source.Decl) bool {
	return a != nil && b != nil && (a.Text == b.Text || slices.Equal(tokens(a.Text), tokens(b.Text)))
}

// tokens returns a text's tokens, without comments.
func tokens(text string) []string {
	var s scanner.Scanner
	src := []byte(text)
	fset := token.NewFileSet()
	s.Init(fset.AddFile("", fset.Base(), len(src)), src, nil, 0)
	var all []string
	for {
		_, tok, lit := s.Scan()
		switch {
		case tok == token.EOF:
			return all
		case tok == token.SEMICOLON:
		case lit != "":
			all = append(all, lit)
		default:
			all = append(all, tok.String())
		}
	}
}
