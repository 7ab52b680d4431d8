package seldom_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"example.com/rpc-from-scratch/final/internal/seldom"
)

// test notes whether it is skipped.
type test struct {
	testing.TB
	skipped bool
}

func (*test) Helper()       {}
func (s *test) Skip(...any) { s.skipped = true }

func TestTest_SkipsUnlessCIIsSet(t *testing.T) {
	for ci, runs := range map[string]bool{"": false, "false": false, "true": true, "1": true} {
		t.Setenv("CI", ci)
		assert.Equal(t, runs, seldom.Run(), ci)
		s := new(test)
		seldom.Test(s)
		assert.Equal(t, !runs, s.skipped, ci)
	}
}
