package attack_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9]*[_/][^`]+)`")

// Each attack is in the table of SECURITY.md, and each test that it names exists.
func TestSecurity_NamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("../SECURITY.md")
	require.NoError(t, err)
	tests := testsBelow(t, "..")
	for _, at := range attacks {
		assert.False(t, tests["TestAttack/"+at.name], "two attacks are called %s", at.name)
		tests["TestAttack/"+at.name] = true
	}
	for _, at := range serverAttacks {
		assert.False(t, tests["TestAttackOnClient/"+at.name], "two attacks are called %s", at.name)
		tests["TestAttackOnClient/"+at.name] = true
	}
	named := map[string]bool{}
	for _, match := range testName.FindAllSubmatch(page, -1) {
		name := string(match[1])
		assert.True(t, tests[name], "there is no %s", name)
		named[name] = true
	}
	for _, at := range attacks {
		assert.True(t, named["TestAttack/"+at.name], "the table lacks TestAttack/%s", at.name)
	}
	for _, at := range serverAttacks {
		assert.True(t, named["TestAttackOnClient/"+at.name], "the table lacks TestAttackOnClient/%s", at.name)
	}
	for line := range strings.Lines(section(string(page), "## Attacks, bounds and tests")) {
		if strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "|---") && !strings.HasPrefix(line, "| attack ") {
			assert.Regexp(t, testName, line, "a row without a test")
		}
	}
}

// section returns what a page has under a heading.
func section(page, heading string) string {
	_, rest, _ := strings.Cut(page, heading)
	text, _, _ := strings.Cut(rest, "\n## ")
	return text
}

// testsBelow returns the names of the test functions in a folder and those below.
func testsBelow(t *testing.T, dir string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv == nil {
				names[f.Name.Name] = true
			}
		}
		return nil
	}))
	return names
}

// What the page recommends is what example_test.go compiles and runs.
func TestSecurity_SettingsAreThoseOfTheExample(t *testing.T) {
	page, err := os.ReadFile("../SECURITY.md")
	require.NoError(t, err)
	source, err := os.ReadFile("example_test.go")
	require.NoError(t, err)
	var lines []string // of the example, without indentation
	for line := range strings.Lines(string(source)) {
		lines = append(lines, strings.TrimSpace(line))
	}
	blocks := strings.Split(string(page), "```go\n")[1:]
	require.Len(t, blocks, 2)
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "```")
		assert.Contains(t, strings.Join(lines, "\n"), strings.TrimSpace(block))
	}
}
