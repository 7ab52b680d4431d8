package check

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/mod/modfile"

	"example.com/rpc-from-scratch/final/workshop/course"
)

var stepsPath = regexp.MustCompile(`(?s)^(\S+\.go:\d+)(?::\d+)?: no required module provides package ` +
	regexp.QuoteMeta(course.ModulePrefix) + `[^/;\s]+([^;\s]*); to add it:.*`)

// ownPaths says in plain words that an import names a step of the course, as it
// does in code that was copied from there: the go command's advice to get that
// module cannot be followed.
func ownPaths(dir string, mistakes []string) []string {
	data, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
	module := modfile.ModulePath(data)
	for i, line := range mistakes {
		if m := stepsPath.FindStringSubmatch(line); m != nil && module != "" {
			mistakes[i] = fmt.Sprintf("%s: this path is that of our step. Yours begins with your module's name: %q. (go get does not help.)", m[1], module+m[2])
		}
	}
	return mistakes
}
