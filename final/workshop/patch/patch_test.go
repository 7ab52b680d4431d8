package patch

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const source = "one\ntwo\n\nthree\ntwo\nfour\n"

func TestApply(t *testing.T) {
	for _, test := range []struct{ name, diff, want string }{
		{"a line replaced", "-three\n+THREE\n", "one\ntwo\n\nTHREE\ntwo\nfour\n"},
		{"found by its neighbour", " one\n-two\n", "one\n\nthree\ntwo\nfour\n"},
		{"an empty line kept", " two\n\n-three\n", "one\ntwo\n\ntwo\nfour\n"},
		{"two hunks", "@@ first\n-one\n+1\n@@ second\n four\n+five\n", "1\ntwo\n\nthree\ntwo\nfour\nfive\n"},
		{"nothing", "", source},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Apply(source, test.diff)
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestApply_WantsTheLinesOnce(t *testing.T) {
	_, err := Apply(source, "-two\n")
	assert.ErrorContains(t, err, "stand 2 times in the file, not once:\ntwo\n")
	_, err = Apply(source, " thr\n+x\n") // half a line is no line
	assert.ErrorContains(t, err, "stand 0 times")
}
