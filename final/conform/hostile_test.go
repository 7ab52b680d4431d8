package conform

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What the program under test has sent is text, and no command for the terminal.
func TestPrint_APeersWordsAreText(t *testing.T) {
	const words = "\x1b[31m\a\r\x7f\u009b2J\u202e\nforged"
	const text = `\u001b[31m\u0007\u000d\u007f\u009b2J\u202e\u000aforged`
	skipped := Result{Rule: Rule{Name: "a"}, Verdict: Skipped, Why: words}
	failed := Result{Rule: Rule{Name: "a"}, Verdict: Fail, Failure: &Failure{Reason: words, Want: "b", Got: words}}
	var out bytes.Buffer
	(&Printer{W: &out}).Print(skipped)
	assert.Equal(t, "skipped a: "+text+"\n", out.String())
	out.Reset()
	(&Printer{W: &out}).Print(failed)
	assert.Equal(t, "FAIL    a\n        failed    "+text+"\n        expected  b\n        received  "+text+"\n", out.String())
	for _, r := range []Result{skipped, failed} {
		out.Reset()
		require.NoError(t, PrintJSON(&out, r))
		assert.NotContains(t, out.String(), "\u009b")
		assert.NotContains(t, out.String(), "\u202e")
		var back struct{ Why string }
		require.NoError(t, json.Unmarshal(out.Bytes(), &back))
		assert.Equal(t, words, back.Why)
	}
}
