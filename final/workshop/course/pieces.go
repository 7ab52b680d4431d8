package course

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	// typedBlock is the first line of a block that a reader types or copies.
	typedBlock = regexp.MustCompile("^```(?:go|diff) (?:type|copy|bridge) (?:\\w+:)?(\\S+)")

	// nowComment is what a lesson claims about the tests after a piece; verify
	// replay proves it.
	nowComment = regexp.MustCompile(`^<!-- now: (.+) -->$`)
)

// sortByPiece brings tests into the order in which the lesson says that they turn
// green. Those that it says nothing about are last.
func sortByPiece(tests []Test, lesson string) {
	rank := map[Test]int{}
	pkg := "rpc"
	for i, line := range strings.Split(lesson, "\n") {
		if m := typedBlock.FindStringSubmatch(line); m != nil {
			pkg = path.Dir(m[1])
		}
		m := nowComment.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		for part := range strings.SplitSeq(m[1], ";") {
			for _, t := range turnedGreen(tests, pkg, strings.Fields(part)) {
				if rank[t] == 0 {
					rank[t] = i + 1
				}
			}
		}
	}
	last := strings.Count(lesson, "\n") + 2
	at := func(t Test) int {
		if rank[t] == 0 {
			return last
		}
		return rank[t]
	}
	slices.SortStableFunc(tests, func(a, b Test) int { return at(a) - at(b) })
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
