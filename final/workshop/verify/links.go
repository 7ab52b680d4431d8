package verify

import (
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// checkLinks follows the links within the course; the network is not asked.
func (c *Course) checkLinks(p *Page, f *Findings) error {
	for _, link := range p.Links {
		if wrong := c.wrongLink(p, link); wrong != "" {
			f.page(p, link.Line, "the link to %s: %s", link.To, wrong)
		}
	}
	return nil
}

// wrongLink says what is wrong with a link; "" if nothing is.
func (c *Course) wrongLink(p *Page, link lesson.Link) string {
	to, err := url.Parse(link.To)
	switch {
	case err != nil:
		return err.Error()
	case to.Scheme != "" || to.Host != "":
		return ""
	case strings.HasPrefix(to.Path, "/"):
		return "begin it at the page's folder, not at a root"
	}
	name := p.Path
	if to.Path != "" {
		name = path.Join(p.Folder(), to.Path)
	}
	if name == ".." || strings.HasPrefix(name, "../") {
		return "it leaves the course"
	}
	info, err := os.Stat(filepath.Join(c.Root, filepath.FromSlash(name)))
	if err != nil {
		return "there is no " + name
	}
	if to.Fragment == "" {
		return ""
	}
	if info.IsDir() {
		name = path.Join(name, "README.md")
	}
	target, err := lesson.Load(c.Root, name)
	if err != nil {
		return err.Error()
	}
	if !slices.Contains(target.Anchors, to.Fragment) {
		return name + " has no heading that is called so"
	}
	return ""
}
