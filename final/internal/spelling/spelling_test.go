package spelling

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDistance_CountsChanges(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"same", "same", 0}, {"", "word", 4}, {"word", "", 4},
		{"kitten", "sitting", 3}, {"client", "clinet", 2}, {"CheckStok", "CheckStock", 1},
	} {
		assert.Equal(t, c.want, Distance(c.a, c.b), "%q, %q", c.a, c.b)
	}
}
