package diff

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"strings"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// block matches the first line of a block of code in a lesson, and its file.
var block = regexp.MustCompile("(?m)^```(?:go|diff) (?:type|copy|read) (?:[0-9a-z]+:)?([^/ \n][^ \n]*)")

// sortFiles brings files into the order in which a reader wants them: code as
// the lesson comes to it, then tests, then scripts, then all else. Code that
// the lesson does not quote follows by folder, rpc/ first.
func sortFiles(files []File, lesson string) {
	var quoted []string
	for _, match := range block.FindAllStringSubmatch(lesson, -1) {
		quoted = append(quoted, match[1])
	}
	rank := func(name string) int {
		if i := slices.Index(quoted, name); i >= 0 {
			return i
		}
		return len(quoted)
	}
	slices.SortStableFunc(files, func(a, b File) int {
		return cmp.Or(
			cmp.Compare(kind(a.Name), kind(b.Name)),
			cmp.Compare(rank(a.Name), rank(b.Name)),
			cmp.Compare(folder(a.Name), folder(b.Name)),
			cmp.Compare(a.Name, b.Name),
		)
	})
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
