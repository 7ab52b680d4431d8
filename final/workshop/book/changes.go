package book

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"path"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/diff"
)

// changesPage is the page with the changes of a station from the one before.
func changesPage(s *course.Station) *Page {
	before, _ := s.Previous()
	title := fmt.Sprintf("From %s to %s", before.Name, s.Name)
	return &Page{Path: path.Dir(s.Page()) + "/changes.html", Title: title, Label: title, Kind: Changes, Station: s}
}

// wholeWay is the page with the changes from the first station to the last.
func wholeWay() *Page {
	first, last := course.Stations[0], course.Stations[len(course.Stations)-1]
	title := fmt.Sprintf("From %s to %s", first.Name, last.Name)
	return &Page{Path: "changes.html", Title: title, Label: title, Kind: Changes}
}

// renderChanges returns all changes between two stations.
func (b *Book) renderChanges(p *Page) (*Rendered, error) {
	from, to := course.Stations[0], course.Stations[len(course.Stations)-1]
	if p.Station != nil {
		to = *p.Station
		from, _ = to.Previous()
	}
	d, err := diff.Between(b.Root, from, to)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "<h1>From %s to %s</h1>\n", from.Name, to.Name)
	fmt.Fprintf(&out, `<p>All that changes from <a href="%s">%s %s</a> to <a href="%s">%s %s</a>, file by file, the code before the tests. The same in a terminal: <code>go tool workshop diff %s %s</code>.</p>`+"\n",
		b.stationHref(p, from), from.Name, from.Title, b.stationHref(p, to), to.Name, to.Title, from.Name, to.Name)
	b.writeDiff(&out, p, d, p.Station != nil)
	return &Rendered{body: out.String(), sections: []section{{heading: p.Title}}}, nil
}

// stepDiff writes the changes of a station below the table that counts them.
func (w *writing) stepDiff(out io.Writer, name string) {
	s, err := course.Find(name)
	if err != nil {
		w.fail("changed %s: %w", name, err)
		return
	}
	before, ok := s.Previous()
	if !ok {
		return
	}
	d, err := diff.Between(w.book.Root, before, s)
	if err != nil {
		w.fail("changed %s: %w", name, err)
		return
	}
	fmt.Fprintf(out, `<p class="where">Unfold a file to see its changes, or <a href="%s">see all on one page</a>.</p>`, rel(w.page.Path, changesPage(&s).Path))
	w.book.writeDiff(out, w.page, d, false)
}

// writeDiff writes each file of a diff, folded; those of code may be open.
func (b *Book) writeDiff(out io.Writer, p *Page, d *diff.Diff, open bool) {
	fmt.Fprint(out, `<div class="changes">`)
	for _, f := range d.Files {
		remark, unfolded := "", ""
		switch {
		case f.IsNew():
			remark = "new"
		case f.IsGone():
			remark = "gone"
		}
		if open && !f.IsTest {
			unfolded = " open"
		}
		fmt.Fprintf(out, `<details class="change"%s><summary><code>%s</code> <span class="plus">+%d</span> <span class="minus">−%d</span> <span class="label">%s</span></summary>`,
			unfolded, html.EscapeString(f.Name), f.Added, f.Deleted, remark)
		b.writeHunks(out, p, d.To, f)
		fmt.Fprint(out, "</details>\n")
	}
	fmt.Fprint(out, "</div>\n")
}

// writeHunks writes the changes of a file. What lies between them is the same in both
// stations, and left out.
func (b *Book) writeHunks(out io.Writer, p *Page, to course.Station, f diff.File) {
	fmt.Fprint(out, `<figure class="code diff"><figcaption>`)
	if target := b.sourceOf(to, f.Name); target != nil && !f.IsGone() {
		fmt.Fprintf(out, `<a href="%s">The whole file at %s</a>`, rel(p.Path, target.Path), to.Name)
	}
	fmt.Fprint(out, `</figcaption><pre tabindex="0" class="marked"><code>`)
	text := f.Hunks()
	code := highlightMarks(text)
	if path.Ext(f.Name) == ".go" {
		code = highlightDiff(text)
	}
	for _, line := range code {
		io.WriteString(out, line+"\n")
	}
	fmt.Fprint(out, "</code></pre></figure>")
}
