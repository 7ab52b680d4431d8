package verify

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"example.com/rpc-from-scratch/final/internal/seldom"
	"example.com/rpc-from-scratch/final/workshop/patch"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestChecks_FindNothingInACourseThatIsRight(t *testing.T) {
	seldom.Test(t)
	root := copyCourse(t)
	for _, check := range Checks {
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			f := check.Run(t.Context(), open(t, root))
			assert.Empty(t, f.Problems)
			assert.Empty(t, f.Notes)
		})
	}
}

// A drift is something that is changed in one place and not in another.
type drift struct {
	name  string
	check string // that has to catch it
	file  string
	old   string // "": the file is written anew
	new   string
	want  []string // problems, in part; {text} in one is the number of text's line
}

const (
	first    = "step01-one/README.md"
	entrance = "step02-two/README.md"
	second   = "step02-two/2a-two/README.md"
	third    = "step02-two/2b-three/README.md"
	ones     = "final/workshop/mutants/01.md"
	twos     = "final/workshop/mutants/2a.md"
	threes   = "final/workshop/mutants/2b.md"
)

var drifts = []drift{
	{"code changed", "code", "step01-one/rpc/one.go", "return 1", "return 2 - 1",
		[]string{first + ":{\treturn 1\n}: not as it is in rpc/one.go: run go tool workshop sync " + first}},
	{"comment changed", "code", "step01-one/rpc/one.go", "// One returns 1.", "// One is 1.",
		[]string{first + ":{// One returns 1}: not as it is in rpc/one.go"}},
	{"quote changed", "code", first, "\treturn 1\n", "\treturn 7\n",
		[]string{first + ":{return 7}: not as it is in rpc/one.go"}},
	{"declaration renamed", "code", "step01-one/rpc/one.go", "const unit", "const units",
		[]string{first + ":{```go type rpc/one.go}: rpc/one.go does not declare unit; it has package, One, units",
			second + ":{ // unit is}: not as it is in rpc/one.go"}},
	{"file gone", "code", first, "go type rpc/one.go", "go type rpc/won.go",
		[]string{first + ":{rpc/won.go}: station 01 has no rpc/won.go"}},
	{"label unknown", "code", first, "go type rpc/one.go", "go write rpc/one.go",
		[]string{first + `:{go write}: "write" is no label: write type, read or signature behind go`}},
	{"break without context", "code", first, "### Without a server", "```diff break rpc/one.go TestOne\n-\treturn 1\n+\treturn 2\n```\n\n### Without a server",
		[]string{first + ":{-\treturn 1}: a change stands between three lines of its declaration: run go tool workshop sync " + first}},
	{"signature changed", "code", first, "What is one?", "The **signature** in `rpc/one.go`:\n\n```go signature rpc/one.go One\nfunc One() string\n```",
		[]string{first + ":{func One() string}: not as it is in rpc/one.go"}},
	{"bridge without a word", "code", first, "What is one?", "In `rpc/one.go`:\n\n```go bridge rpc/one.go\nfunc Nil() {}\n```",
		[]string{first + ":{```go bridge}: the paragraph before the block does not say **Type**"}},
	{"label not said", "code", first, "**Type** this", "This",
		[]string{first + ":{```go type rpc/one.go}: the paragraph before the block does not say **Type**"}},
	{"file not said", "code", first, "this into `rpc/one.go`", "this into a file",
		[]string{first + ":{```go type rpc/one.go}: the paragraph before the block does not name `rpc/one.go`"}},
	{"code without source", "code", first, "What is one?", "```go\nx := 1\n```",
		[]string{first + ":{```go\n}: go without a source: name label, file and declaration"}},
	{"block without a first word", "code", first, "What is one?", "```\nx := 1\n```",
		[]string{first + ":{```\nx}: a block begins with what it is: one of go, diff"}},
	{"change undone", "code", "step02-two/2a-two/rpc/one.go", `"frame"`, `"line"`,
		[]string{second + ":{```diff type rpc/one.go}: unit has not changed since the station before"}},
	{"change changed", "code", "step02-two/rpc/two.go", "return 1 + One()", "return One() + 1",
		[]string{third + ":{+\treturn 1 + One()}: not as it is in rpc/two.go"}},

	{"addition not quoted", "complete", "step02-two/rpc/three.go", "func Three", "func Four() int { return 4 }\n\nfunc Three",
		[]string{third + ": Four of rpc/three.go is new at 2b and not quoted: add ```go type rpc/three.go Four"}},
	{"change not quoted", "complete", "step02-two/2a-two/rpc/one.go", "return 1", "return +1",
		[]string{second + ": One of rpc/one.go changes at 2a and is not quoted: add ```diff type rpc/one.go One",
			third + ": One of rpc/two.go changes at 2b and is not quoted: add ```diff type rpc/two.go One"}},
	{"quoted twice", "complete", third, "All tests pass.", "```go type rpc/three.go Three\n```",
		[]string{third + ":{```go type rpc/three.go}: Three of rpc/three.go is quoted in line 25 already: quote it once"}},

	{"excerpt changed", "text", "testdata/wire/lines.txt", "S \"hello\\n\"", "S \"hallo\\n\"",
		[]string{first + ":{```text}: the file has not these lines, and its first and last do not stand there once"}},
	{"excerpt with a gap", "text", "testdata/wire/lines.txt", "S \"hello\\n\"", "# then\nS \"hello\\n\"",
		[]string{first + ":{```text}: ../testdata/wire/lines.txt has other lines: run go tool workshop sync"}},
	{"excerpt of nothing", "text", first, "text ../testdata/wire/lines.txt", "text ../testdata/wire/words.txt",
		[]string{first + ":{```text}: there is no testdata/wire/words.txt"}},

	{"table of steps out of date", "regions", "README.md", "| 20 |", "| 25 |",
		[]string{"README.md:{<!-- steps}: out of date: run go tool workshop sync README.md"}},
	{"changes out of date", "regions", "step02-two/rpc/three.go", "return 3", "n := 3\n\treturn n",
		[]string{third + ":{<!-- changed 2b}: out of date"}},
	{"region unknown", "regions", third, "<!-- changed 2b -->", "<!-- altered 2b -->",
		[]string{`no region is called "altered 2b": there are <!-- changed STATION -->, <!-- steps --> and, in a step, <!-- checkpoints -->`}},
	{"table of checkpoints out of date", "regions", entrance, "| side trip |", "| core |",
		[]string{entrance + ":{<!-- checkpoints}: out of date: run go tool workshop sync " + entrance}},

	{"link to nothing", "links", first, "(EXERCISES.md)", "(EXERCISE.md)",
		[]string{"the link to EXERCISE.md: there is no step01-one/EXERCISE.md"}},
	{"heading renamed", "links", first, "## What you will build", "## What we will build",
		[]string{"README.md:{Go on}: the link to step01-one/README.md#what-you-will-build: step01-one/README.md has no heading that is called so"}},
	{"link out of the course", "links", first, "(EXERCISES.md)", "(../../EXERCISES.md)",
		[]string{"the link to ../../EXERCISES.md: it leaves the course"}},

	{"test renamed", "names", "step02-two/2a-two/rpc/two_test.go", "func TestTwo", "func TestPair",
		[]string{"step01-one/rpc/limits_test.go:{// Lifted}: there is no TestTwo in 02a: name the test that lifts the pin",
			"step02-two/2a-two/rpc/limits_test.go:{// Lifted}: there is no TestTwo in 02a"}},
	{"name misspelt", "names", second, "`TestTwo` fails", "`TestTow` fails",
		[]string{second + ":{`TestTow}: there is no test TestTow"}},
	{"exercise's test renamed", "names", "step01-one/EXERCISES.md", "`TestMinus` passes", "`TestMinusOne` passes",
		[]string{"step01-one/EXERCISES.md:{`TestMinusOne}: there is no test TestMinusOne"}},
	{"pin not told", "names", first, "`TestLimit_NothingIsTwo` pins", "A test pins",
		[]string{first + ": rpc/limits_test.go pins TestLimit_NothingIsTwo, and the lesson does not name it"}},
	{"pin lifted nowhere", "names", "step01-one/rpc/limits_test.go", "step 02a", "step 09",
		[]string{`step01-one/rpc/limits_test.go:{// Lifted}: no step or checkpoint "9": there are 01 2a 2b`}},

	{"time changed", "time", first, "Time: 20", "Time: 30",
		[]string{first + ":{Time:}: 30 minutes, and course/station.go says 20 for 01"}},
	{"time missing", "time", third, "Time: 15 minutes\n", "",
		[]string{third + ":{# 2b}: no time below the title: write \"Time: 15 minutes\""}},
	{"title of another checkpoint", "time", second, "# 2a: two", "# Two",
		[]string{second + ":{# Two}: the title of a checkpoint's lesson begins with \"2a: \""}},
	{"sum of an entrance", "time", entrance, "Time: 25", "Time: 20",
		[]string{entrance + ":{Time:}: 20 minutes, and course/station.go says 25 for step02-two"}},
	{"schedule does not add up", "time", "final/workshop/guide/INSTRUCTOR.md", "| together | 50 |", "| together | 45 |",
		[]string{"final/workshop/guide/INSTRUCTOR.md:{| together}: the rows above add up to 50, not 45"}},
	{"schedule with other minutes", "time", "final/workshop/guide/INSTRUCTOR.md", "| 2a | 10 |", "| 2a | 20 |",
		[]string{"final/workshop/guide/INSTRUCTOR.md:{| 2a}: 20 minutes for 2a, and course/station.go says 10", "final/workshop/guide/INSTRUCTOR.md:{| together}: the rows above add up to 60, not 50"}},

	{"part missing", "template", first, "## Predict", "## Guess", []string{first + `: no part is called "Predict"`}},
	{"parts in another order", "template", first, "## Predict", "## What changed",
		[]string{first + `: no part is called "Predict"`, first + `:{## The article}: "The article's way" comes before "What changed"`}},
	{"part at another level", "template", first, "## Predict", "### Predict",
		[]string{first + `:{### Predict}: "Predict" is a part of a lesson (##), not of "Where we stand"`}},
	{"part of a checkpoint missing", "template", second, "## On the wire", "## The wire",
		[]string{second + `: no part is called "On the wire"`}},
	{"inherited file not told", "template", entrance, "`rpc/one.go`", "`rpc/won.go`",
		[]string{entrance + ":{## The code you}: rpc/one.go, which 01 has, is not in the table: say in a line what it is for"}},
	{"no table of what is inherited", "template", entrance, "## The code you inherit", "## The code",
		[]string{entrance + `: no part is called "The code you inherit"`}},
	{"prose too long", "template", first, "What is one?", strings.Repeat("What is one? ", 40),
		[]string{first + ": 167 words of prose: write 20 to 100"}},
	{"too much to type", "template", first, "```go type rpc/one.go One unit\n", "```go bridge rpc/one.go\n// A comment.\n\n" + strings.Repeat("var _ = 1\n", 107) + "```\n\n```go type rpc/one.go One unit\n",
		[]string{first + ": 111 lines to type, at most 110: ship what teaches nothing"}},
	{"shipped and not told", "template", "step02-two/cmd/tool.go", "", "package cmd\n\nfunc Tool() {}\n",
		[]string{third + ": cmd/tool.go is shipped, and the page does not name it: say what it does"}},
	{"too many arrows", "template", first, "    loop-->>a: the channel of call 1\n", strings.Repeat("    loop-->>a: the channel of call 1\n", 4),
		[]string{first + ":{```mermaid}: 9 arrows in a sequence diagram: at most 8 can be followed"}},
	{"term not explained", "template", first, "A **frame** is", "A **packet** is",
		[]string{first + `:{A **packet}: "packet" is in bold as a term, and not in glossary.md`}},

	{"sentence too long", "prose", first, "What is one?", "Is it one?\nIt\nis" + strings.Repeat(" very", 38) + " long, in `a.go` too. One. Two.",
		[]string{first + ":{It\nis}: 44 words in a sentence, at most 40: It is very very"}},
	{"sentences long on average", "prose", "final/workshop/tour/reader.md", "# A stop\n", "# A stop\n\nOne two three.\n\n- " + strings.Repeat("very ", 34) + "long.\n",
		[]string{"final/workshop/tour/reader.md:{- very}: 19.0 words a sentence, at most 17; the longest, 35 words: very very"}},
	{"actor not named", "prose", first, "What is one?", "Nobody knows, nor does `anybody` in code.",
		[]string{first + ":{Nobody}: 1 of nobody, somebody, anybody and whoever in"}},
	{"actor not named in a table", "prose", "final/workshop/guide/INSTRUCTOR.md", "| break | 5 | |", "| break | 5 | whoever wants |",
		[]string{"final/workshop/guide/INSTRUCTOR.md:{| break}: 1 of nobody, somebody, anybody and whoever in 15 words, at most one in 1000: name the actor: whoever wants"}},
	{"habit", "prose", first, "What is one?", "It holds\nthe server up. It **Mends** it. So it is. What it does is done. See `just.go`, e.g. Now. One came back, one came by, one came. Well!",
		[]string{first + `:{It holds}: "holds the server up": write "block" or "delay": It holds the server up.`,
			first + `:{the server up}: "Mends": write "fix": It Mends it.`,
			first + `:{the server up}: "So it is.": write a sentence that begins with its subject: So it is.`,
			first + `:{the server up}: "What it does is": write a sentence that begins with its subject: What it does is done.`,
			first + `:{the server up}: "came by": write "got", "arrived" or "was": One came back`,
			first + `:{the server up}: "!": write a full stop: Well!`}},
	{"habit in a heading", "prose", first, "### Without", "### Simply without",
		[]string{first + `:{### Simply}: "Simply": write nothing: Simply without`}},

	{"drift between stations", "same", "step02-two/rpc/one_test.go", `"got %d"`, `"is %d"`,
		[]string{third + ": TestOne of rpc/one_test.go is not what it was before 2b, and the lesson does not name it"}},
	{"comment drifts between stations", "same", "step02-two/rpc/two.go", "// One returns 1.", "// One is 1.",
		[]string{third + ": One of rpc/two.go is not what it was before 2b, and the lesson does not name it: make the two the same, or say why it changes"}},

	{"seam not listed", "seams", first, "<!-- seams unit -->", "<!-- seams One -->",
		[]string{first + ": the tests of 01 use unit: write <!-- seams unit -->", second + ": the tests of 2a use unit", third + ": the tests of 2b use unit"}},

	{"hints missing", "hints", "step01-one/rpc/one_test.go", "func TestOne(", "func TestUno(t *testing.T) {}\n\nfunc TestOne(",
		[]string{"final/workshop/hints/01.md: 0 hints for TestUno of rpc/one_test.go: write at least 2"}},
	{"one hint only", "hints", "final/workshop/hints/2a.md", "2. `return 2`\n", "",
		[]string{"final/workshop/hints/2a.md: 1 hints for TestTwo"}},
	{"hint for no test", "hints", "final/workshop/hints/2b.md", "## TestThree", "## TestFour",
		[]string{"hints/2b.md: 0 hints for TestThree", "hints/2b.md: TestFour is no test of 2b"}},
	{"question without answer", "hints", "final/workshop/hints/01.md", "Answer: because.", "",
		[]string{"hints/01.md: it has to begin with a paragraph Question: … and one Answer: …"}},

	{"kept diff out of date", "diffs", "step02-two/rpc/three.go", "return 3", "return 2 + 1",
		[]string{"testdata/diffs/2a-2b.diff: out of date: run go tool workshop sync diffs"}},
	{"kept diff of nothing", "diffs", "testdata/diffs/2b-03.diff", "", "x\n",
		[]string{"testdata/diffs/2b-03.diff: out of date"}},

	{"diagram without a drawing", "book", first, "loop-->>b: the channel", "loop-->>b: a channel",
		[]string{first + `: no page for the book: the diagram "sequenceDiagram" has no drawing, diagrams/`}},
	{"link to no declaration", "book", first, "What is one?", "What is [one](rpc/one.go#Won)?",
		[]string{first + ": in the book, step01-one/index.html: the link to rpc/one.go.html#Won: there is no such place"}},

	{"pin removed too early", "pins", "step02-two/2a-two/rpc/limits_test.go", "func TestLimit_NothingIsTwo", "func TestNothingIsTwo",
		[]string{"step01-one/rpc/limits_test.go: TestLimit_NothingIsTwo is not at 2a: it stays until 2a has lifted it"}},
	{"limit not lifted", "pins", "step02-two/2a-two/rpc/limits_test.go", "return Two()", "return One()",
		[]string{"step02-two/2a-two/rpc/limits_test.go: TestLimit_NothingIsTwo passes with the code of 2a, and its comment means that it says lifted: 2a"}},
	{"limit lifted too early", "pins", "step01-one/rpc/limits_test.go", "return One()", "return 2",
		[]string{"step01-one/rpc/limits_test.go: TestLimit_NothingIsTwo says lifted: 2a with the code of 01, and its comment means that it passes"}},
	{"pin that fails", "pins", "step01-one/rpc/limits_test.go", "return One()", "panic(0)",
		[]string{"step01-one: a pin fails with the code of 01: it passes while its limit is there, and skips afterwards:"}},

	{"output changed", "console", "step01-one/cmd/raw/main.go", `"raw: no server at"`, `"raw: nobody at"`,
		[]string{first + ":{console\n$ go run ./cmd/raw\nraw}" + `: $ go run ./cmd/raw: prints "raw: nobody at 127.0.0.1:8080", not "raw: no server at 127.0.0.1:8080"`}},
	{"answer changed", "console", first, "still here     ← you type\nstill here", "still here     ← you type\nstill there",
		[]string{first + ":{console\n$ go run ./cmd/raw\nhello}" + `: $ go run ./cmd/raw: prints "still here", not "still there"`}},
	{"output missing", "console", first, "exit status 1\n```\n\n### Without", "```\n\n### Without",
		[]string{first + ":{console\n$ go run ./cmd/raw\nhello}" + `: $ go run ./cmd/server: prints "exit status 1", too`}},
	{"red for another reason", "console", "step01-one/rpc/one_test.go", `t.Errorf("got %d", One())`, `t.Errorf("not %d", One())`,
		[]string{first + `:{console red}: $ go test -timeout 30s ./rpc: prints "    one_test.go:7: not `}},
	{"no such command", "console", first, "$ go test -timeout 30s ./rpc\nok", "$ goo test -timeout 30s ./rpc\nok",
		[]string{`$ goo test -timeout 30s ./rpc: exec: "goo": executable file not found`}},
	{"a shell", "console", first, "$ go test -timeout 30s ./rpc\nok", "$ go test ./rpc | wc\nok",
		[]string{"there is no shell: | needs quotes"}},

	{"break that breaks nothing", "break", "final/workshop/tour/reader.md", "+\t\treturn sent\n", "+\t\treturn sent[:limit+0]\n",
		[]string{"final/workshop/tour/reader.md:{```diff break}: TestRead_KeepsItsLimit passes with the change: it has to fail"}},
	{"break of code that has changed", "break", "final/rpc/reader.go", "sent[:limit]", "sent[0:limit]",
		[]string{"final/workshop/tour/reader.md:{```diff break}: final/rpc/reader.go: these lines stand 0 times in the file, not once"}},
	{"break that does not compile", "break", "final/workshop/tour/reader.md", "+\t\treturn sent\n", "+\t\treturn limit\n",
		[]string{"final/workshop/tour/reader.md:{```diff break}: the change does not compile:"}},
	{"break of a test that is gone", "break", "final/workshop/tour/reader.md", "TestRead_KeepsItsLimit", "TestRead_HasALimit",
		[]string{"final/workshop/tour/reader.md:{```diff break}: there is no TestRead_HasALimit"}},

	{"solution that does not apply", "exercises", "step01-one/rpc/one.go", "return 1", "return 2 - 1",
		[]string{`step01-one/EXERCISES.md:{diff}: the solution of "1. Minus one": line 6, rpc/one.go: these lines stand 0 times`,
			`the solution of "3. No longer one": line 43, rpc/one.go: these lines stand 0 times`}},
	{"solution that fails", "exercises", "step01-one/EXERCISES.md", "One()-1 != 0", "One()+1 != 0",
		[]string{"step01-one/EXERCISES.md:{```go\n}: " + `the solution of "2. Zero": tests fail with it:`}},
	{"solution without a file", "exercises", "step01-one/EXERCISES.md", "A new file, `rpc/zero_test.go`:", "A new file:",
		[]string{"step01-one/EXERCISES.md:{```go\n}: the paragraph before the code does not name its file"}},

	{"solution that turns nothing red", "exercises", "step01-one/EXERCISES.md", "`TestMinus` passes.", "`TestMinus` passes, and `TestOne` is red.",
		[]string{`the solution of "1. Minus one": it turns none of these red, of which the exercise speaks: TestMinus, TestOne`}},

	{"wrong variant survives", "mutants", ones, "+\treturn 2\n", "+\treturn +1\n",
		[]string{ones + ":{```diff wrong}: 01: \"Wrong: one too many\" survives: it has to fail in TestOne"}},
	{"right variant is rejected", "mutants", ones, "3 - 2", "3 - 1",
		[]string{ones + ":{```diff right}: 01: \"Right: a difference\" is rejected:\n--- FAIL: "}},
	{"variant that does not apply", "mutants", "step02-two/2a-two/rpc/one.go", "return 1", "return +1",
		[]string{ones + ":{```diff right}: 2a: \"Right: a difference\" does not apply: rpc/one.go: these lines stand 0 times"}},
	{"variant of a test that is gone", "mutants", ones, "wrong TestOne", "wrong TestUno",
		[]string{ones + ":{```diff wrong}: 01: \"Wrong: one too many\" has to fail in TestUno, and there is no such test"}},
	{"variant of a subtest that is gone", "mutants", ones, "wrong TestOne", "wrong TestOne/x",
		[]string{ones + ":{```diff wrong}: 01: \"Wrong: one too many\" has to fail in TestOne/x, and there is no such test"}},
	{"variant that does not compile", "mutants", ones, "+\treturn 2\n", "+\treturn two\n",
		[]string{ones + ":{```diff wrong}: 01: \"Wrong: one too many\" does not compile:\n"}},
	{"too few right variants", "mutants", ones, "right until=2a", "right",
		[]string{"final/workshop/mutants/2a.md: 0 right variants for 2a: write at least 1"}},

	{"function without a wrong variant", "mutants", twos, "", "# Variants of 2a\n",
		[]string{second + ":{```go type rpc/two.go}: no wrong variant changes Two of rpc/two.go: add one to final/workshop/mutants/2a.md"}},

	{"claim that is false", "replay", first, "TestOne green", "TestOne red",
		[]string{first + ":{<!-- now: TestOne}: the page says that TestOne is red, and it is green"}},

	{"green before the code", "red", "step02-two/rpc/three_test.go", "Three() != 3", "Three() == 2",
		[]string{"step02-two: TestThree of rpc/three_test.go passes on what start gives: make it fail"}},
	{"red with the code", "red", "step02-two/rpc/three.go", "return 3", "return 4",
		[]string{"step02-two: the tests of 2b do not pass with its code, in a folder that start made:"}},
}

// looked returns the lessons that a drift's check looks at; none means all. A change of one page's text concerns no other,
// and the commands of each take seconds.
func (d drift) looked() []string {
	if path.Ext(d.file) == ".md" && slices.Contains([]string{"console", "break", "exercises", "replay"}, d.check) {
		return []string{d.file}
	}
	return nil
}

func TestChecks_CatchDrift(t *testing.T) {
	seldom.Test(t)
	for _, d := range drifts {
		t.Run(d.check+" "+d.name, func(t *testing.T) {
			t.Parallel()
			root := copyCourse(t)
			replace(t, root, d.file, d.old, d.new)
			f := run(t, root, d.check, d.looked()...)
			var got []string
			for _, p := range f.Problems {
				got = append(got, p.Error())
			}
			require.Len(t, got, len(d.want), strings.Join(got, "\n"))
			for i := range d.want {
				assert.Contains(t, got[i], located(t, root, d.want[i]))
			}
		})
	}
}

var atText = regexp.MustCompile(`^(.+?):\{((?s).+?)\}`)

// located puts the number of its line in the place of {text}.
func located(t *testing.T, root, want string) string {
	t.Helper()
	match := atText.FindStringSubmatch(want)
	if match == nil {
		return want
	}
	before, _, ok := strings.Cut(read(t, root, match[1]), match[2])
	require.True(t, ok, want)
	return fmt.Sprintf("%s:%d%s", match[1], strings.Count(before, "\n")+1, want[len(match[0]):])
}

func TestChecks_EachCatchesSomething(t *testing.T) {
	for _, check := range Checks {
		found := false
		for _, d := range drifts {
			found = found || d.check == check.Name
		}
		assert.True(t, found, "no drift tests %s", check.Name)
	}
}

func TestSelect(t *testing.T) {
	all, err := Select(nil)
	require.NoError(t, err)
	assert.Len(t, all, len(Checks))
	_, err = Select([]string{"code", "codes"})
	assert.EqualError(t, err, `no check "codes": -list lists them`)
}

func TestProse_FiguresOfEachPage(t *testing.T) {
	root := copyCourse(t)
	replace(t, root, third, "All tests pass.", "Nobody fails.")
	assert.Contains(t, run(t, root, "prose").Figures, third+": 45 words, 6.6 a sentence, the longest 18, 1 vague, 0 habits")
}

func TestQuotes_AChangeKeepsThreeLinesBesideIt(t *testing.T) {
	before := "// F is long.\n// 2\n// 3\n// 4\n// 5\nfunc F() {\n\ta()\n\tb()\n\tc()\n\td()\n\te()\n\tf()\n\tg()\n\th()\n\ti()\n\tj()\n\tk()\n}\n"
	after := strings.Replace(before, "\tf()\n", "\tx()\n", 1)
	assert.Equal(t, "…\n func F() {\n \ta()\n \tb()\n \tc()\n \td()\n \te()\n-\tf()\n+\tx()\n \tg()\n \th()\n \ti()\n \tj()\n \tk()\n }\n",
		nearChanges(changed(before, after)), "two lines are not worth leaving out")
	after = strings.Replace(before, "// F is long.", "// F is.", 1)
	assert.Equal(t, "-// F is long.\n+// F is.\n // 2\n // 3\n // 4\n // 5\n func F() {\n…\n }\n", nearChanges(changed(before, after)))
	before, after = "const a = 1\n", "const a = 2\n"
	assert.Equal(t, "-const a = 1\n+const a = 2\n", nearChanges(changed(before, after)))
}

func TestNew_OneLesson(t *testing.T) {
	root := copyCourse(t)
	assert.Equal(t, []string{second, third, entrance, twos, threes}, paths(open(t, root, "02")), "all pages of a step")
	assert.Equal(t, []string{second, twos}, paths(open(t, root, "2a")), "a checkpoint's own page")
	replace(t, root, second, "<!-- changed 2a -->", "<!-- changed 2a -->\n<!-- changed 2a -->")
	c := open(t, root, "01", "final/workshop/tour/reader.md")
	assert.Len(t, c.pages, 3)
	assert.Equal(t, []string{third, threes}, paths(open(t, root, "2b")), "with the variants of its code")
	assert.Equal(t, []string{first, ones}, paths(open(t, root, "1")), "without its exercises")
	_, err := New(root)
	assert.ErrorContains(t, err, second+":")
	_, err = New(root, "README.txt")
	assert.EqualError(t, err, "no lesson README.txt: name a station, or a page's path below the root")
}

func paths(c *Course) []string {
	var paths []string
	for _, p := range c.pages {
		paths = append(paths, p.Path)
	}
	return paths
}

// A check that had nothing to look at says so: its "ok" would be read as a promise.
func TestChecks_SayThatNothingWasTried(t *testing.T) {
	root := copyCourse(t)
	for _, c := range []struct{ lesson, check, note string }{
		{"01", "exercises", "exercises: none of these lessons has any; name their page, such as -lesson step01-one/EXERCISES.md"},
		{"step01-one/EXERCISES.md", "mutants", "variants: none of these lessons has any"},
	} {
		selected, err := Select([]string{c.check})
		require.NoError(t, err)
		f := selected[0].Run(t.Context(), open(t, root, c.lesson))
		assert.Empty(t, f.Problems)
		assert.Equal(t, []string{c.note}, f.Notes)
	}
}

func TestSync_ChangesNothingThatIsRight(t *testing.T) {
	root := copyCourse(t)
	changed, err := open(t, root).Sync(t.Context())
	require.NoError(t, err)
	assert.Empty(t, changed)
}

func TestSync_MendsWhatCanBeMended(t *testing.T) {
	root := copyCourse(t)
	replace(t, root, "step02-two/rpc/three.go", "return 3", "return 2 + 1")
	replace(t, root, "step01-one/cmd/raw/main.go", `"raw: no server at"`, `"raw: nobody at"`)
	replace(t, root, first, "exit status 1\n```\n\n### Without", "…\n```\n\n### Without")
	changed, err := open(t, root).Sync(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{first, third, "testdata/diffs/2a-2b.diff"}, changed)
	assert.Contains(t, read(t, root, third), "\treturn 2 + 1\n")
	assert.Contains(t, read(t, root, first), "raw: nobody at 127.0.0.1:8080\nexit status 1\n")
	assert.Contains(t, read(t, root, first), "$ go run ./cmd/server\nserver: listen tcp 127.0.0.1:8080: bind: address already in use\n…\n```")
	for _, name := range []string{"code", "regions", "diffs", "console"} {
		assert.Empty(t, run(t, root, name).Problems, name)
	}
}

func TestSync_SaysWhatItCannotMend(t *testing.T) {
	root := copyCourse(t)
	replace(t, root, "step01-one/rpc/one.go", "const unit", "const units")
	replace(t, root, "step01-one/rpc/one_test.go", "unit ==", "units ==")
	before := read(t, root, first)
	changed, err := open(t, root, "01").Sync(t.Context())
	assert.ErrorContains(t, err, located(t, root, first+":{```go type rpc/one.go}: rpc/one.go does not declare unit"))
	assert.Empty(t, changed)
	assert.Equal(t, before, read(t, root, first))
	_, err = os.Stat(filepath.Join(root, "testdata", "diffs"))
	assert.NoError(t, err)
}

func TestBeside_KeepsThreeLinesOfTheDeclaration(t *testing.T) {
	const source = "package p\n\nvar a = 1\n\n// F is short.\nfunc F() {\n\ta()\n\tb()\n\n\tc()\n\td()\n\te()\n}\n\nfunc G() {\n\th()\n}\n"
	for _, c := range []struct{ hunk, want string }{
		{"-\ta()\n+\tx()\n", "\n // F is short.\n func F() {\n-\ta()\n+\tx()\n \tb()\n\n \tc()\n"},
		{" \td()\n-\te()\n", " \tc()\n \td()\n-\te()\n }\n"},
		{"+\tx()\n \th()\n", " func G() {\n+\tx()\n \th()\n }\n"},
		{"-var a = 1\n+var a = 2\n@@\n-\th()\n", "-var a = 1\n+var a = 2\n@@\n func G() {\n-\th()\n }\n"},
	} {
		changed, err := patch.Apply(source, c.hunk)
		require.NoError(t, err)
		got, err := beside(source, changed)
		require.NoError(t, err)
		assert.Equal(t, strings.TrimPrefix(c.want, "\n"), got)
	}
	_, err := beside(source, "package p\n\nfunc")
	assert.Error(t, err)
}
