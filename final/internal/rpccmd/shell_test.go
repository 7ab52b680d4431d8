package rpccmd

import (
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oddWords are what one shell or another reads as more than text.
var oddWords = []string{
	"", " ", "=ls", "%self", "~", "a=~", "#a", "-n", "{a,b}", "[a]", "*", "?", "!!", "^a^b", "a;b", "a&b", "a|b", "a>b", "<a", "(a)",
	"$(echo a)", "`echo a`", "$HOME", "é", `"a"`, "'a'", `\`, `\\`, `a\`, `\'`, `'\''`, `\'"; echo a; "\'`, `\n`, `{"a":"\u001b"}`,
}

func TestShellWord_EveryShellReadsTheSame(t *testing.T) {
	for _, shell := range []string{"sh", "bash", "zsh", "fish"} {
		path, err := exec.LookPath(shell)
		if err != nil {
			continue // what the words look like is the other test's
		}
		line, want := "printf '<%s>\\n'", ""
		for _, word := range oddWords {
			line, want = line+" "+shellWord(word), want+"<"+word+">\n"
		}
		got, err := exec.Command(path, "-c", line).CombinedOutput()
		require.NoError(t, err, "%s: %s", shell, got)
		assert.Equal(t, want, string(got), shell)
	}
}

func TestShellWord_PutsQuotesAndBackslashesOutsideTheQuotes(t *testing.T) {
	for word, want := range map[string]string{
		"Inventory.CheckStock": "Inventory.CheckStock",
		"unix:/run/a_b.sock":   "unix:/run/a_b.sock",
		"":                     "''",
		"=ls":                  "'=ls'",
		"%self":                "'%self'",
		"[::1]:7000":           "'[::1]:7000'",
		`{"a":0}`:              `'{"a":0}'`,
		"it's":                 `'it'\''s'`,
		`\'`:                   `\\\'`,
		`a\`:                   `'a'\\`,
		"''":                   `\'\'`,
	} {
		assert.Equal(t, want, shellWord(word))
	}
}
