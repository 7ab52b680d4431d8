package book

import (
	"fmt"
	"html"
	"regexp"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// doors returns the three ways to begin. The README says more of each, further down.
func (b *Book) doors(p *Page) string {
	var out strings.Builder
	out.WriteString(`<ul class="ways">` + "\n")
	for _, door := range []struct{ name, to string }{
		{"Build", "final/workshop/guide/setup.md"}, {"Read", "step01-tcp-server/README.md"}, {"Use", "final/README.md"},
	} {
		if to := b.bySource[door.to]; to != nil && strings.Contains(string(p.doc.source), "- **"+door.name+".** ") {
			fmt.Fprintf(&out, `<li><a href="%s"><strong>%s</strong> <span>%s</span></a></li>`+"\n", rel(p.Path, to.Path), door.name, html.EscapeString(to.Title))
		}
	}
	out.WriteString("</ul>\n")
	return out.String()
}

var diffCommand = regexp.MustCompile(`^go tool workshop diff (\w+) (\w+)$`)

// diffNamed returns the page with the changes that a command prints; nil if it prints no
// station's changes.
func (b *Book) diffNamed(command string) *Page {
	m := diffCommand.FindStringSubmatch(command)
	if m == nil {
		return nil
	}
	for _, p := range b.Pages {
		if p.Kind != Changes || p.Station == nil || p.Station.Name != m[2] {
			continue
		}
		if before, ok := p.Station.Previous(); ok && before.Name == m[1] {
			return p
		}
	}
	return nil
}

// stationMap returns the map of the stations: the core path, and the side trips
// beside it.
func (b *Book) stationMap(p *Page) string {
	var out strings.Builder
	out.WriteString(`<ol class="map" aria-label="The stations">` + "\n")
	core, all := 0, 0
	for _, s := range course.Stations {
		class, path := "core", "core path"
		if s.Side {
			class, path = "side", "side trip"
		} else {
			core += s.Minutes
		}
		all += s.Minutes
		fmt.Fprintf(&out, `<li class="%s"><a href="%s"><span class="stop">%s</span> <span class="what">%s</span> <span class="min">%d min, %s</span></a></li>`+"\n",
			class, b.stationHref(p, s), s.Name, html.EscapeString(strings.ReplaceAll(s.Title, "-", " ")), s.Minutes, path)
	}
	fmt.Fprintf(&out, `</ol>`+"\n"+`<p class="where">The core path takes %s, all stations %s. <a href="%s">All changes from 01 to 07</a>.</p>`+"\n", hours(core), hours(all), rel(p.Path, "changes.html"))
	return out.String()
}

func hours(minutes int) string { return fmt.Sprintf("%d h %02d min", minutes/60, minutes%60) }
