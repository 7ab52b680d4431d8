package rpccmd

import "strings"

// shellLine returns words as a line that can be copied into a shell: sh, bash, zsh
// and fish read the same words in it.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = shellWord(word)
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes what any of these shells could read as more than text, such as
// zsh's =ls and fish's %self. Quotes and backslashes stand outside the quotes, since
// to fish a backslash before a quote means that quote.
func shellWord(word string) string {
	if word == "" {
		return "''"
	}
	if !strings.ContainsFunc(word, isOddInShell) {
		return word
	}
	var b strings.Builder
	inside := false
	toggle := func(want bool) {
		if inside != want {
			b.WriteByte('\'')
			inside = want
		}
	}
	for _, r := range word {
		if r == '\'' || r == '\\' {
			toggle(false)
			b.WriteByte('\\')
		} else {
			toggle(true)
		}
		b.WriteRune(r)
	}
	toggle(false)
	return b.String()
}

func isOddInShell(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
		return false
	}
	return !strings.ContainsRune("@+:,./_-", r)
}
