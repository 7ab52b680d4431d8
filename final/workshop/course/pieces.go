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
	// typedBlock is the first line of a block that a reader types or copies.
	typedBlock = regexp.MustCompile("^```(?:go|diff) (?:type|copy|bridge) (?:\\w+:)?(\\S+)(.*)")

	// nowComment is what a lesson claims about the tests after a piece; verify
	// replay proves it.
	nowComment = regexp.MustCompile(`^<!-- now: (.+) -->$`)
)

// A turn is a place of a lesson at which tests turn green.
type turn struct {
	tests []Test
	files []string // that the reader has worked on since the turn before
}

// turns returns those of a lesson, in its order. A test has one at most.
func turns(tests []Test, lesson string) []turn {
	var all []turn
	var files []string
	known := map[Test]bool{}
	pkg := "rpc"
	for line := range strings.SplitSeq(lesson, "\n") {
		if m := typedBlock.FindStringSubmatch(line); m != nil {
			pkg = path.Dir(m[1])
			files = append(files, m[1])
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
		all = append(all, turn{green, slices.Compact(files)})
		files = nil
	}
	return all
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
	tests, err := Tests(root, s)
	if err != nil {
		return nil, err
	}
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return nil, err
	}
	for _, turn := range turns(tests, string(lesson)) {
		if slices.ContainsFunc(turn.tests, func(t Test) bool { return t.Name == test }) {
			return turn.files, nil
		}
	}
	return nil, nil
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
