package book

import (
	"fmt"
	"html"
	"io"
	"path"
	"strings"

	"example.com/rpc-from-scratch/final/conform/frames"
	"example.com/rpc-from-scratch/final/workshop/source"
)

// captures is the folder of the captures.
const captures = "testdata/wire/"

// A declaration is a name that a page of code has a link for.
type declaration struct {
	Name string
	Line int
}

// renderCode returns a file's lines, each with an anchor, and its declarations.
func (b *Book) renderCode(p *Page) (*Rendered, error) {
	text, err := b.read(p.Source)
	if err != nil {
		return nil, err
	}
	decls := declarationsOf(p.Source, text)
	at := map[int][]string{}
	for _, d := range decls {
		at[d.Line] = append(at[d.Line], d.Name)
	}
	r := &Rendered{}
	var out strings.Builder
	if strings.HasPrefix(p.Source, captures) {
		if err := r.captureIntro(&out, text); err != nil {
			return nil, err
		}
	}
	out.WriteString(`<div class="source"><pre tabindex="0"><code>`)
	for i, line := range highlight(p.Source, text) {
		n := i + 1
		for _, name := range at[n] {
			fmt.Fprintf(&out, `<span id="%s"></span>`, html.EscapeString(name))
		}
		fmt.Fprintf(&out, "<i id=L%d></i>%s\n", n, line)
	}
	out.WriteString("</code></pre></div>\n")
	r.body = crumbs(p) + b.codeIntro(p) + out.String()
	for _, d := range decls {
		r.toc = append(r.toc, tocItem{Level: 2, ID: d.Name, Text: d.Name, Code: true})
		r.sections = append(r.sections, section{id: d.Name, heading: d.Name})
	}
	if !searchable(p) {
		r.sections = nil
	}
	return r, nil
}

// captureIntro writes the connections of a capture, before its file, and notes what leads to
// them.
func (r *Rendered) captureIntro(out io.Writer, text string) error {
	sections, err := frames.ReadCapture(strings.NewReader(text))
	if err != nil {
		return err
	}
	fmt.Fprint(out, `<h2 id="connections">Byte by byte</h2>`+"\n")
	r.toc = append(r.toc, tocItem{Level: 2, ID: "connections", Text: "Byte by byte"})
	writeSections(out, sections, true)
	for _, s := range sections {
		if s.Name != "" {
			r.toc = append(r.toc, tocItem{Level: 3, ID: sectionID(s), Text: s.Name})
		}
	}
	fmt.Fprint(out, `<h2 id="file">The file</h2>`+"\n")
	r.toc = append(r.toc, tocItem{Level: 2, ID: "file", Text: "The file"})
	return nil
}

// searchable reports whether the search knows a file's declarations: those of
// tests, and those that later stations have again, would hide the others.
func searchable(p *Page) bool {
	if source.IsTest(p.Source) {
		return false
	}
	return !strings.Contains(p.Source, "/cmd/") || p.Station == nil
}

// declarationsOf returns the declarations of a Go file.
func declarationsOf(name, text string) []declaration {
	if path.Ext(name) != ".go" {
		return nil
	}
	file, err := source.Parse(name, []byte(text))
	if err != nil {
		return nil // a file that is meant not to compile has no declarations
	}
	var found []declaration
	for _, d := range file.Decls {
		if d.Kind == source.Package || d.Kind == source.Import {
			continue
		}
		for _, name := range d.Names {
			if name != "_" && name != "init" {
				found = append(found, declaration{name, d.Line})
			}
		}
	}
	return found
}

// crumbs returns the links to the folders above a page.
func crumbs(p *Page) string {
	var out strings.Builder
	out.WriteString(`<nav class="crumbs" aria-label="Folders"><ol><li><a href="` + rel(p.Path, "index.html") + `">course</a></li>`)
	parts := strings.Split(p.Source, "/")
	for i, name := range parts[:len(parts)-1] {
		to := strings.Join(parts[:i+1], "/") + "/files.html"
		fmt.Fprintf(&out, `<li><a href="%s">%s</a></li>`, rel(p.Path, to), html.EscapeString(name))
	}
	out.WriteString(`</ol></nav>`)
	return out.String()
}

// codeIntro returns the heading of a page of code.
func (b *Book) codeIntro(p *Page) string {
	out := "<h1><code>" + html.EscapeString(path.Base(p.Source)) + "</code></h1>"
	var at []string
	for _, s := range b.stationsWith(p) {
		at = append(at, fmt.Sprintf(`<a href="%s">%s</a>`, b.stationHref(p, s), html.EscapeString(s.Name+" "+s.Title)))
	}
	if at != nil {
		out += `<p class="where">As it is at ` + strings.Join(at, ", ") + ".</p>"
	}
	return out
}

// renderFolder returns a list of files.
func (b *Book) renderFolder(p *Page) *Rendered {
	var out strings.Builder
	out.WriteString(crumbs(p) + "<h1><code>" + html.EscapeString(path.Base(p.Source)) + "/</code></h1>")
	if page := b.bySource[p.Source+"/README.md"]; page != nil {
		fmt.Fprintf(&out, `<p class="where">Its page: <a href="%s">%s</a></p>`, rel(p.Path, page.Path), html.EscapeString(page.Title))
	}
	out.WriteString(`<ul class="files">`)
	for _, page := range b.textsIn(p.Source) {
		fmt.Fprintf(&out, `<li><a href="%s"><code>%s</code></a> <small>%s</small></li>`, rel(p.Path, page.Path), html.EscapeString(path.Base(page.Source)), html.EscapeString(page.Title))
	}
	for _, name := range b.folders[p.Source] {
		dir, isFolder := strings.CutSuffix(name, "/")
		to := b.sources[dir]
		label, remark := path.Base(dir), ""
		if isFolder {
			label += "/"
			remark = count(len(b.textsIn(dir))+len(b.folders[dir]), "item")
		} else if text, err := b.read(name); err == nil {
			remark = count(strings.Count(text, "\n"), "line")
		}
		fmt.Fprintf(&out, `<li><a href="%s"><code>%s</code></a> <small>%s</small></li>`, rel(p.Path, to.Path), html.EscapeString(label), remark)
	}
	out.WriteString("</ul>")
	return &Rendered{body: out.String()}
}

// textsIn returns the pages of Markdown in a folder.
func (b *Book) textsIn(dir string) []*Page {
	var found []*Page
	for _, p := range b.Pages {
		if p.doc != nil && path.Dir(p.Source) == dir {
			found = append(found, p)
		}
	}
	return found
}
