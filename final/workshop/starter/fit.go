package starter

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"path"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// misfits returns which of a learner's own files do not compile in their packages
// together with the course's, and why, in the compiler's words. Files in folders
// that the course has not are no matter.
//
// What they import is not looked at: only names of the package count.
func misfits(given, own course.Files) map[string]string {
	why := map[string]string{}
	folders := map[string]bool{}
	for name := range given {
		folders[path.Dir(name)] = course.IsCode(name) || folders[path.Dir(name)]
	}
	for folder, has := range folders {
		if !has {
			continue
		}
		p := fitting{fset: token.NewFileSet(), own: map[string]bool{}, why: why}
		p.parse(folder, given, false)
		p.parse(folder, own, true)
		for p.check() { // without a file, another one may not compile
		}
	}
	return why
}

// compiles reports whether the files of a folder are a package, as far as its own
// names tell.
func compiles(files course.Files, folder string) bool {
	p := fitting{fset: token.NewFileSet(), own: map[string]bool{}, why: map[string]string{}}
	p.parse(folder, files, true)
	p.check()
	return len(p.why) == 0
}

// fitting is a package while it is found out what fits into it.
type fitting struct {
	fset  *token.FileSet
	files []*ast.File // the course's first: of two declarations, the second is wrong
	own   map[string]bool
	why   map[string]string
}

// parse adds the files of a folder.
func (p *fitting) parse(folder string, files course.Files, own bool) {
	for _, name := range files.Names() {
		if path.Dir(name) != folder || path.Ext(name) != ".go" {
			continue
		}
		file, err := parser.ParseFile(p.fset, name, files[name], parser.ParseComments|parser.SkipObjectResolution)
		switch {
		case err != nil && own:
			p.why[name] = firstLine(err.Error())
			continue
		case err != nil || isLeftOut(name, files[name]) || strings.HasSuffix(file.Name.Name, "_test"):
			continue
		}
		if own {
			p.own[name] = true
		}
		nameImports(file)
		p.files = append(p.files, file)
	}
}

// check compiles the package, takes out the learner's files that are wrong, and
// reports whether there were any.
func (p *fitting) check() (again bool) {
	if len(p.own) == 0 {
		return false
	}
	config := types.Config{Importer: blind{}, Error: p.blame}
	config.Check("p", p.fset, p.files, nil) // its error is the first that blame has seen
	before := len(p.files)
	p.files = slices.DeleteFunc(p.files, func(file *ast.File) bool {
		name := p.fset.Position(file.Package).Filename
		wrong := p.why[name] != ""
		if wrong {
			delete(p.own, name)
		}
		return wrong
	})
	return len(p.files) < before
}

// blame notes the first mistake that is in a file of the learner's own.
func (p *fitting) blame(err error) {
	var e types.Error
	if !errors.As(err, &e) || strings.HasPrefix(e.Msg, "could not import") {
		return
	}
	at := p.fset.Position(e.Pos)
	if p.own[at.Filename] && p.why[at.Filename] == "" {
		p.why[at.Filename] = fmt.Sprintf("%s:%d:%d: %s", at.Filename, at.Line, at.Column, firstLine(e.Msg))
	}
}

// blind imports nothing: what is used of another package is then taken on trust.
type blind struct{}

func (blind) Import(string) (*types.Package, error) { return nil, errors.New("not looked at") }

// nameImports gives each import the name that it most likely has: a package that
// was not read has none of its own.
func nameImports(file *ast.File) {
	for _, spec := range file.Imports {
		spec.Name = ast.NewIdent(source.ImportName(spec))
	}
}

// isLeftOut reports whether go leaves a file out of its package, for its name or a
// line such as //go:build ignore.
func isLeftOut(name string, text []byte) bool {
	system := build.Default
	system.OpenFile = func(string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	match, err := system.MatchFile("", path.Base(name))
	return err == nil && !match
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
