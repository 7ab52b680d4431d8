package console

import (
	"errors"
	"strings"
)

// Split splits a command into words at spaces. A word may have parts in single
// or double quotes, which mean themselves: there are no variables, no
// backslashes and no wildcards.
func Split(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	inWord := false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			quote, inWord = r, true
		case quote == 0 && r == ' ':
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		case quote == 0 && strings.ContainsRune("|<>;&$`*", r):
			return nil, errors.New("there is no shell: " + string(r) + " needs quotes")
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, errors.New("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
