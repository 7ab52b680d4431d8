package plaintext_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/internal/plaintext"
)

func TestLine_EscapesWhatATerminalObeys(t *testing.T) {
	for text, want := range map[string]string{
		"plain, é, \U0001f680": "plain, é, \U0001f680",
		"\x1b[31mred":          `\u001b[31mred`,
		"bell\a\rcr\x7f":       `bell\u0007\u000dcr\u007f`,
		"\u009b31m":            `\u009b31m`,
		"a\nb\tc":              `a\u000ab\u0009c`,
		"\u202egpj.exe":        `\u202egpj.exe`,
		"\u2066x\u2069\u200f":  `\u2066x\u2069\u200f`,
		"a\u2028b":             `a\u2028b`,
		"\xff\xfe":             `\ufffd\ufffd`,
		"\U000e0041":           `\udb40\udc41`,
		"":                     "",
	} {
		assert.Equal(t, want, plaintext.Line(text), "%q", text)
		assert.Equal(t, text == want, plaintext.IsLine(text))
	}
}

func TestLines_KeepsTheLayout(t *testing.T) {
	assert.Equal(t, "a\n\tb\\u001b\n", plaintext.Lines("a\n\tb\x1b\n"))
}

func TestLines_LeavesJSONWhatItMeans(t *testing.T) {
	const text = "\u202e\u009b\u007f\U000e0041"
	var back string
	require.NoError(t, json.Unmarshal([]byte(plaintext.Lines(`"`+text+`"`)), &back))
	assert.Equal(t, text, back)
}

func TestFprintf_CleansStringsAlone(t *testing.T) {
	var b strings.Builder
	plaintext.Fprintf(&b, "%s\t%d\n", "a\nb", 7)
	assert.Equal(t, "a\\u000ab\t7\n", b.String())
}
