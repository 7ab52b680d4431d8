package verify

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/seldom"
)

// replayed makes changes to the small course, each a file, an old text and a new
// one, and returns what a replay of 2b finds.
func replayed(t *testing.T, changes ...[3]string) []string {
	t.Helper()
	root := copyCourse(t)
	for _, c := range changes {
		replace(t, root, c[0], c[1], c[2])
	}
	f := &Findings{}
	require.NoError(t, lessonsAtOnce((*Course).checkReplay)(t.Context(), open(t, root, "2b"), f))
	var found []string
	for _, p := range f.Problems {
		found = append(found, p.Error())
	}
	return found
}

// wants checks that each problem holds the text at its place.
func wants(t *testing.T, found []string, want ...string) {
	t.Helper()
	require.Len(t, found, len(want), strings.Join(found, "\n"))
	for i := range want {
		assert.Contains(t, found[i], want[i])
	}
}

func TestReplay_FindsFalseClaims(t *testing.T) {
	found := replayed(t, [3]string{third, "<!-- now: all green but TestThree -->",
		"<!-- now: TestTwo TestThree green; TestT* red; all green; does not compile -->\n<!-- now: TestFour green; cmd/x compiles -->"})
	wants(t, found,
		`"cmd/x compiles" claims nothing: write "compiles"`,
		"the page says that TestThree is green, and it is red",
		"the page says that TestTwo is red, and it is green",
		"the page says that TestThree is green, and it is red",
		"the page says that rpc does not compile, and it does",
		"rpc has no test TestFour")
}

const typeTwo = "```diff type rpc/two.go Two\n"

// A bridge makes a piece work until a later one takes its place.
func TestReplay_ComparesTheEnd(t *testing.T) {
	bridges := "```go bridge rpc/two.go\nfunc Two() int { return 2 }\n```\n\n<!-- now: TestTwo green -->\n\n" +
		"```go bridge rpc/two.go\nfunc helper() int { return 2 }\n```\n\n"
	found := replayed(t, [3]string{third, typeTwo, bridges + typeTwo},
		[3]string{third, "## On the wire", "<!-- now: delete rpc/one.go One -->\n\n## On the wire"},
		[3]string{"step02-two/rpc/three.go", "package rpc\n", "package rpc\n\nimport \"os\"\n"},
		[3]string{"step02-two/rpc/three.go", "return 3", "return 3 + 0*len(os.Args)"})
	wants(t, found,
		"One of rpc/two.go is missing in the end",
		"helper of rpc/two.go is left over in the end",
		`rpc/three.go imports "os" from here on: quote its import, or name it in the text`)
}

// A bridge may be a change of what the reader has, such as lines to delete.
func TestReplay_ABridgeMayBeADiff(t *testing.T) {
	bridge := func(diff string) [3]string {
		return [3]string{third, typeTwo, "**Delete** it from `rpc/one.go`:\n\n```diff bridge rpc/one.go\n" + diff + "```\n\n" + typeTwo}
	}
	wants(t, replayed(t, bridge("-// unit is what One counts.\n const unit = \"frame\"\n")), "unit of rpc/one.go is not the station's in the end")
	wants(t, replayed(t, bridge("-// Two returns 1.\n")), "rpc/one.go: these lines stand 0 times")
}

// What start ships is not typed; and a comment that changes need not be, if it is shown.
func TestReplay_NothingShippedIsTyped(t *testing.T) {
	const tool = "package cmd\n\n// Tool does nothing.\nfunc Tool() {}\n"
	label := func(label string) [3]string {
		return [3]string{third, "## On the wire", "**" + label + "** `cmd/tool.go`:\n\n```go " + label + " cmd/tool.go Tool\n// Tool does nothing.\nfunc Tool() {}\n```\n\n## On the wire"}
	}
	assert.Empty(t, replayed(t, [3]string{"step02-two/cmd/tool.go", "", tool}, label("read")))
	wants(t, replayed(t, [3]string{"step02-two/cmd/tool.go", "", tool}, label("type")),
		"start and next put Tool of cmd/tool.go there: label its block read")
}

func TestReplay_AChangedCommentIsShownAndNotTyped(t *testing.T) {
	comment := [3]string{"step02-two/rpc/one.go", "// unit is what", "// The unit is what"}
	code := [3]string{"step02-two/rpc/one.go", "\"frame\"", "\"bit\""}
	shown := [3]string{third, "## On the wire", "**Read** `rpc/one.go`:\n\n```diff read rpc/one.go unit\n```\n\n## On the wire"}
	const differs = "unit of rpc/one.go is not the station's in the end"
	wants(t, replayed(t, comment), differs)
	assert.Empty(t, replayed(t, comment, shown))
	wants(t, replayed(t, code, shown), differs)
}

func TestReplay_TwoPiecesInARowMayLeaveNothingGreen(t *testing.T) {
	seldom.Test(t)
	bridge := func(file, text string) string { return "```go bridge rpc/" + file + ".go\n" + text + "\n```\n\n" }
	broken := bridge("one", "const unit = nope")
	repaired := bridge("one", "// unit is what One counts.\nconst unit = \"frame\"")
	two, red := bridge("two", "func Two() int { return One() }"), bridge("one", "func One() int { panic(1) }")
	green := bridge("one", "// One returns 1.\nfunc One() int {\n\treturn 1\n}")
	found := replayed(t, [3]string{third, typeTwo,
		broken + broken + repaired + broken + broken + broken + repaired + two + red + red + red + green + typeTwo})
	wants(t, found,
		"undefined: nope",
		"3 pieces in a row leave nothing green, at most 2: all of its tests are red")
}
