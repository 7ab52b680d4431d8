package course

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var (
	// typedBlock is the first line of a block that a reader types.
	typedBlock = regexp.MustCompile("^```(?:go|diff) (?:type|bridge) (?:\\w+:)?(\\S+)(.*)")

	headingLine = regexp.MustCompile(`^##+ (.+)$`)

	// nowComment is what a lesson claims about the tests after a piece; verify
	// replay proves it.
	nowComment = regexp.MustCompile(`^<!-- now: (.+) -->$`)
)

// A turn is a place of a lesson at which tests turn green.
type turn struct {
	tests   []Test
	files   []string // that the reader has worked on since the turn before
	heading string   // above it
}

// turns returns those of a lesson, in its order. A test has one at most.
func turns(tests []Test, lesson string) []turn {
	var all []turn
	var files []string
	known := map[Test]bool{}
	pkg, heading := "rpc", ""
	for line := range strings.SplitSeq(lesson, "\n") {
		if m := typedBlock.FindStringSubmatch(line); m != nil {
			pkg = path.Dir(m[1])
			files = append(files, m[1])
		}
		if m := headingLine.FindStringSubmatch(line); m != nil {
			heading = m[1]
		}
		m := nowComment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		var green []Test
		for part := range strings.SplitSeq(m[1], ";") {
			green = append(green, turnedGreen(tests, pkg, strings.Fields(part))...)
		}
		green = slices.DeleteFunc(green, func(t Test) bool { return known[t] })
		if len(green) == 0 {
			continue
		}
		for _, t := range green {
			known[t] = true
		}
		slices.Sort(files)
		all = append(all, turn{green, slices.Compact(files), heading})
		files = nil
	}
	return all
}

// A Turn is a place of a lesson at which tests turn green.
type Turn struct {
	Heading string // above it; a heading may have several
	Tests   []Test
}

// Turns returns those of a station's lesson, in its order. Tests that the lesson says
// nothing about, such as pins, are at none.
func Turns(root string, s Station) ([]Turn, error) {
	tests, err := Tests(root, s)
	if err != nil {
		return nil, err
	}
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return nil, err
	}
	var all []Turn
	for _, turn := range turns(tests, string(lesson)) {
		all = append(all, Turn{turn.heading, turn.tests})
	}
	return all, nil
}

// sortByPiece brings tests into the order in which the lesson says that they turn
// green. Those that it says nothing about are last.
func sortByPiece(tests []Test, lesson string) {
	all := turns(tests, lesson)
	at := func(t Test) int {
		if i := slices.IndexFunc(all, func(turn turn) bool { return slices.Contains(turn.tests, t) }); i >= 0 {
			return i
		}
		return len(all)
	}
	slices.SortStableFunc(tests, func(a, b Test) int { return at(a) - at(b) })
}

// FilesFor returns the files that a station's lesson has the reader work on before
// a test turns green, since others did; none if the lesson does not say.
func FilesFor(root string, s Station, test string) ([]string, error) {
	t, err := turnOf(root, s, test)
	return t.files, err
}

// GreenUnder returns the heading of a station's lesson under which a test turns green,
// "" if the lesson does not say.
func GreenUnder(root string, s Station, test string) (heading string, err error) {
	t, err := turnOf(root, s, test)
	return t.heading, err
}

// turnOf returns the place at which a test turns green; an empty one if the lesson does
// not say.
func turnOf(root string, s Station, test string) (turn, error) {
	tests, err := Tests(root, s)
	if err != nil {
		return turn{}, err
	}
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return turn{}, err
	}
	for _, turn := range turns(tests, string(lesson)) {
		if slices.ContainsFunc(turn.tests, func(t Test) bool { return t.Name == test }) {
			return turn, nil
		}
	}
	return turn{}, nil
}

// FirstPiece returns which of some declarations a station's lesson has the reader
// write first, "" if it has none of them written. Names are as in "Server.Close".
func FirstPiece(root string, s Station, names []string) (string, error) {
	if len(names) == 0 {
		return "", nil
	}
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	for line := range strings.SplitSeq(string(lesson), "\n") {
		m := typedBlock.FindStringSubmatch(strings.TrimSuffix(line, "\r"))
		if m == nil {
			continue
		}
		for _, name := range strings.Fields(m[2]) {
			if slices.Contains(names, name) {
				return name, nil
			}
		}
	}
	return "", err
}

// HeadingOf returns the heading of a station's lesson under which the reader writes a
// declaration, "" if the lesson does not have it written.
func HeadingOf(root string, s Station, name string) (string, error) {
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return "", err
	}
	heading := ""
	for line := range strings.Lines(string(lesson)) {
		line = strings.TrimRight(line, "\r\n")
		if m := headingLine.FindStringSubmatch(line); m != nil {
			heading = m[1]
		}
		if m := typedBlock.FindStringSubmatch(line); m != nil && slices.Contains(strings.Fields(m[2]), name) {
			return heading, nil
		}
	}
	return "", nil
}

// turnedGreen returns the tests of a package that a claim's words call green. The
// claim may begin with another package's name.
func turnedGreen(tests []Test, pkg string, words []string) []Test {
	all := slices.Index(words, "all")
	if all == 1 {
		pkg = words[0]
	}
	var found []Test
	for _, t := range tests {
		named := slices.ContainsFunc(words, func(pattern string) bool { return isNamed(pattern, t.Name) })
		switch {
		case all >= 0 && t.Package == pkg && !named, all < 0 && named && words[len(words)-1] == "green":
			found = append(found, t)
		}
	}
	return found
}

// isNamed reports whether a claim's word is the name of a test, or its beginning with
// a * for the rest.
func isNamed(pattern, test string) bool {
	if begin, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(test, begin)
	}
	return pattern == test
}

// A Piece is a part of a lesson in which the reader writes something, or after which
// tests turn green.
type Piece struct {
	Heading string  // above it, as in the lesson's Markdown
	Writes  []Write // in the lesson's order
	Tests   []Test  // that turn green under the heading
}

// A Write is a block that the reader types.
type Write struct {
	File   string   // "rpc/server.go"
	Names  []string // the declarations in it; none: the whole file
	Bridge bool     // a later piece replaces it: no station has it
}

// Pieces returns the pieces of a station's lesson, in its order.
func Pieces(root string, s Station) ([]Piece, error) {
	tests, err := Tests(root, s)
	if err != nil {
		return nil, err
	}
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return nil, err
	}
	text := strings.ReplaceAll(string(lesson), "\r\n", "\n")
	var all []Piece
	at := func(heading string) *Piece {
		i := slices.IndexFunc(all, func(p Piece) bool { return p.Heading == heading })
		if i < 0 {
			i = len(all)
			all = append(all, Piece{Heading: heading})
		}
		return &all[i]
	}
	heading, green := "", map[string][]Test{}
	for _, turn := range turns(tests, text) {
		green[turn.heading] = append(green[turn.heading], turn.tests...)
	}
	for line := range strings.SplitSeq(text, "\n") {
		if m := headingLine.FindStringSubmatch(line); m != nil {
			if green[m[1]] != nil {
				at(m[1]).Tests = green[m[1]]
			}
			heading = m[1]
		}
		if m := typedBlock.FindStringSubmatch(line); m != nil {
			p := at(heading)
			p.Writes = append(p.Writes, Write{File: m[1], Names: strings.Fields(m[2]), Bridge: strings.Contains(line, " bridge ")})
		}
	}
	return all, nil
}
