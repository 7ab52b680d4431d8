package verify

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"example.com/rpc-from-scratch/final/workshop/course"
	"example.com/rpc-from-scratch/final/workshop/lesson"
	"example.com/rpc-from-scratch/final/workshop/verify/console"
)

// checkConsole runs what a page runs and compares what it prints.
func (c *Course) checkConsole(ctx context.Context, p *Page, f *Findings) error {
	all, err := c.runPage(ctx, p)
	for _, r := range all {
		if r.err != nil {
			f.page(p, r.block.Line, "%v", r.err)
		} else if wrong := r.difference(); wrong != "" {
			f.page(p, r.block.Line, "%s: mend the code, or run go tool workshop sync %s", wrong, p.Path)
		}
	}
	return err
}

// A ran is a console block that was run.
type ran struct {
	block         *lesson.Block
	said, printed *console.Block
	err           error // it could not be run
}

// attempts is how often a measurement is made before its order is called wrong:
// what else the machine does disturbs one.
const attempts = 3

// measures tells whether the order of the block's figures is compared.
func (r ran) measures() bool { return slices.Contains(r.block.Words, "order") }

// difference returns how what was printed differs from what the block says.
func (r ran) difference() string {
	if r.measures() {
		return console.CompareOrder(r.said, r.printed)
	}
	return console.Compare(r.said, r.printed)
}

// update returns the block's body as it should be.
func (r ran) update() string {
	if r.difference() == "" {
		return r.block.Body
	}
	if r.measures() {
		return r.printed.String()
	}
	return console.Merge(r.said, r.printed).String()
}

// runPage runs the console blocks of a page, each part with servers of its own:
// they end at the next heading.
func (c *Course) runPage(ctx context.Context, p *Page) ([]ran, error) {
	cache, err := os.MkdirTemp("", "workshop")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(cache)
	s := &sessions{c: c, page: p, cache: cache, red: make(map[string]*console.Session)}
	defer s.end()

	var all []ran
	var section *lesson.Section
	for _, b := range p.Blocks {
		if b.Word(0) != "console" {
			continue
		}
		if b.Section != section {
			s.end()
			section = b.Section
		}
		all = append(all, s.run(ctx, b))
	}
	return all, ctx.Err()
}

// sessions are those of one page: one in its base, and one for each station
// that it starts.
type sessions struct {
	c     *Course
	page  *Page
	cache string
	own   *console.Session
	red   map[string]*console.Session // by the station's name, with its code or without
}

func (s *sessions) end() {
	if s.own != nil {
		s.own.End()
	}
	for _, red := range s.red {
		red.End()
	}
}

func (s *sessions) run(ctx context.Context, b *lesson.Block) ran {
	r := ran{block: b}
	session, stays, err := s.of(b)
	if err == nil {
		r.said, err = console.Parse(b.Body)
	}
	for range attempts {
		if err == nil {
			r.printed, err = session.Run(ctx, r.said, stays)
		}
		if err != nil || !r.measures() || r.difference() == "" {
			break
		}
	}
	r.err = err
	return r
}

// of returns the session that a block runs in, and whether its last command
// stays.
func (s *sessions) of(b *lesson.Block) (session *console.Session, stays bool, err error) {
	red, solved := false, false
	station := s.page.Station
	for _, word := range b.Rest(1) {
		switch found, err := course.Find(word); {
		case word == "stays":
			stays = true
		case word == "red":
			red = true
		case word == "solved":
			red, solved = true, true
		case word == "order":
		case err == nil:
			station = &found
		default:
			return nil, false, fmt.Errorf("%q is neither stays, red, solved, order nor a station", word)
		}
	}
	if !red {
		session, err = s.inFolder()
		return session, stays, err
	}
	if station == nil {
		return nil, false, fmt.Errorf("which station? write it behind red or solved, such as 5a")
	}
	session, err = s.inStarted(*station, solved)
	return session, stays, err
}

func (s *sessions) inFolder() (*console.Session, error) {
	if s.own == nil {
		dir := filepath.Join(s.c.Root, filepath.FromSlash(s.page.Base()))
		s.own = &console.Session{Dir: dir, Cache: s.cache, Show: map[string]string{s.c.Root: clone}}
	}
	return s.own, nil
}

// What a lesson calls the folders of whoever reads it.
const (
	clone = "/home/you/rpc-from-scratch"
	mine  = "/home/you/mine"
)
