package cli

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/workshop/verify"
)

func TestPrintFindings(t *testing.T) {
	var out bytes.Buffer
	printFindings(&out, "links", &verify.Findings{Took: 1500 * time.Millisecond})
	printFindings(&out, "code", &verify.Findings{
		Problems: []*verify.Problem{{File: "README.md", Line: 3, Text: "wrong"}, {File: "a.md", Text: "missing"}},
		Notes:    []string{"there is no glossary"},
		Reports:  []string{"01: 3 blocks"},
	})
	assert.Equal(t, `links      ok (1.5s)
README.md:3: wrong
a.md: missing
code: not checked: there is no glossary
code       01: 3 blocks
code       2 problems (0.0s)
`, out.String())
}
