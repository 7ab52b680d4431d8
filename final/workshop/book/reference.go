package book

import (
	"fmt"
	"go/ast"
	"go/doc"
	"go/format"
	"go/parser"
	"go/token"
	"html"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// renderReference returns the documentation of final/rpc, as go doc -all prints it.
func (b *Book) renderReference(p *Page) (*Rendered, error) {
	fset := token.NewFileSet()
	pkg, err := b.parsePackage(fset, apiFolder)
	if err != nil {
		return nil, err
	}
	r := &reference{Rendered: &Rendered{}, book: b, page: p, fset: fset, pkg: pkg, known: known(pkg)}
	r.write()
	return r.Rendered, nil
}

// parsePackage reads a package's documentation, without its tests.
func (b *Book) parsePackage(fset *token.FileSet, folder string) (*doc.Package, error) {
	names, err := filepath.Glob(filepath.Join(b.Root, filepath.FromSlash(folder), "*.go"))
	if err != nil {
		return nil, err
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		file, err := parser.ParseFile(fset, path.Join(folder, filepath.Base(name)), text, parser.ParseComments)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return doc.NewFromFiles(fset, files, "example.com/rpc-from-scratch/"+folder)
}

// A reference is a package's documentation while it is written.
type reference struct {
	*Rendered
	book  *Book
	page  *Page
	fset  *token.FileSet
	pkg   *doc.Package
	level int             // of the headings within comments
	known map[string]bool // the declarations that have a place
	out   strings.Builder
}

func (r *reference) write() {
	r.out.WriteString("<h1>Package rpc</h1>\n<p><code>import \"" + r.pkg.ImportPath + "\"</code></p>\n")
	r.sections = []section{{heading: "Package rpc", text: r.plain(r.pkg.Doc)}}
	r.level = 2
	r.text(r.pkg.Doc)
	r.level = 4
	r.heading(2, "constants", "Constants", false)
	r.values(r.pkg.Consts)
	if len(r.pkg.Vars) > 0 {
		r.heading(2, "variables", "Variables", false)
		r.values(r.pkg.Vars)
	}
	r.heading(2, "functions", "Functions", false)
	r.funcs(r.pkg.Funcs, "")
	r.heading(2, "types", "Types", false)
	for _, t := range r.pkg.Types {
		r.declaration(t.Name, t.Decl, t.Doc)
		r.values(t.Consts)
		r.values(t.Vars)
		r.funcs(t.Funcs, "")
		r.funcs(t.Methods, t.Name+".")
	}
	r.body = r.out.String()
}

// heading writes a heading, and what leads to it.
func (r *reference) heading(level int, id, text string, isCode bool) {
	r.toc = append(r.toc, tocItem{Level: level, ID: id, Text: text, Code: isCode})
	shown := html.EscapeString(text)
	if isCode {
		shown = "<code>" + shown + "</code>"
	}
	fmt.Fprintf(&r.out, `<h%d id="%s">%s <a class="permalink" href="#%[2]s" aria-label="Link to this section">#</a></h%[1]d>`+"\n", level, id, shown)
}

// known returns the names of a package's declarations.
func known(pkg *doc.Package) map[string]bool {
	names := map[string]bool{}
	values := func(values []*doc.Value) {
		for _, v := range values {
			for _, name := range v.Names {
				names[name] = true
			}
		}
	}
	funcs := func(funcs []*doc.Func, prefix string) {
		for _, f := range funcs {
			names[prefix+f.Name] = true
		}
	}
	values(pkg.Consts)
	values(pkg.Vars)
	funcs(pkg.Funcs, "")
	for _, t := range pkg.Types {
		names[t.Name] = true
		values(t.Consts)
		values(t.Vars)
		funcs(t.Funcs, "")
		funcs(t.Methods, t.Name+".")
	}
	return names
}

func (r *reference) values(values []*doc.Value) {
	for _, v := range values {
		for _, name := range v.Names {
			fmt.Fprintf(&r.out, `<span id="%s"></span>`, name)
			r.sections = append(r.sections, section{id: name, heading: name, text: r.plain(v.Doc)})
		}
		r.code(v.Decl)
		r.text(v.Doc)
	}
}

func (r *reference) funcs(funcs []*doc.Func, prefix string) {
	for _, f := range funcs {
		if ast.IsExported(f.Name) {
			f.Decl.Body = nil
			r.declaration(prefix+f.Name, f.Decl, f.Doc)
		}
	}
}

func (r *reference) declaration(name string, decl ast.Decl, text string) {
	r.heading(3, name, name, true)
	r.sections = append(r.sections, section{id: name, heading: name, text: r.plain(text)})
	r.code(decl)
	r.text(text)
}

// code writes a declaration with a link to the line where it is.
func (r *reference) code(decl ast.Decl) {
	at := r.fset.Position(decl.Pos())
	if f, ok := decl.(*ast.FuncDecl); ok {
		f.Doc = nil
	}
	if g, ok := decl.(*ast.GenDecl); ok {
		g.Doc = nil
	}
	var b strings.Builder
	if err := format.Node(&b, r.fset, decl); err != nil {
		fmt.Fprintf(&b, "%v", err)
	}
	r.out.WriteString(`<figure class="code go"><figcaption>`)
	if target := r.book.sources[at.Filename]; target != nil {
		fmt.Fprintf(&r.out, `<a href="%s#L%d"><span class="name">%s</span></a>`, rel(r.page.Path, target.Path), at.Line, path.Base(at.Filename))
	}
	r.out.WriteString(`</figcaption><pre tabindex="0"><code>`)
	for _, line := range highlightGo(b.String()) {
		r.out.WriteString(line + "\n")
	}
	r.out.WriteString("</code></pre></figure>\n")
}
