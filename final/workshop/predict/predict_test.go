package predict

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/course"
)

// Each question of a lesson has an answer, and each answer a question.
func TestOf_EachQuestionHasAnAnswer(t *testing.T) {
	root, err := course.Root(".")
	require.NoError(t, err)
	asked := 0
	for _, s := range course.Stations {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.Page())))
		require.NoError(t, err)
		p, ok := Of(s.Name)
		assert.Equal(t, strings.Contains(string(text), "\n## Predict\n"), ok, s.Name)
		if !ok {
			continue
		}
		asked++
		assert.NotEmpty(t, p.Ours, s.Name)
		assert.GreaterOrEqual(t, len(p.Tempting), 2, s.Name)
	}
	assert.Len(t, all, asked)
}
