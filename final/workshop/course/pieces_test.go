package course

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each test that a lesson says anything about turns green in one piece, and a piece says
// what is typed in it.
func TestPieces_HaveWhatIsTypedAndWhatTurnsGreen(t *testing.T) {
	root, err := Root(".")
	require.NoError(t, err)
	pieces, err := Pieces(root, Stations[0])
	require.NoError(t, err)
	require.NotEmpty(t, pieces)
	assert.Equal(t, "A line", pieces[0].Heading)
	assert.Equal(t, []Write{{"rpc/line.go", []string{"readLine"}, false}}, pieces[0].Writes)
	assert.Contains(t, pieces[0].Tests, Test{"TestReadLine_StopsAtTheLimit", "rpc", "rpc/seams_test.go"})

	for _, s := range Stations {
		pieces, err := Pieces(root, s)
		require.NoError(t, err)
		seen := map[Test]bool{}
		for _, p := range pieces {
			assert.True(t, len(p.Writes)+len(p.Tests) > 0, "%s: %s", s.Name, p.Heading)
			for _, test := range p.Tests {
				assert.False(t, seen[test], "%s: %s", s.Name, test.Name)
				seen[test] = true
			}
		}
		assert.NotEmpty(t, seen, s.Name)
	}
}
