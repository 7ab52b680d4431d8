package rpc

import (
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
)

// All characters that turn around what stands after them, as Unicode lists them.
func TestCleanText_LeavesNoMarkOfDirection(t *testing.T) {
	marks := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.Is(unicode.Bidi_Control, r) || unicode.IsControl(r) {
			assert.Equal(t, "a b", cleanText("a"+string(r)+"b", 10), "%U", r)
			marks++
		}
	}
	assert.Greater(t, marks, 70)
	const kept = "שלום مرحبا 👩\u200d🚀 naïve\ufeff" // letters that need no marks, and a joiner
	assert.Equal(t, kept, cleanText(kept, 100))
	assert.False(t, strings.ContainsRune(cleanBytes([]byte("a\u061cb"), 10), '\u061c'))
}
