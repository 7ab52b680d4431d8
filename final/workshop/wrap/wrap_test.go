package wrap

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestText_BreaksBetweenWords(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"it fits":                 {"one two three four", "one two three four"},
		"words":                   {"one two three four five", "one two three four\nfive"},
		"each line by itself":     {"a b\none two three four five\n", "a b\none two three four\nfive\n"},
		"a path stays whole":      {"see /home/you/a-long-folder/README.md now", "see\n/home/you/a-long-folder/README.md\nnow"},
		"below the text":          {"  one two three four five", "  one two three four\n  five"},
		"beside a label":          {"new:  one, two, three, four", "new:  one, two,\n      three, four"},
		"a label of two words":    {"to do  one two three four", "to do  one two three\n       four"},
		"a label with a colon":    {"    a: one, two, three, four", "    a: one, two,\n       three, four"},
		"code":                    {"    return fmt.Errorf(x, y, z)", "    return fmt.Errorf(x, y, z)"},
		"colours have no width":   {"\x1b[31mone two three four\x1b[0m", "\x1b[31mone two three four\x1b[0m"},
		"a command stays whole":   {`say "go tool workshop hint" here`, "say\n\"go tool workshop hint\"\nhere"},
		"a long command":          {`run "go test -run TestOne ./rpc" now`, "run\n\"go test -run TestOne ./rpc\"\nnow"},
		"a command in backquotes": {"it is `go vet ./rpc ./cmd` here", "it is\n`go vet ./rpc ./cmd`\nhere"},
		"a command at the end":    {"What is new: go tool workshop diff 01 02", "What is new:\ngo tool workshop diff 01 02"},
		"a synopsis, no command":  {"Use it so: go tool workshop x [-v]", "Use it so: go tool\nworkshop x [-v]"},
		"two commands":            {`a "go vet ./rpc" or "go run ./cmd/x"`, "a \"go vet ./rpc\" or\n\"go run ./cmd/x\""},
		"a quote without an end":  {`one "go vet three four five six`, "one \"go vet three\nfour five six"},
		"a mark after a command":  {`run "go tool workshop x", or not`, "run\n\"go tool workshop x\",\nor not"},
		"wide and accented runes": {"äöü äöü äöü äöü äöü äöü", "äöü äöü äöü äöü äöü\näöü"},
	} {
		assert.Equal(t, c.want, Text(c.text, 20), name)
	}
	assert.Equal(t, "one two three four five", Text("one two three four five", 0))
}

func TestWriter_WritesWholeLines(t *testing.T) {
	var out bytes.Buffer
	n, err := fmt.Fprintln(Writer{&out, 20}, "one two three four five")
	require.NoError(t, err)
	assert.Equal(t, len("one two three four five\n"), n)
	assert.Equal(t, "one two three four\nfive\n", out.String())
}
