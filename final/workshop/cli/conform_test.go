package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/conform"
	"example.com/rpc-from-scratch/final/workshop/wrap"
)

// On a terminal, no line is wider than that.
func TestConform_FitsTheTerminal(t *testing.T) {
	long := bytes.Repeat([]byte{7}, 200)
	different := bytes.Clone(long)
	different[30] = 8
	r := conform.Result{Rule: conform.Rule{Name: "a", Says: strings.Repeat("word ", 30)}, Verdict: conform.Fail,
		Failure: &conform.Failure{Reason: strings.Repeat("reason ", 30), Sent: long, Expected: long, Received: different}}
	for _, width := range []int{60, 80, 100} {
		var out bytes.Buffer
		p := conform.Printer{W: &out, Width: width, Wrap: wrap.Words, Paint: paintVerdict}
		p.Print(r)
		for line := range strings.SplitSeq(out.String(), "\n") {
			assert.LessOrEqual(t, len([]rune(line)), width, line)
		}
		assert.Contains(t, out.String(), "^ byte 30")
	}
}
