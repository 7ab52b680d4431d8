package verify

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/rpc-from-scratch/final/workshop/lesson"
)

// variantOf returns the variant of a block with that first line, on the page of 2a.
func variantOf(t *testing.T, info, body string) (variant, error) {
	t.Helper()
	l, err := lesson.Parse(mutantsFolder+"/2a.md", "# Variants\n\n```"+info+"\n"+body+"```\n")
	require.NoError(t, err)
	return newVariant(&Page{Lesson: l}, l.Blocks[0])
}

const oneChange = "# rpc/one.go\n-\treturn 1\n+\treturn 2\n"

func TestVariant_Words(t *testing.T) {
	v, err := variantOf(t, "diff wrong until=2b race count=20 TestA TestB/c FuzzD", oneChange)
	require.NoError(t, err)
	assert.False(t, v.right)
	assert.True(t, v.race)
	assert.Equal(t, 20, v.count)
	assert.Equal(t, []string{"TestA", "TestB/c", "FuzzD"}, v.tests)
	assert.Equal(t, []bool{false, true, true}, []bool{v.fits(0), v.fits(1), v.fits(2)})

	v, err = variantOf(t, "diff right", oneChange)
	require.NoError(t, err)
	assert.True(t, v.right)
	assert.Equal(t, 1, v.count)
	assert.Equal(t, []bool{false, true, false}, []bool{v.fits(0), v.fits(1), v.fits(2)})
}

func TestVariant_OfAProgramFitsNoCheckpoint(t *testing.T) {
	v, err := variantOf(t, "diff right until=2b", "# cmd/server/main.go\n-a\n+b\n")
	require.NoError(t, err)
	assert.Equal(t, []bool{false, false, true}, []bool{v.fits(0), v.fits(1), v.fits(2)})
}

func TestVariant_ASampleIsSpreadOverThePage(t *testing.T) {
	for _, test := range []struct {
		variants int
		want     []int
	}{
		{0, nil},
		{5, []int{0, 1, 2, 3, 4}},
		{6, []int{0, 1, 2, 3, 4, 5}},
		{7, []int{0, 2, 3, 4, 5, 6}},
		{30, []int{0, 5, 10, 15, 20, 25}},
	} {
		page := make([]variant, test.variants)
		sample(page)
		var got []int
		for i, v := range page {
			if v.sampled {
				got = append(got, i)
			}
		}
		assert.Equal(t, test.want, got)
	}
}

func TestVariant_RefusesWhatItDoesNotKnow(t *testing.T) {
	for _, test := range []struct{ info, body, want string }{
		{"diff wrong", oneChange, "name the test that rejects it, as in ```diff wrong TestServer_X"},
		{"diff right TestA", oneChange, "a right variant passes all tests: name none"},
		{"diff right until=01", oneChange, "until=01 comes before the station of the page"},
		{"diff right until=02", oneChange, `"02" is no station's name`},
		{"diff right until=9z", oneChange, `no step or checkpoint "9z": there are 01 2a 2b`},
		{"diff right count=0", oneChange, "count=0: no number of runs"},
		{"diff right count=x", oneChange, "count=x: no number of runs"},
		{"diff right twice", oneChange, `"twice": write until=STATION, race, count=N or a test's name`},
		{"diff right", "-a\n+b\n", `the diff does not begin with its file: write "# rpc/server.go" above it`},
	} {
		t.Run(test.info, func(t *testing.T) {
			_, err := variantOf(t, test.info, test.body)
			assert.EqualError(t, err, test.want)
		})
	}
}
