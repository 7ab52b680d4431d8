package rpccmd

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// Completion scripts of bash, zsh, fish and PowerShell expand some of what they are
// given; cobra gives ":", tabs and "_activeHelp_ " a meaning of its own.
func TestIsWord_NoShellSeesMoreInIt(t *testing.T) {
	for _, name := range []string{"Inventory.CheckStock", "a", "grpc.health.v1.Health/Check", "Lager.Prüfe", "x_1-2"} {
		assert.True(t, isWord(name), name)
	}
	for _, name := range []string{
		"", "-rf", "--help", "~root", "a b", "a\tb", "a\nb", ":4", "_activeHelp_ run this", "$(touch owned)", "`touch owned`", "${IFS}",
		"a;b", "a|b", "a&b", "a>b", "a<b", "(a)", "{a,b}", "[a]", "a*", "a?", "!a", "a#b", "%a%", "a^b", "=ls", "a=b", "@a", "a,b", "a+b",
		`a\b`, `"a"`, "'a'", "a\x00b", "a\x1b[31m", "a\u009b", "a\u202eb", "a\u200eb", "a\u200bb", "a\u00a0b", "a\u2028b", "a\ufeffb", "a\xffb", "a\ufffdb",
		"\u2018a\u2019", "\u201ca\u201d", // quotes to PowerShell
		"\u2014rf", "a\u2026", // a dash, to PowerShell
	} {
		assert.False(t, isWord(name), "%q", name)
	}
}

// Whoever waits at a prompt does not know of a -timeout that is none.
func TestCompletion_TimeIsBounded(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{
		0: 3 * time.Second, -1: 3 * time.Second, time.Minute: 3 * time.Second, time.Second: time.Second,
	} {
		assert.Equal(t, want, atPrompt(given), given)
	}
}
