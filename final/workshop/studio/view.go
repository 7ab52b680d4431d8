package studio

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/rpc-from-scratch/final/workshop/book"
	"example.com/rpc-from-scratch/final/workshop/check"
	"example.com/rpc-from-scratch/final/workshop/course"
)

//go:embed panels.html
var panelsText string

//go:embed assets
var assets embed.FS

var panels = template.Must(template.New("panels").Parse(panelsText))

// Names of the panels, which are the ids of their elements, too.
const (
	barID      = "studio-bar"
	overviewID = "studio-overview"
	predictID  = "studio-predict"
	serverID   = "studio-server"
	pieceID    = "studio-piece-" // and the anchor of its heading
)

// render returns a panel.
func render(name string, data any) template.HTML {
	var out bytes.Buffer
	if err := panels.ExecuteTemplate(&out, name, data); err != nil {
		return template.HTML("<p>" + template.HTMLEscapeString(err.Error()) + "</p>")
	}
	return template.HTML(out.String())
}

// A barView is the line above each page.
type barView struct {
	Station   string
	Lesson    string // a link to it
	Wire      string // a link to the page of the wire
	Checking  bool
	Passing   int
	All       int
	Broken    bool
	Done      bool
	Next      string
	NextHref  string
	FirstTook string
	Err       string
}

// A testView is a test in a panel.
type testView struct {
	Name    string
	ID      string
	Label   string // "passed", "fails", "hangs" …
	Class   string // "good", "bad", "idle"
	Stale   string // from when this is; "": it was seen since the last save
	Open    bool
	Explain *explainView
}

// An explainView says why a test fails.
type explainView struct {
	Cause    string
	Failures []failureView
	More     int
	Case     string
	Stub     *linkView
	Ended    string
	Waiting  []goroutineView
	Others   int
	Race     []linkView
	Hint     []hintPart
	Cut      string
	Test     string
}

type failureView struct {
	At                  linkView
	Sub                 string
	What, Expected, Got string
	More, Message       string
	Times               int
	Logged              bool
	HasExpected, HasGot bool
}

// A linkView is a text that may open the editor.
type linkView struct {
	Text string
	Href template.URL // "": none
	Rest string       // behind the link
}

type goroutineView struct {
	State  string
	Frames []linkView
}

// A hintPart is a paragraph of a hint, or code.
type hintPart struct {
	Code string
	Text []span
}

// A span is a piece of a sentence, maybe in code type.
type span struct {
	Text string
	Code bool
}

// A pieceView is the panel of a piece.
type pieceView struct {
	ID, Heading string
	State       string // "not begun", "differs from ours", "same as ours", "green"
	Class       string
	Stale       string // from when some of it is; ""
	Passing     int
	Red         []testView
	Green       []testView
	Idle        []string // not known yet, or not run
	Next        string
	NextLink    linkView
	CanDiff     bool // there is a difference
	Ask         bool // the reader has to ask for it
	Shown       bool
	Same        bool
	Diff        template.HTML
	Later       string // the piece that turns the tests green, if this one has none
	LaterID     string
}

// An overviewView is the panel below the lesson's title.
type overviewView struct {
	Bar      barView
	Mistakes []mistakeView
	Before   bool // what is said of the pieces is from before the mistakes
	Red      string
	Help     []string
	Doubts   []linkView
	Late     []string
	Pieces   []pieceView
	Others   []testView // that fail, and belong to no piece
	Passing  int        // of those
	Finished bool
	Onward   string
}

type mistakeView struct {
	What  string
	Lines []linkView
}

// link makes the text of a place, such as "rpc/server.go:43:1 in Server.Serve", open the
// editor.
func (s *Studio) link(text string) linkView {
	place, rest, found := strings.Cut(text, " ")
	href := s.editor.link(s.target.Dir, strings.TrimSuffix(place, ":"))
	if href == "" {
		return linkView{Text: text}
	}
	if found {
		rest = " " + rest
	}
	return linkView{Text: place, Href: href, Rest: rest}
}

// linkWithin finds the place within a line, such as the side of a data race.
func (s *Studio) linkWithin(text string) linkView {
	before, at, ok := strings.Cut(text, " at ")
	if !ok {
		return linkView{Text: text}
	}
	l := s.link(at)
	if l.Href == "" {
		return linkView{Text: text}
	}
	return linkView{Text: before + " at " + l.Text, Href: l.Href, Rest: l.Rest}
}

// labels say how a test ended.
var labels = map[check.Status][2]string{
	"":                {"not run yet", "idle"},
	check.Passed:      {"passed", "good"},
	check.Lifted:      {"limit lifted", "good"},
	check.Undecided:   {"skips", "idle"},
	check.Failed:      {"fails", "bad"},
	check.Panicked:    {"panics", "bad"},
	check.Deadlocked:  {"deadlock", "bad"},
	check.Hung:        {"hangs", "bad"},
	check.Raced:       {"data race", "bad"},
	check.NotCompiled: {"not compiled", "idle"},
	check.LeftOut:     {"not run", "idle"},
	check.Missing:     {"missing", "bad"},
}

func (s *Studio) testView(t testState) testView {
	label := labels[t.status]
	v := testView{Name: t.test.Name, ID: "test-" + strings.ReplaceAll(t.test.Name, "/", "-"), Label: label[0], Class: label[1], Stale: s.state.since(t.stale),
		Open: t.test.Name == s.state.begin}
	if v.Class == "bad" {
		v.Explain = s.explainView(t)
	}
	return v
}

func (s *Studio) explainView(t testState) *explainView {
	e := t.explain
	v := &explainView{Cause: e.Cause, More: e.More, Case: e.Case, Ended: e.Ended, Others: e.Others, Hint: hintParts(t.hint), Test: t.test.Name}
	if e.Cut > 0 {
		v.Cut = fmt.Sprintf("The test printed so much that %d bytes in the middle were left out.", e.Cut)
	}
	for _, f := range e.Failures {
		v.Failures = append(v.Failures, failureView{
			At: s.link(f.Place), Sub: f.Test, What: strings.Join(f.What, "\n"), Expected: f.Expected, Got: f.Got,
			HasExpected: f.Expected != "", HasGot: f.Got != "",
			More: strings.Join(f.More, "\n"), Message: f.Message, Times: f.Times, Logged: f.IsLog(),
		})
	}
	if e.Stub != nil {
		l := s.link(e.Stub.Place)
		l.Rest = ": " + e.Stub.String()
		v.Stub = &l
	}
	for _, g := range e.Waiting {
		gv := goroutineView{State: g.State}
		for _, frame := range g.Own {
			gv.Frames = append(gv.Frames, s.link(frame))
		}
		v.Waiting = append(v.Waiting, gv)
	}
	for _, side := range e.Race {
		v.Race = append(v.Race, s.linkWithin(side))
	}
	if len(v.Failures) == 0 && v.Stub == nil && t.place != "" {
		v.Failures = []failureView{{At: s.link(t.place)}}
	}
	return v
}

// hintParts splits a hint into paragraphs; what is indented by four is code.
func hintParts(hint string) (parts []hintPart) {
	for part := range strings.SplitSeq(hint, "\n\n") {
		if part == "" {
			continue
		}
		if strings.HasPrefix(part, "    ") {
			parts = append(parts, hintPart{Code: strings.TrimPrefix(strings.ReplaceAll(part, "\n    ", "\n"), "    ")})
			continue
		}
		parts = append(parts, hintPart{Text: spans(part)})
	}
	return parts
}

// spans splits a text at its backquotes: every second piece is code.
func spans(text string) (all []span) {
	for i, piece := range strings.Split(text, "`") {
		if piece != "" {
			all = append(all, span{piece, i%2 == 1})
		}
	}
	return all
}

// bar returns the line above each page. The state's lock is held.
func (s *Studio) bar(from string) barView {
	st := s.state
	v := barView{
		Station: st.target.Station.Name + " " + st.target.Station.Title, Checking: st.phase == checking, Broken: len(st.mistakes) > 0,
		Lesson: s.book.relative(from, s.book.lesson(st.target.Station)), Wire: s.book.relative(from, wirePage), All: len(st.tests),
	}
	for _, t := range st.tests {
		if t.status.Done() {
			v.Passing++
		}
	}
	if st.err != nil {
		v.Err = st.err.Error()
	}
	if st.first > 0 {
		v.FirstTook = fmt.Sprintf("%.1f s", st.first.Round(100*time.Millisecond).Seconds())
	}
	stale := slices.ContainsFunc(st.tests, func(t testState) bool { return t.stale })
	v.Done = v.Passing == v.All && v.All > 0 && !v.Broken && !stale && len(st.doubts) == 0
	v.Next, v.NextHref = s.next()
	return v
}

// next returns the next thing to do, and where on the lesson's page that is.
func (s *Studio) next() (text, anchor string) {
	st := s.state
	if len(st.mistakes) > 0 && st.red != "" {
		if text, anchor = s.nextPiece(); text != "" {
			return text, anchor // a test that is right does not compile before it is written
		}
	}
	if len(st.mistakes) > 0 {
		line, _, _ := strings.Cut(st.mistakes[0].Lines[0], "\n")
		return "Fix " + line, overviewID
	}
	if text, anchor = s.nextPiece(); text != "" {
		return text, anchor
	}
	if st.begin != "" {
		return "Begin with " + st.begin, "test-" + strings.ReplaceAll(st.begin, "/", "-")
	}
	return "", overviewID
}

// nextPiece returns what to do in the first piece that is not done.
func (s *Studio) nextPiece() (text, anchor string) {
	for _, p := range s.pieces() {
		if p.Class != "good" && p.Next != "" {
			return p.Next, pieceID + p.ID
		}
	}
	return "", ""
}

// pieces returns the panels of all pieces. The state's lock is held.
func (s *Studio) pieces() []pieceView {
	st := s.state
	all := make([]pieceView, len(st.pieces))
	later := -1
	for i, p := range slices.Backward(st.pieces) {
		v := s.pieceView(p)
		if len(p.Tests) > 0 {
			later = i
		} else if later >= 0 {
			v.Later, v.LaterID = plain(st.pieces[later].Heading), pieceID+st.pieces[later].id
			if all[later].Class == "good" && v.Class != "good" {
				v.State, v.Class, v.Stale = "green", "good", all[later].Stale
			}
		}
		v.Next, v.NextLink = s.nextOf(p, v)
		all[i] = v
	}
	return all
}

func (s *Studio) pieceView(p piece) pieceView {
	st := s.state
	v := pieceView{ID: p.id, Heading: plain(p.Heading), State: string(p.code), Class: "idle", Stale: st.since(st.unparsed && p.code != unknown)}
	for _, t := range p.Tests {
		i := slices.IndexFunc(st.tests, func(o testState) bool { return o.test.Same(t) })
		if i < 0 {
			continue // not for this system
		}
		tv := s.testView(st.tests[i])
		if tv.Stale != "" {
			v.Stale = tv.Stale
		}
		switch tv.Class {
		case "good":
			v.Green = append(v.Green, tv)
		case "bad":
			v.Red = append(v.Red, tv)
		default:
			v.Idle = append(v.Idle, tv.Name)
		}
	}
	v.Passing = len(v.Green)
	if p.code == differs {
		v.Class = "begun"
	}
	if v.Passing > 0 && len(v.Red)+len(v.Idle) == 0 && p.code != notBegun {
		v.State, v.Class = "green", "good"
	}
	s.addDiff(&v, p)
	return v
}

// addDiff adds the difference from ours: of a piece that is not green, only if the reader
// asked for it.
func (s *Studio) addDiff(v *pieceView, p piece) {
	v.Ask = v.Class != "good"
	v.Same = (p.code == same || p.code == differs && p.diff == "") && !s.state.unparsed
	v.CanDiff = p.diff != "" && p.code != noCode
	v.Shown = s.state.shown[p.id] && v.CanDiff
	if v.Shown {
		v.Diff = book.Diff(p.diff)
	}
}

// nextOf returns what to do next in a piece; "" if it is done.
func (s *Studio) nextOf(p piece, v pieceView) (string, linkView) {
	switch {
	case v.Class == "good":
		return "", linkView{}
	case p.next != "" && p.has:
		return "Change " + p.next, s.link(p.place)
	case p.next != "":
		return "Write " + p.next, s.link(p.place)
	case len(v.Red) > 0:
		t := v.Red[0]
		for _, other := range v.Red {
			if other.Open {
				t = other
			}
		}
		return "Begin with " + t.Name + ": " + t.Explain.Cause, linkView{}
	}
	return "", linkView{}
}

// overview returns the panel below the title. The state's lock is held.
func (s *Studio) overview(from string) overviewView {
	st := s.state
	v := overviewView{Bar: s.bar(from), Red: st.red, Help: st.help, Late: st.late, Pieces: s.pieces(), Doubts: s.linkLines(st.doubts)}
	for _, m := range st.mistakes {
		what, _, _ := strings.Cut(m.String(), ": ")
		v.Mistakes = append(v.Mistakes, mistakeView{what, s.linkLines(m.Lines)})
	}
	v.Before = len(v.Mistakes) > 0 && slices.ContainsFunc(v.Pieces, func(p pieceView) bool { return p.Stale != "" })
	for _, t := range s.loose() {
		if tv := s.testView(t); tv.Class == "good" {
			v.Passing++
		} else {
			v.Others = append(v.Others, tv)
		}
	}
	v.Finished = v.Bar.Done && st.phase == waiting
	if next, ok := st.target.Station.Next(); ok && v.Finished {
		v.Onward = next.Name + ", " + next.Adds
	}
	return v
}

// linkLines makes the places of what the compiler or vet says open the editor.
func (s *Studio) linkLines(lines []string) (all []linkView) {
	for _, line := range lines {
		place, text, _ := strings.Cut(line, ": ")
		l := s.link(place)
		l.Rest = ": " + text
		all = append(all, l)
	}
	return all
}

// loose returns the tests that no piece of the lesson turns green.
func (s *Studio) loose() (all []testState) {
	within := map[course.Test]bool{}
	for _, p := range s.state.pieces {
		for _, t := range p.Tests {
			within[key(t)] = true
		}
	}
	for _, t := range s.state.tests {
		if !within[key(t.test)] {
			all = append(all, t)
		}
	}
	return all
}

// plain returns a heading without its Markdown.
func plain(heading string) string { return strings.NewReplacer("`", "", "**", "").Replace(heading) }

func itoa(n int) string { return strconv.Itoa(n) }
