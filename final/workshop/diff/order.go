package diff

import (
	"cmp"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// block matches the first line of a block of code in a lesson, and its file.
var block = regexp.MustCompile("(?m)^```(?:go|diff) (?:type|copy|read) (?:[0-9a-z]+:)?([^/ \r\n][^ \r\n]*)")

// Order sorts names of files as the lesson of a station brings them: code as the
// text comes to it, then tests, then scripts, then all else. Code that the
// lesson does not quote follows by folder, rpc/ first.
func Order(root string, s course.Station, names []string) error {
	lesson, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
	if err != nil {
		return err
	}
	var quoted []string
	for _, match := range block.FindAllSubmatch(lesson, -1) {
		quoted = append(quoted, string(match[1]))
	}
	rank := func(name string) int {
		if i := slices.Index(quoted, name); i >= 0 {
			return i
		}
		return len(quoted)
	}
	slices.SortStableFunc(names, func(a, b string) int {
		return cmp.Or(
			cmp.Compare(kind(a), kind(b)),
			cmp.Compare(rank(a), rank(b)),
			cmp.Compare(folder(a), folder(b)),
			cmp.Compare(a, b),
		)
	})
	return nil
}

// kind orders a station's files by what they are for.
func kind(name string) int {
	switch {
	case course.IsCode(name):
		return 0
	case path.Ext(name) == ".go":
		return 1
	case course.IsTest(name):
		return 2
	}
	return 3
}

// folder orders a step's folders by who imports whom.
func folder(name string) int {
	first, _, _ := strings.Cut(name, "/")
	return slices.Index([]string{"rpc", "inventory", "orders", "cmd"}, first)
}
